"""What does it cost, and how long does it take, at your traffic? The same fixed arrival rate for every strategy.

A replica that is woken for each request pays for waking up, which a busy one does not: here that is part of the bill.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from hdrh.histogram import HdrHistogram

from loadtest.experiments.experiment import Context, Experiment
from loadtest.experiments.loads import LoadPlan, failed, failures, generator_percent, start
from loadtest.experiments.loads import measure as measure_blocks
from loadtest.experiments.rows import figure, tier_seconds, whole_rounds
from loadtest.load.generator import cpu_between, cpu_row
from loadtest.report.differences import Compared
from loadtest.report.drawing import Axes, colour, errors, panels, rows
from loadtest.report.plot import Plot
from loadtest.results.model import Config, Figure, Row
from loadtest.results.numbers import number
from loadtest.results.view import View
from loadtest.statistics.estimates import Rng, centre, percentile_intervals

NAME = "traffic"
LEVELS = ("low", "high")
ENDS = ("p50", "p99")
PERCENTILES = (50.0, 90.0, 99.0, 99.9)
BEYOND = 10
"""How many answers must be slower than a percentile that is shown."""


@dataclass(frozen=True)
class Plan(LoadPlan):
    """The number of rounds and the length of a block, at two fractions of what the slowest strategy can answer.

    *capacity_seconds*: how long to look at that. *idle_seconds*: how long to watch an idle cluster.
    """

    rounds: int = 4
    seconds: float = 0.7
    low: float = 0.1
    high: float = 0.5
    capacity_seconds: float = 0.4
    idle_seconds: float = 2.0


async def measure(context: Context, plan: Plan) -> None:
    """Find the slowest strategy's capacity, then ask all of them at two fractions of it."""
    generators = await start(context, plan)
    await _idle(context, plan.idle_seconds)
    context.progress.start("closed loop: which strategy is slowest?", len(generators))
    await measure_blocks(context, plan, 1, plan.capacity_seconds, phase="capacity")
    capacity = _capacity(context.rows)
    for level, fraction in zip(LEVELS, (plan.low, plan.high), strict=True):
        rate = max(1.0, float(round(fraction * capacity)))
        context.progress.start(f"{level} traffic: {rate:.0f} requests/s", plan.rounds * len(generators))
        await measure_blocks(context, plan, plan.rounds, plan.seconds, rate, phase=level)


async def _idle(context: Context, seconds: float) -> None:
    """Record what an idle cluster costs."""
    before, began = context.cluster.cpu(), time.perf_counter()
    await asyncio.sleep(seconds)
    after, took = context.cluster.cpu(), time.perf_counter() - began
    context.record(phase="idle", elapsed=took, **cpu_row(cpu_between(before, after)))


def _capacity(rows: Sequence[Row]) -> float:
    """Return how many requests/s the slowest strategy answers when as many ask as can."""
    return min(float(row["requests"] / row["seconds"]) for row in rows if row["phase"] == "capacity")


def analyse(rows: Sequence[Row], config: Config) -> list[Figure]:
    """Return the bill and the latency of each level; nothing but the failures of a strategy that answered wrongly."""
    blocks = [row for row in rows if row["phase"] != "idle"]
    idle = _idle_cores(rows)
    found, bad = [], set()
    for name in (name for name in config["strategies"] if any(row["strategy"] == name for row in blocks)):
        mine = [row for row in blocks if row["strategy"] == name]
        found.append(failures(NAME, name, mine))
        if failed(mine):
            bad.add(name)
    rng = np.random.default_rng(config["seed"])
    for level in LEVELS:
        rounds = whole_rounds([row for row in blocks if row["phase"] == level], config["strategies"])
        for name in rounds[0] if rounds else ():
            if name not in bad:
                found += _figures(name, level, [one[name] for one in rounds], idle, rng)
    return found


def _idle_cores(rows: Sequence[Row]) -> dict[str, float]:
    """Return how many cores each tier uses while idle."""
    return next(
        ({t: used / row["elapsed"] for t, used in tier_seconds(row).items()} for row in rows if row["phase"] == "idle"),
        {},
    )


