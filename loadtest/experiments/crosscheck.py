"""CPU per request by two instruments: wrk, and the turns of the experiment `cost`, at one replica past nginx."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import aiohttp

from loadtest.cluster.cores import on_last_core
from loadtest.cluster.protocol import Cluster, ClusterError, Metered
from loadtest.experiments.compare import conditions
from loadtest.experiments.correctness import is_page
from loadtest.experiments.cost.figures import analyse
from loadtest.experiments.cost.turns import Plan, measure
from loadtest.experiments.experiment import Context, Progress
from loadtest.experiments.people import log_in
from loadtest.experiments.rows import figure
from loadtest.load.bare_process import NAME, BareServer
from loadtest.load.client import Client, Strategy, control_of, register, strategies_of
from loadtest.load.generator import cpu_between
from loadtest.load.wrk import Wrk
from loadtest.results.model import Figure
from loadtest.statistics.estimates import Rng, centre, ratio
from loadtest.statistics.orders import balanced_orders, in_turns

CROSSCHECK = "crosscheck"
TURNS = Plan(cycles=6, rounds_nginx=0)


async def crosscheck(
    cluster: Cluster, wrk: Wrk, rounds: int, progress: Progress, rng: Rng, logs: Path, plan: Plan = TURNS
) -> list[Figure]:
    """Measure the one replica of *cluster* under every strategy, and a bare server, first by wrk and then in turns.

    Return the figures of both: those of `crosscheck` are wrk's, those of `cost` are made as in `compare`. Raises
    `ClusterError` unless there is one replica, which can be reached, and a control; `GeneratorError` and `WrongAnswer`
    for any answer that is not good.
    """
    strategies = await strategies_of(cluster.url)
    control, urls = control_of(strategies), list(cluster.replica_urls().values())
    if len(urls) != 1 or control is None:
        raise ClusterError("a cross-check needs a control, and exactly one replica that can be reached from here")
    async with AsyncExitStack() as stack:
        connector = await stack.enter_async_context(aiohttp.TCPConnector())
        page = f"/{control.name}/mypage"
        bare = await stack.enter_async_context(await BareServer.like(urls[0] + page, logs / "bare-server.log"))
        blocks = {NAME: partial(_cost, bare, wrk, bare.url + page, {})}
        blocks |= {one.name: partial(_strategy, cluster, urls[0], wrk, one, connector) for one in strategies}
        progress.start("wrk at one replica", (1 + rounds) * len(blocks))
        served = {**cluster.cpu().processes, **bare.cpu().processes}
        with on_last_core(process.pid for process in served.values() if process.tier in ("app", "redis")):
            await in_turns(blocks, [list(blocks)], progress.advance)  # warms up
            measured = await in_turns(blocks, balanced_orders(list(blocks), rounds, rng), progress.advance)
    context = Context(cluster, strategies, progress, rng, logs)
    await measure(context, replace(plan, connections=wrk.connections))
    turns = analyse(context.rows, conditions(cluster, strategies, seed=0, plan={}))
    return [*figures(measured, control.name), *turns]


def figures(measured: Sequence[Mapping[str, float]], control: str) -> list[Figure]:
    """Return costs, and ratios within rounds: of strategies to the control, of the control to the bare server.

    *measured*: CPU microseconds per request, round by round.
    """
    samples = {name: [one[name] for one in measured] for name in measured[0]}
    below = dict.fromkeys(samples, control) | {control: NAME}
    found = []
    for name, costs in samples.items():
        found.append(figure(CROSSCHECK, name, "cpu_per_request", "us", centre(costs)))
        if name != NAME:
            over = ratio(costs, samples[below[name]])
            found.append(figure(CROSSCHECK, name, "cpu_ratio", "ratio", over, over=below[name]))
    return found


async def _strategy(
    cluster: Cluster, replica: str, wrk: Wrk, strategy: Strategy, connector: aiohttp.BaseConnector
) -> float:
    """Log in anew through the load balancer, so that no token grows old, and ask the replica itself for the page."""
    path = f"/{strategy.name}/mypage"
    async with Client(cluster.url, strategy, connector) as device:
        account = None if strategy.is_control else await register(device)
        if account:
            await log_in(device, account)
        is_page(strategy, await device.mypage(), account)
        return await _cost(cluster, wrk, replica + path, device.credential(path))


async def _cost(served_by: Metered, wrk: Wrk, url: str, headers: Mapping[str, str]) -> float:
    """Return the app tier's CPU microseconds per request."""
    before = served_by.cpu()
    requests = await wrk.run(url, headers)
    return 1e6 * cpu_between(before, served_by.cpu())["app"] / requests
