"""What does the login state cost per request? CPU at saturation: turns at one replica at a time, which is kept busy.

In a turn, everybody asks the same fixed number of requests, past nginx or through it. A sitting is a number of rounds
at one replica in one of the two ways; for each, everybody logs in anew and opens new connections.
"""

from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from itertools import count

from loadtest.bare_process import BareServer
from loadtest.cluster.cores import on_last_core
from loadtest.experiments.contestants import Contestant, Place, open_accounts, start
from loadtest.experiments.cost_figures import DIRECT, NGINX
from loadtest.experiments.experiment import Context
from loadtest.statistics.orders import balanced_orders, in_turns


async def measure(context: Context) -> None:
    """Ask every replica in both ways, in every cycle. Where replicas cannot be reached, nginx alone is asked.

    A wrong answer, or none, ends it (`WrongAnswer`, `GeneratorError`), and so does a process that was restarted
    meanwhile (`ClusterError`).
    """
    plan = context.plan
    numbers = {DIRECT: count(), NGINX: count()}
    async with AsyncExitStack() as stack:
        everybody = await start(context, stack, await _bare_server(context, stack))
        sittings = [(cycle, place) for cycle in range(plan.cost_cycles) for place in _places(context)]
        context.progress.start("cost: turns at a busy replica", sum(_steps(context, place) for _, place in sittings))
        for cycle, place in sittings:
            if plan.cost_restarts and cycle:
                context.cluster.restart(place.replica)
            with _way(context, place):
                contestants = [one for one in everybody if place.path == DIRECT or not one.bare]
                await _sitting(context, place, contestants, numbers[place.path])


def _places(context: Context) -> Iterator[Place]:
    urls, plan = context.cluster.replica_urls(), context.plan
    for replica in context.cluster.replicas():
        if replica in urls and plan.cost_rounds_direct:
            yield Place(DIRECT, replica, urls[replica])
        if plan.cost_rounds_nginx:
            yield Place(NGINX, replica, context.cluster.url)


def _rounds(context: Context, place: Place) -> int:
    return context.plan.cost_rounds_direct if place.path == DIRECT else context.plan.cost_rounds_nginx


def _steps(context: Context, place: Place) -> int:
    """Return how many turns a sitting has, the warm-up included."""
    direct = place.path == DIRECT
    return (1 + _rounds(context, place)) * (len(context.strategies) + (1 + direct if context.control() else 0))


@contextmanager
def _way(context: Context, place: Place) -> Iterator[None]:
    """Let nginx ask the replica of *place* only, if the way leads through it, and let both share one core with Redis.

    A load balancer that waits for a slow replica on a core of its own falls asleep between any two answers and pays for
    each waking up: up to twice as much CPU per request for the very same work. On one core that is never idle, it finds
    several answers whenever its turn comes, whoever gave them: the more connections, the more answers. It has one
    worker: between several, connections are spread by chance, and unevenly spread ones cost another number of wakings.
    """
    if place.path == DIRECT:
        yield
        return
    with context.cluster.balance_over([place.replica], workers=1):
        processes = context.cluster.cpu().processes
        tiers = ("loadbalancer", "redis")
        pids = [one.pid for name, one in processes.items() if one.tier in tiers or name == place.replica]
        with on_last_core(pids):
            yield


async def _bare_server(context: Context, stack: AsyncExitStack) -> BareServer | None:
    """Start a bare server that answers as the control does on a replica, if there is one that can be reached."""
    control, urls = context.control(), list(context.cluster.replica_urls().values())
    if not control or not urls:
        return None
    bare = await BareServer.like(f"{urls[0]}/{control.name}/mypage", context.logs / "bare-server.log")
    return await stack.enter_async_context(bare)


async def _sitting(context: Context, place: Place, contestants: Sequence[Contestant], numbers: Iterator[int]) -> None:
    """Take the turns at *place*; the first round warms up, and is not recorded."""
    plan = context.plan
    accounts = await open_accounts(context.cluster, context.strategies[0], plan.turn_logins)
    connections = plan.turn_connections if place.path == DIRECT else plan.turn_connections_nginx
    for one in contestants:
        await one.connect(place, accounts, connections)
    where = {"path": place.path, "replica": place.replica}
    turns = {one.name: partial(one.turn, place, plan.turn_requests) for one in contestants}
    orders = balanced_orders(list(turns), _rounds(context, place), context.rng)
    await in_turns(turns, [list(turns)], context.progress.advance)
    for one in (contestants[0], *(one for one in contestants if one.bare)):
        row = await one.idle(place, plan.cost_idle_seconds)
        context.record(kind="idle", **where, **row)
    for order in orders:
        number = next(numbers)
        for position, name in enumerate(order):
            row = await turns[name]()
            context.record(kind="turn", round=number, position=position, strategy=name, **where, **row)
            context.progress.advance()
    for one in contestants:  # a replica that is to be restarted, or nginx, would wait for it
        await one.turns.disconnect()
