"""What does the framework cost before anything of ours runs? The control, asked at a replica, over a bare server."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from loadtest.bare_process import NAME, BareServer
from loadtest.client import Strategy
from loadtest.cluster.protocol import Metered
from loadtest.experiments.experiment import Context
from loadtest.experiments.loads import Load, Round, add_failures, app_us, costs, failed, measure
from loadtest.generator import Generator
from loadtest.intervals import mean_interval, ratio_interval

EXPERIMENT = "floor"
REPLICA, BARE = "replica", "bare"


async def run(context: Context) -> None:
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
        _warm_up, *measured = await measure(context, loads, rounds, context.plan.seconds)
    for name in loads:
        add_failures(context, EXPERIMENT, control.name, [one[name] for one in measured], server=name)
    if not any(failed(name, measured) for name in loads):
        _figures(context, control.name, measured)


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


def _figures(context: Context, control: str, measured: Sequence[Round]) -> None:
    replica, bare = (costs(measured, app_us, name) for name in (REPLICA, BARE))
    for name, samples in ((REPLICA, replica), (BARE, bare)):
        cost = mean_interval(samples, context.rng)
        context.add(EXPERIMENT, control, "direct_cpu_per_request", "us", cost, server=name)
    ratio = ratio_interval(replica, bare, context.rng)
    context.add(EXPERIMENT, control, "floor_ratio", "ratio", ratio, over=NAME)