def _figures(name: str, level: str, blocks: Sequence[Row], idle: Mapping[str, float], rng: Rng) -> list[Figure]:
    labels = {"level": level, "rate": f"{blocks[0]['rate']:g}"}
    bills = [
        {tier: 1e3 * (used - idle.get(tier, 0.0) * row["elapsed"]) / row["answers"] for tier, used in tiers.items()}
        for row, tiers in ((row, tier_seconds(row)) for row in blocks)
    ]
    found = []
    for tier in sorted(bills[0]):
        cores = centre([bill[tier] for bill in bills])
        found.append(figure(NAME, name, "cores_per_1000", "cores", cores, tier=tier, **labels))
    found += _latency(name, blocks, rng, loop="open", **labels)
    share = centre([generator_percent(row) for row in blocks])
    found.append(figure(NAME, name, "generator_cpu", "%", share, loop="open", **labels))
    refreshes, answers = (sum(row[what] for row in blocks) for what in ("others", "answers"))
    return [*found, Figure(NAME, name, "refreshes", "count", refreshes, n=answers, labels=labels)]


def _latency(name: str, blocks: Sequence[Row], rng: Rng, **labels: str) -> list[Figure]:
    """Return the percentiles that enough answers are beyond."""
    histograms = [HdrHistogram.decode(row["latency"]) for row in blocks]
    answers = sum(histogram.get_total_count() for histogram in histograms)
    shown = [p for p in PERCENTILES if p == PERCENTILES[0] or round(answers * (100 - p)) >= 100 * BEYOND]
    intervals = percentile_intervals(histograms, shown, rng)
    return [
        figure(NAME, name, "latency", "us", interval, percentile=f"p{percentile:g}", **labels)
        for percentile, interval in zip(shown, intervals, strict=True)
    ]


def sentences(view: View) -> Iterator[str]:
    """Refreshes that were part of the bill at your traffic."""
    done = sum(figure.value for figure in view.figures("refreshes"))
    if done:
        yield f"The bill at your traffic includes {number(done)} token refreshes."


def draw(axes: Axes, view: View) -> None:
    """A panel per level of traffic, with a range per strategy: from the median (dot) to the 99th percentile (bar)."""
    from matplotlib.ticker import LogLocator, NullLocator  # it takes a second to load, and not every command draws

    levels = [level for level in ("low", "high") if view.figures("latency", level=level)]
    names = view.strategies("latency")
    drawn = panels(axes, len(levels))
    for panel, level in zip(drawn, levels, strict=True):
        for place, name in enumerate(names):
            _range(panel, view, name, level, place)
        rate = view.figures("latency", level=level)[0].labels.get("rate", "0")
        panel.set_title(f"{level} traffic, {number(float(rate))} requests/s", fontsize="small")
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        panel.tick_params(axis="x", labelsize="small")
        panel.set_xlabel("ms")
        rows(panel, [view.named(name) for name in names])


def _range(axes: Axes, view: View, name: str, level: str, place: int) -> None:
    ends = [view.one("latency", name, level=level, percentile=end) for end in ENDS]
    known = [_ms(end) for end in ends if end]
    tint = colour(view, name)
    if len(known) == len(ENDS):
        axes.plot([f.value for f in known], [place, place], color=tint, linewidth=4, alpha=0.3, solid_capstyle="butt")
    for end, mark in zip(known, "o|", strict=False):
        axes.errorbar(end.value, place, xerr=errors([end]), fmt=mark, color=tint, markersize=7 if mark == "o" else 13)


def _ms(figure: Figure) -> Figure:
    low, high = (None if end is None else end / 1000 for end in (figure.ci_low, figure.ci_high))
    return Figure(figure.experiment, figure.strategy, figure.metric, "ms", figure.value / 1000, low, high, figure.n)


PLOT = Plot(
    "latency",
    "latency",
    "Latency at the same rate for all",
    "From the median (dot) to the 99th percentile (bar), counted from when each request should have started. Thin "
    "lines are 95 % intervals. Further left is better. A missing bar means too few answers for that percentile.",
    draw,
    2.6,
    0.25,
)
EXPERIMENT = Experiment(
    name=NAME,
    question="What does it cost, and how fast is it, at your traffic?",
    quick=Plan(),
    full=Plan(rounds=12, seconds=1.5, capacity_seconds=0.8, idle_seconds=10.0),
    seconds=(75, 360),
    measure=measure,
    analyse=analyse,
    plots=(PLOT,),
    sentences=sentences,
    method=(
        "Latency comes from a fixed schedule of arrivals, and counts from the moment at which a request should have "
        "started.",
    ),
    compared=(
        Compared("cores_per_1000", "cores per 1,000 requests/s, {level} traffic", {"tier": "total"}),
        Compared("latency", "{percentile} latency, {level} traffic", {"percentile": "p50"}, margin=0.25),
        Compared("latency", "{percentile} latency, {level} traffic", {"percentile": "p99"}, margin=0.5),
    ),
)
