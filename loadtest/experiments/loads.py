"""What experiments make of the load generator's blocks: raw rows, and what they say."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from loadtest.experiments.experiment import BasePlan, Context
from loadtest.load.generator import Generator
from loadtest.results.model import Figure, Row


@dataclass(frozen=True)
class LoadPlan(BasePlan):
    """How many users a strategy has, and for how long each block is not counted."""

    users: int = 24
    warmup: float = 0.2


async def start(context: Context, plan: LoadPlan) -> dict[str, Generator]:
    """Return a generator for every strategy, its users logged in. They serve all experiments and end with the run."""
    generators = context.generators.setdefault(plan.users, {})
    if not generators:
        context.progress.start("logging in the load generator's users", len(context.strategies))
        for strategy in context.strategies:
            log = context.logs / f"locust-{strategy.name}.log"
            generator = Generator(strategy.name, context.cluster.url, plan.users, log)
            generators[strategy.name] = await context.stack.enter_async_context(generator)
            context.progress.advance()
    return generators


async def measure(
    context: Context, plan: LoadPlan, rounds: int, seconds: float, rate: float | None = None, **labels: Any
) -> None:
    """Run a block of every strategy per round and record a row of each; *rate* (requests/s) opens the loop."""

    async def block(generator: Generator) -> Row:
        return (await generator.run_block(context.cluster, plan.warmup, seconds, rate)).row()

    blocks = {
        name: context.recorded(partial(block, generator), strategy=name, **labels)
        for name, generator in (await start(context, plan)).items()
    }
    await context.take_turns(blocks, rounds)


def failed(rows: Sequence[Row]) -> bool:
    """Return whether an answer was wrong, or none came."""
    return any(row["failed"] or not row["requests"] for row in rows)


def failures(experiment: str, strategy: str, rows: Sequence[Row], **labels: str) -> Figure:
    """Return how many of the answers failed, with up to three reasons."""
    examples = sorted({text for row in rows for text in row["failures"].split("; ") if text})[:3]
    if examples:
        labels["example"] = "; ".join(examples)
    wrong, answers = sum(row["failed"] for row in rows), sum(row["requests"] for row in rows)
    return Figure(experiment, strategy, "failed_answers", "count", wrong, n=answers, labels=labels)


def generator_percent(row: Row) -> float:
    """Return how much of one core Locust used."""
    return float(100 * row["generator_cpu"] / row["seconds"])


def other_percent(row: Row) -> float:
    """Return how much of one core went to neither the cluster nor Locust."""
    ours = row["generator_cpu"] + sum(value for name, value in row.items() if name.startswith("cpu_"))
    return float(max(0.0, 100 * (row["machine_busy"] - ours) / row["seconds"]))
