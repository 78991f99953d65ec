"""What does a request cost under each strategy? CPU by tier, requests/s, latency (C7). Method: DESIGN §6.2 to §6.5."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from itertools import combinations

from loadtest.experiments.experiment import Context
from loadtest.experiments.loads import Load, Round, add_failures, app_us, costs, failed, measure, total_us
from loadtest.generator import Block, Generator
from loadtest.intervals import mean_interval, percentile_intervals, ratio_interval

EXPERIMENT = "throughput"
PERCENTILES = (50.0, 90.0, 99.0, 99.9)
NULL = "null"

Costs = Callable[[str], list[float]]
"""What a request to a strategy cost, round by round."""


async def run(context: Context) -> None:
    """Measure closed-loop blocks, then open-loop blocks at a rate that the slowest strategy sustains."""
    plan, control = context.plan, context.control()
    names = [strategy.name for strategy in context.strategies]
    async with AsyncExitStack() as stack:
        loads = await _start(context, stack)
        twice = {NULL: loads[control.name]} if control else {}
        context.progress.start("closed loop: CPU and requests/s", plan.rounds * len(loads | twice))
        closed = await measure(context, loads | twice, plan.rounds, plan.seconds)
        rate = _rate(context, names, closed)
        context.progress.start(f"open loop: latency at {rate:.0f} requests/s", plan.open_rounds * len(loads))
        opened = await measure(context, loads, plan.open_rounds, plan.open_seconds, rate)
    for name in names:
        blocks = (block for one in (*closed, *opened) for block in one.values() if block.strategy == name)
        add_failures(context, EXPERIMENT, name, blocks)
        if not failed(name, closed, opened):
            _closed_figures(context, name, [one[name] for one in closed])
            _latency_figures(context, name, [one[name] for one in opened])
    if control and not any(failed(name, closed) for name in (*names, NULL)):
        _ratio_figures(context, names, control.name, closed)
    _machine_figures(context, closed, opened)


async def _start(context: Context, stack: AsyncExitStack) -> dict[str, Load]:
    context.progress.start("logging in the load generator's users", len(context.strategies))
    loads = {}
    for strategy in context.strategies:
        log = context.logs / f"locust-{strategy.name}.log"
        generator = Generator(strategy.name, context.cluster.url, context.plan.users, log)
        loads[strategy.name] = Load(await stack.enter_async_context(generator), context.cluster)
        context.progress.advance()
    return loads


def _rate(context: Context, names: Sequence[str], closed: Sequence[Round]) -> float:
    """Return the stated fraction of what the slowest strategy did in the closed loop, the same for all."""
    slowest = min(sum(one[name].requests / one[name].seconds for one in closed) / len(closed) for name in names)
    return max(1.0, float(round(context.plan.open_fraction * slowest)))


def _closed_figures(context: Context, name: str, blocks: Sequence[Block]) -> None:
    def add(metric: str, unit: str, samples: Sequence[float], **labels: str) -> None:
        context.add(EXPERIMENT, name, metric, unit, mean_interval(samples, context.rng), **labels)

    add("throughput", "requests/s", [block.requests / block.seconds for block in blocks], loop="closed")
    for tier in sorted(blocks[0].tiers):
        add("cpu_per_request", "us", [block.per_request(block.tiers[tier]) for block in blocks], tier=tier)
    add("cpu_per_request", "us", [block.per_request(block.generator_cpu) for block in blocks], tier="loadgen")
    add("cpu_per_request", "us", [total_us(block) for block in blocks], tier="total")
    add("generator_cpu", "%", [100 * block.generator_share for block in blocks], loop="closed")


def _latency_figures(context: Context, name: str, blocks: Sequence[Block]) -> None:
    found = percentile_intervals([block.latency for block in blocks], PERCENTILES, context.rng)
    for percentile, interval in zip(PERCENTILES, found, strict=True):
        labels = {"percentile": f"p{percentile:g}", "rate": f"{blocks[0].rate:g}", "loop": "open"}
        context.add(EXPERIMENT, name, "latency", "us", interval, **labels)
    shares = mean_interval([100 * block.generator_share for block in blocks], context.rng)
    context.add(EXPERIMENT, name, "generator_cpu", "%", shares, loop="open")


def _ratio_figures(context: Context, names: Sequence[str], control: str, closed: Sequence[Round]) -> None:
    """Ratios within rounds: every pair, the control always below the line, and the null test (DESIGN §6.4)."""
    total = partial(costs, closed, total_us)
    pairs = list(combinations(sorted(names, key=lambda name: name != control), 2))
    _add_ratios(context, "app", pairs, partial(costs, closed, app_us))
    _add_ratios(context, "total", pairs, total)
    null = ratio_interval(total(NULL), total(control), context.rng)
    context.add(EXPERIMENT, control, "null_ratio", "ratio", null, null="true", tier="total")


def _add_ratios(context: Context, tier: str, pairs: Sequence[tuple[str, str]], cost: Costs) -> None:
    for over, name in pairs:
        if min(cost(over)) > 0 and min(cost(name)) > 0:
            ratio = ratio_interval(cost(name), cost(over), context.rng)
            context.add(EXPERIMENT, name, "cpu_ratio", "ratio", ratio, tier=tier, over=over)


def _machine_figures(context: Context, *phases: Sequence[Round]) -> None:
    """How busy the machine was with something that is neither the cluster nor the generator."""
    shares = [100 * block.other_share for rounds in phases for one in rounds for block in one.values()]
    context.add(EXPERIMENT, "machine", "other_cpu", "%", mean_interval(shares, context.rng))
