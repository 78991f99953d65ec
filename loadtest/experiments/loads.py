"""What experiments make of the load generator's blocks: raw rows, and what they say."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from loadtest.cluster.protocol import Metered
from loadtest.experiments.experiment import Context
from loadtest.generator import Generator
from loadtest.interleave import interleaved
from loadtest.results import Figure, Row


@dataclass(frozen=True)
class Load:
    """A generator, and who serves its requests."""

    generator: Generator
    served_by: Metered


async def start(context: Context, stack: AsyncExitStack) -> dict[str, Load]:
    """Start a generator for every strategy, its users logged in; *stack* ends them."""
    context.progress.start("logging in the load generator's users", len(context.strategies))
    loads = {}
    for strategy in context.strategies:
        log = context.logs / f"locust-{strategy.name}.log"
        generator = Generator(strategy.name, context.cluster.url, context.plan.users, log)
        loads[strategy.name] = Load(await stack.enter_async_context(generator), context.cluster)
        context.progress.advance()
    return loads


async def measure(
    context: Context, loads: Mapping[str, Load], rounds: int, seconds: float, rate: float | None = None, **labels: Any
) -> None:
    """Run a block of each of *loads* per round and record a row of each; *rate* (requests/s) opens the loop."""

    def turn(load: Load) -> Any:
        async def block() -> Row:
            return (await load.generator.run_block(load.served_by, context.plan.warmup, seconds, rate)).row()

        return block

    blocks = {name: context.recorded(turn(load), strategy=name, **labels) for name, load in loads.items()}
    await interleaved(blocks, rounds, context.rng, context.progress.advance)


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
