"""What does it cost, and how long does it take, at your traffic? The same fixed arrival rate for every strategy.

A replica that is woken for each request pays for waking up, which a busy one does not: here that is part of the bill.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence

import numpy as np
from hdrh.histogram import HdrHistogram

from loadtest.experiments.experiment import Context, figure, tier_seconds, whole_rounds
from loadtest.experiments.loads import failed, failures, generator_percent, start
from loadtest.experiments.loads import measure as measure_blocks
from loadtest.load.generator import cpu_between, cpu_row
from loadtest.results.model import Config, Figure, Row
from loadtest.statistics.estimates import Rng, centre, percentile_intervals

EXPERIMENT = "traffic"
LEVELS = ("low", "high")
PERCENTILES = (50.0, 90.0, 99.0, 99.9)
BEYOND = 10
"""How many answers must be slower than a percentile that is shown."""


async def measure(context: Context) -> None:
    """Find the slowest strategy's capacity, then ask all of them at two fractions of it."""
    plan = context.plan
    generators = await start(context)
    await _idle(context)
    context.progress.start("closed loop: which strategy is slowest?", len(generators))
    await measure_blocks(context, 1, plan.closed_seconds, phase="capacity")
    capacity = _capacity(context.rows)
    for level, fraction in zip(LEVELS, (plan.traffic_low, plan.traffic_high), strict=True):
        rate = max(1.0, float(round(fraction * capacity)))
        context.progress.start(f"{level} traffic: {rate:.0f} requests/s", plan.traffic_rounds * len(generators))
        await measure_blocks(context, plan.traffic_rounds, plan.traffic_seconds, rate, phase=level)


async def _idle(context: Context) -> None:
    """Record what the cluster costs while nobody asks it anything."""
    before, began = context.cluster.cpu(), time.perf_counter()
    await asyncio.sleep(context.plan.idle_seconds)
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
        found.append(failures(EXPERIMENT, name, mine))
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
    """Return how many cores each tier uses while nobody asks."""
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
        found.append(figure(EXPERIMENT, name, "cores_per_1000", "cores", cores, tier=tier, **labels))
    found += _latency(name, blocks, rng, loop="open", **labels)
    share = centre([generator_percent(row) for row in blocks])
    found.append(figure(EXPERIMENT, name, "generator_cpu", "%", share, loop="open", **labels))
    refreshes, answers = (sum(row[what] for row in blocks) for what in ("others", "answers"))
    return [*found, Figure(EXPERIMENT, name, "refreshes", "count", refreshes, n=answers, labels=labels)]


def _latency(name: str, blocks: Sequence[Row], rng: Rng, **labels: str) -> list[Figure]:
    """Return the percentiles that enough answers are beyond."""
    histograms = [HdrHistogram.decode(row["latency"]) for row in blocks]
    answers = sum(histogram.get_total_count() for histogram in histograms)
    shown = [p for p in PERCENTILES if p == PERCENTILES[0] or round(answers * (100 - p)) >= 100 * BEYOND]
    intervals = percentile_intervals(histograms, shown, rng)
    return [
        figure(EXPERIMENT, name, "latency", "us", interval, percentile=f"p{percentile:g}", **labels)
        for percentile, interval in zip(shown, intervals, strict=True)
    ]
