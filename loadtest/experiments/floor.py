"""What does the framework cost before anything of ours runs? The control, asked at a replica, over a bare server."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

import numpy as np

from loadtest.bare_process import NAME, BareServer
from loadtest.client import Strategy
from loadtest.cluster.protocol import Metered
from loadtest.experiments.experiment import Context, figure, whole_rounds
from loadtest.experiments.loads import Load, failed, failures
from loadtest.experiments.loads import measure as measure_loads
from loadtest.generator import Generator
from loadtest.intervals import Rng, mean_interval, ratio_interval
from loadtest.results import Config, Figure, Row

EXPERIMENT = "floor"
REPLICA, BARE = "replica", "bare"


async def measure(context: Context) -> None:
    """Let the same users read the same page from both, in turns; the first round is warm-up and thrown away.

    Nothing is measured where there is no control, or where replicas cannot be reached past the load balancer. There are
    no figures of the generator: it is the bottleneck by design, and CPU per request holds all the same.
    """
    control, urls = context.control(), list(context.cluster.replica_urls().values())
    if control is None or not urls:
        return
    rounds = 1 + context.plan.floor_rounds
    context.progress.start("a bare server beside one replica", 2 * rounds)
    async with AsyncExitStack() as stack:
        loads = await _start(context, control, urls[0], stack)
        await measure_loads(context, loads, rounds, context.plan.seconds)


def analyse(rows: Sequence[Row], config: Config) -> list[Figure]:
    """Return the CPU of both, and their ratio within rounds."""
    control = next((name for name, facts in config["strategies"].items() if facts["kind"] == "control"), "")
    measured = whole_rounds([row for row in rows if row["round"]])
    if not measured:
        return []
    found = [failures(EXPERIMENT, control, [one[name] for one in measured], server=name) for name in measured[0]]
    if not any(failed([one[name] for one in measured]) for name in measured[0]):
        found += _figures(control, measured, np.random.default_rng(config["seed"]))
    return found


async def _start(context: Context, control: Strategy, replica: str, stack: AsyncExitStack) -> dict[str, Load]:
    """Start the bare server, which copies the replica's page, and a generator for each of the two."""
    page = f"{replica}/{control.name}/mypage"
    bare = await stack.enter_async_context(await BareServer.like(page, context.logs / "bare-server.log"))
    servers: dict[str, tuple[str, Metered]] = {REPLICA: (replica, context.cluster), BARE: (bare.url, bare)}
    loads = {}
    for name, (url, served_by) in servers.items():
        generator = Generator(control.name, url, context.plan.users, context.logs / f"locust-floor-{name}.log")
        loads[name] = Load(await stack.enter_async_context(generator), served_by)
    return loads


def _figures(control: str, measured: Sequence[Mapping[str, Row]], rng: Rng) -> list[Figure]:
    costs = {n: [1e6 * one[n]["cpu_app"] / one[n]["requests"] for one in measured] for n in (REPLICA, BARE)}
    found = [
        figure(EXPERIMENT, control, "direct_cpu_per_request", "us", mean_interval(samples, rng), server=name)
        for name, samples in costs.items()
    ]
    ratio = ratio_interval(costs[REPLICA], costs[BARE], rng)
    return [*found, figure(EXPERIMENT, control, "floor_ratio", "ratio", ratio, over=NAME)]
