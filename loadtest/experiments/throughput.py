"""What does a request cost under each strategy? CPU by tier, requests/s, latency (C7). Method: DESIGN §6.2 to §6.5."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from itertools import combinations

from loadtest.experiments.experiment import Context
from loadtest.generator import Block, Generator
from loadtest.intervals import Interval, mean_interval, percentile_intervals, ratio_interval

EXPERIMENT = "throughput"
PERCENTILES = (50.0, 90.0, 99.0, 99.9)
NULL = "null"

Round = Mapping[str, Block]


async def run(context: Context) -> None:
    """Measure closed-loop blocks, then open-loop blocks at a rate that the slowest strategy sustains."""
    names = [strategy.name for strategy in context.strategies]
    control = _control(context)
    async with AsyncExitStack() as stack:
        generators = await _start(context, stack)
        if control:
            generators[NULL] = generators[control]
        context.progress.start("closed loop: CPU and requests/s", context.plan.rounds * len(generators))
        closed = await _rounds(context, generators, context.plan.rounds, context.plan.seconds, None)
        generators.pop(NULL, None)
        rate = _rate(context, names, closed)
        context.progress.start(f"open loop: latency at {rate:.0f} requests/s", context.plan.open_rounds * len(names))
        opened = await _rounds(context, generators, context.plan.open_rounds, context.plan.open_seconds, rate)
    _failures(context, names, closed, opened)
    for name in names:
        if not _failed(name, closed, opened):
            _closed_figures(context, name, [one[name] for one in closed])
            _latency_figures(context, name, [one[name] for one in opened])
    if control and not any(_failed(name, closed) for name in (*names, NULL)):
        _ratio_figures(context, names, control, closed)
    _machine_figures(context, closed, opened)


def _control(context: Context) -> str | None:
    return next((strategy.name for strategy in context.strategies if strategy.is_control), None)


async def _start(context: Context, stack: AsyncExitStack) -> dict[str, Generator]:
    context.progress.start("logging in the load generator's users", len(context.strategies))
    generators = {}
    for strategy in context.strategies:
        log = context.logs / f"locust-{strategy.name}.log"
        generator = Generator(strategy.name, context.cluster.url, context.plan.users, log)
        generators[strategy.name] = await stack.enter_async_context(generator)
        context.progress.advance()
    return generators


async def _rounds(
    context: Context, generators: Mapping[str, Generator], rounds: int, seconds: float, rate: float | None
) -> list[Round]:
    measured: list[Round] = []
    for _ in range(rounds):
        order = list(generators)
        context.rng.shuffle(order)
        blocks = {}
        for name in order:
            blocks[name] = await generators[name].run_block(context.cluster, context.plan.warmup, seconds, rate)
            context.progress.advance()
        measured.append(blocks)
    return measured


def _rate(context: Context, names: Sequence[str], closed: Sequence[Round]) -> float:
    """Return the stated fraction of what the slowest strategy did in the closed loop, the same for all."""
    slowest = min(sum(one[name].requests / one[name].seconds for one in closed) / len(closed) for name in names)
    return max(1.0, float(round(context.plan.open_fraction * slowest)))


def _failed(name: str, *phases: Sequence[Round]) -> bool:
    return any(one[name].failed or not one[name].requests for rounds in phases for one in rounds if name in one)


def _failures(context: Context, names: Sequence[str], *phases: Sequence[Round]) -> None:
    for name in names:
        blocks = [one[key] for rounds in phases for one in rounds for key in one if one[key].strategy == name]
        total = sum(block.requests for block in blocks)
        examples = sorted({text for block in blocks for text in block.failures})[:3]
        failed = Interval(sum(block.failed for block in blocks), None, None, total)
        labels = {"example": "; ".join(examples)} if examples else {}
        context.add(EXPERIMENT, name, "failed_answers", "count", failed, **labels)


def _closed_figures(context: Context, name: str, blocks: Sequence[Block]) -> None:
    def add(metric: str, unit: str, samples: Sequence[float], **labels: str) -> None:
        context.add(EXPERIMENT, name, metric, unit, mean_interval(samples, context.rng), **labels)

    add("throughput", "requests/s", [block.requests / block.seconds for block in blocks], loop="closed")
    for tier in sorted(blocks[0].tiers):
        add("cpu_per_request", "us", [_us(block, block.tiers[tier]) for block in blocks], tier=tier)
    add("cpu_per_request", "us", [_us(block, block.generator_cpu) for block in blocks], tier="loadgen")
    add("cpu_per_request", "us", [_us(block, sum(block.tiers.values())) for block in blocks], tier="total")
    add("generator_cpu", "%", [100 * block.generator_share for block in blocks], loop="closed")


def _us(block: Block, seconds: float) -> float:
    return 1e6 * seconds / block.requests


def _latency_figures(context: Context, name: str, blocks: Sequence[Block]) -> None:
    found = percentile_intervals([block.latency for block in blocks], PERCENTILES, context.rng)
    for percentile, interval in zip(PERCENTILES, found, strict=True):
        labels = {"percentile": f"p{percentile:g}", "rate": f"{blocks[0].rate:g}", "loop": "open"}
        context.add(EXPERIMENT, name, "latency", "us", interval, **labels)
    shares = mean_interval([100 * block.generator_share for block in blocks], context.rng)
    context.add(EXPERIMENT, name, "generator_cpu", "%", shares, loop="open")


def _ratio_figures(context: Context, names: Sequence[str], control: str, closed: Sequence[Round]) -> None:
    """Ratios within rounds: the app tier to the control, all tiers of every pair, and the null test (DESIGN §6.4)."""
    app = partial(_costs, closed, lambda block: block.tiers.get("app", 0.0))
    total = partial(_costs, closed, lambda block: sum(block.tiers.values()))
    _add_ratios(context, "app", [(name, control, app) for name in names if name != control])
    _add_ratios(context, "total", [(name, over, total) for over, name in combinations(names, 2)])
    null = ratio_interval(total(NULL), total(control), context.rng)
    context.add(EXPERIMENT, control, "null_ratio", "ratio", null, null="true", tier="total")


def _add_ratios(context: Context, tier: str, pairs: Sequence[tuple[str, str, Callable[[str], list[float]]]]) -> None:
    for name, over, costs in pairs:
        if min(costs(over)) > 0 and min(costs(name)) > 0:
            ratio = ratio_interval(costs(name), costs(over), context.rng)
            context.add(EXPERIMENT, name, "cpu_ratio", "ratio", ratio, tier=tier, over=over)


def _costs(rounds: Sequence[Round], seconds: Callable[[Block], float], name: str) -> list[float]:
    return [seconds(one[name]) / one[name].requests for one in rounds]


def _machine_figures(context: Context, *phases: Sequence[Round]) -> None:
    """How busy the machine was with something that is neither the cluster nor the generator."""
    shares = [100 * block.other_share for rounds in phases for one in rounds for block in one.values()]
    context.add(EXPERIMENT, "machine", "other_cpu", "%", mean_interval(shares, context.rng))
