"""What does the login state cost per request? CPU at saturation: turns at one replica at a time, which is kept busy.

In a turn, everybody asks the same fixed number of requests, past nginx or through it. A sitting is a number of rounds
at one replica in one of the two ways; for each, everybody logs in anew and opens new connections.

All that has a part in it shares one core. On cores of their own, the faster ones (nginx, clients) fall asleep between
any two answers of a slow replica, and waking up is paid for at both ends: up to twice the CPU for the same work of
nginx. On one core that is never idle, a process finds all the work that was left for it, however slow the others are.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import count

from loadtest.cluster.cores import on_last_core
from loadtest.experiments.cost.contestants import Contestant, Place, TurnPlan, open_accounts, start
from loadtest.experiments.cost.figures import DIRECT, NGINX
from loadtest.experiments.experiment import Context
from loadtest.load.bare_process import BareServer
from loadtest.statistics.orders import balanced_orders, in_turns


@dataclass(frozen=True)
class Plan(TurnPlan):
    """The number of cycles over all replicas, and of rounds in a sitting. *restarts*: replicas restart in between."""

    cycles: int = 2
    rounds_direct: int = 20
    rounds_nginx: int = 36
    restarts: bool = False

    def rounds(self, path: str) -> int:
        """Return how many rounds a sitting has."""
        return self.rounds_direct if path == DIRECT else self.rounds_nginx


async def measure(context: Context, plan: Plan) -> None:
    """Ask every replica in both ways, in every cycle. Where replicas cannot be reached, nginx alone is asked.

    A wrong answer, or none, ends it (`WrongAnswer`, `GeneratorError`), and so does a process that was restarted
    meanwhile (`ClusterError`).
    """
    numbers = {DIRECT: count(), NGINX: count()}
    async with AsyncExitStack() as stack:
        everybody = await start(context, stack, await _bare_server(context, stack))
        sittings = [(cycle, place) for cycle in range(plan.cycles) for place in _places(context, plan)]
        context.progress.start(
            "cost: turns at a busy replica", sum(_steps(context, plan, place) for _, place in sittings)
        )
        for cycle, place in sittings:
            if plan.restarts and cycle:
                context.cluster.restart(place.replica)
            with _way(context, place):
                contestants = [one for one in everybody if place.path == DIRECT or not one.bare]
                with on_last_core({pid for one in contestants for pid in one.pids(place)}):
                    await _sitting(context, plan, place, contestants, numbers[place.path])


def _places(context: Context, plan: Plan) -> Iterator[Place]:
    urls = context.cluster.replica_urls()
    for replica in context.cluster.replicas():
        if replica in urls and plan.rounds_direct:
            yield Place(DIRECT, replica, urls[replica])
        if plan.rounds_nginx:
            yield Place(NGINX, replica, context.cluster.url)


def _steps(context: Context, plan: Plan, place: Place) -> int:
    """Return how many turns a sitting has, the warm-up included."""
    direct = place.path == DIRECT
    return (1 + plan.rounds(place.path)) * (len(context.strategies) + (1 + direct if context.control() else 0))


def _way(context: Context, place: Place) -> AbstractContextManager[None]:
    """Let nginx ask the replica of *place* only, if the way leads through it.

    It has one worker: several share the connections by chance, and unevenly shared ones cost another number of wakings.
    """
    return context.cluster.balance_over([place.replica], workers=1) if place.path == NGINX else nullcontext()


async def _bare_server(context: Context, stack: AsyncExitStack) -> BareServer | None:
    """Start a bare server that answers as the control does on a replica, if there is one that can be reached."""
    control, urls = context.control(), list(context.cluster.replica_urls().values())
    if not control or not urls:
        return None
    bare = await BareServer.like(f"{urls[0]}/{control.name}/mypage", context.logs / "bare-server.log")
    return await stack.enter_async_context(bare)


async def _sitting(
    context: Context, plan: Plan, place: Place, contestants: Sequence[Contestant], numbers: Iterator[int]
) -> None:
    """Take the turns at *place*; the first round warms up, and is not recorded."""
    accounts = await open_accounts(context.cluster, context.strategies[0], plan.logins)
    for one in contestants:
        await one.connect(place, accounts, plan.connections)
    where = {"path": place.path, "replica": place.replica}
    turns = {one.name: partial(one.turn, place, plan) for one in contestants}
    orders = balanced_orders(list(turns), plan.rounds(place.path), context.rng)
    await in_turns(turns, [list(turns)], context.progress.advance)
    for one in (contestants[0], *(one for one in contestants if one.bare)):
        row = await one.idle(place, plan.idle_seconds)
        context.record(kind="idle", **where, **row)
    for order in orders:
        number = next(numbers)
        for position, name in enumerate(order):
            row = await turns[name]()
            context.record(kind="turn", round=number, position=position, strategy=name, **where, **row)
            context.progress.advance()
    for one in contestants:  # a replica that is to be restarted, or nginx, would wait for it
        await one.turns.disconnect()
