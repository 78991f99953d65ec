"""Turns at one, two, ... replicas: nginx of our own has a port for each number, so that they are asked in turn.

As in `cost`, all processes share one core, which is never idle within a turn.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from loadtest.cluster.clocks import Meter
from loadtest.cluster.cores import cores, on_last_core
from loadtest.cluster.protocol import Cluster, CpuReading, CpuUse
from loadtest.experiments.cost.contestants import Place, TurnPlan, open_accounts, pages, quiet
from loadtest.experiments.cost.figures import NGINX
from loadtest.experiments.experiment import Context
from loadtest.experiments.scaling.figures import EVERYBODY, case
from loadtest.load.client import Strategy
from loadtest.load.own_nginx import OwnNginx, own_nginx, servers
from loadtest.load.turns import Page, Turns
from loadtest.results.model import Row
from loadtest.statistics.orders import in_turns

OTHERS = 3
"""nginx, Redis and the clients: who needs a core besides the replicas, for their number to be what limits."""


@dataclass(frozen=True)
class Plan(TurnPlan):
    """The number of rounds."""

    rounds: int = 18


class WithNginx:
    """The processes of *cluster*, and our own nginx."""

    def __init__(self, cluster: Cluster, nginx: OwnNginx) -> None:
        self._cluster = cluster
        self._meter = Meter(lambda: {"balancer": ("loadbalancer", nginx.worker())})

    def cpu(self) -> CpuReading:
        """Read all clocks."""
        return CpuReading({**self._cluster.cpu().processes, **self._meter.read().processes})

    def close(self) -> None:
        """Give back what the clocks hold."""
        self._meter.forget()


async def measure(context: Context, plan: Plan) -> None:
    """Let strategies that any replica can serve take turns at 1 to N replicas; the first round warms up."""
    urls, strategies = context.cluster.replica_urls(), list(_one_of_each_kind(context.strategies))
    if len(urls) < 2 or not strategies:
        context.not_measured("everything", "it takes several replicas that can be reached")
        return
    _say_whether_identifiable(context, len(urls))
    numbers, hosts = range(1, len(urls) + 1), [url.removeprefix("http://") for url in urls.values()]
    context.progress.start("turns at 1 to N replicas", (1 + plan.rounds) * len(numbers) * len(strategies))
    async with AsyncExitStack() as stack:
        nginx = await stack.enter_async_context(own_nginx(context.logs / "scaling", map(str, numbers)))
        await nginx.balance({str(number): servers(hosts[:number]) for number in numbers})
        served_by = WithNginx(context.cluster, nginx)
        stack.callback(served_by.close)
        turns: dict[str, Any] = {}
        blocks, pids = {}, {one.pid for one in served_by.cpu().processes.values()}
        for strategy in strategies:
            logins = await _logins(context, plan, strategy, list(urls))
            for number in numbers:
                name = case(strategy.name, number)
                client = await _client(context, stack, name)
                shown = [Page(one.target, one.headers, _by_any(one.page, list(urls)[:number])) for one in logins]
                await client.connect(nginx.url(str(number)), shown, plan.connections)
                turns[name] = partial(_turn, served_by, client, plan)
                labels = {"kind": "turn", "case": name, "strategy": strategy.name, "replicas": number}
                blocks[name] = context.recorded(turns[name], **labels)
                pids.add(client.pid)
        await _idle(context, served_by, plan.idle_seconds)
        with on_last_core(pids):
            await in_turns(turns, [list(turns)], context.progress.advance)
            await context.take_turns(blocks, plan.rounds)


def _one_of_each_kind(strategies: Sequence[Strategy]) -> Iterator[Strategy]:
    """Yield the control, and the first session and the first token that any replica can serve."""
    for kind in ("control", "session", "token"):
        found = (one for one in strategies if one.kind == kind and "any-replica" in one.capabilities)
        yield from list(found)[:1]


def _say_whether_identifiable(context: Context, replicas: int) -> None:
    """Record that there is no curve if more replicas cannot answer more requests on this machine."""
    needed, there = replicas + OTHERS, len(cores())
    if there < needed:
        reason = f"{replicas} replicas, nginx, Redis and clients need {needed} cores, and there are {there}"
        context.not_measured("requests/s with 1 to N replicas", f"not identifiable on this machine: {reason}")
    else:
        context.not_measured(
            "requests/s with 1 to N replicas", "all processes share one core, so that CPU is comparable"
        )


async def _logins(context: Context, plan: Plan, strategy: Strategy, replicas: Sequence[str]) -> list[Page]:
    place = Place(NGINX, replicas[0], context.cluster.url)
    accounts = await open_accounts(context.cluster, strategy, plan.logins)
    return await pages(context.cluster, place, strategy, accounts)


def _by_any(page: Mapping[str, Any], replicas: Sequence[str]) -> dict[str, Any]:
    """Return *page* as any of *replicas* may serve it."""
    return {**page, "replica": list(replicas)}


async def _client(context: Context, stack: AsyncExitStack, name: str) -> Turns:
    log = context.logs / f"turns-scaling-{name.replace(', ', '-')}.log"
    return await stack.enter_async_context(Turns(name, log))


async def _turn(served_by: WithNginx, client: Turns, plan: Plan) -> Row:
    """Take one turn, and return what it cost everybody. As in `cost`, the first requests are not counted."""
    await client.turn(plan.warm_up)
    before = served_by.cpu()
    turn = await client.turn(plan.requests)
    return {"process": EVERYBODY, **turn, **_by_tier((await quiet(served_by)).since(before))}


async def _idle(context: Context, served_by: WithNginx, seconds: float) -> None:
    """Record what it costs that all are connected and nothing is sent."""
    before = served_by.cpu()
    await asyncio.sleep(seconds)
    context.record(kind="idle", process=EVERYBODY, **_by_tier(served_by.cpu().since(before)))


def _by_tier(used: Mapping[str, CpuUse]) -> dict[str, float]:
    """Return `cpu_TIER` and `elapsed_TIER`, both in seconds, of all processes that serve."""
    columns: dict[str, float] = {}
    for use in used.values():
        if use.tier not in ("loadgen", "proxy"):
            columns[f"cpu_{use.tier}"] = columns.get(f"cpu_{use.tier}", 0.0) + use.seconds
            columns[f"elapsed_{use.tier}"] = max(columns.get(f"elapsed_{use.tier}", 0.0), use.elapsed)
    return columns
