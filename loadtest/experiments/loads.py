"""What experiments make of the load generator's blocks: rounds, costs, and who failed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from loadtest.cluster.protocol import Metered
from loadtest.experiments.experiment import Context
from loadtest.generator import Block, Generator
from loadtest.interleave import interleaved
from loadtest.intervals import Interval

Round = Mapping[str, Block]


@dataclass(frozen=True)
class Load:
    """A generator, and who serves its requests."""

    generator: Generator
    served_by: Metered


async def measure(
    context: Context, loads: Mapping[str, Load], rounds: int, seconds: float, rate: float | None = None
) -> list[Round]:
    """Run a block of each of *loads* per round; *rate* (requests/s) opens the loop."""
    blocks = {
        name: partial(load.generator.run_block, load.served_by, context.plan.warmup, seconds, rate)
        for name, load in loads.items()
    }
    return list(await interleaved(blocks, rounds, context.rng, context.progress.advance))


def failed(name: str, *phases: Sequence[Round]) -> bool:
    """Return whether an answer to *name* was wrong, or none came."""
    return any(one[name].failed or not one[name].requests for rounds in phases for one in rounds if name in one)


def add_failures(context: Context, experiment: str, name: str, blocks: Iterable[Block], **labels: str) -> None:
    """Hand in how many of the answers in *blocks* failed, with up to three reasons."""
    blocks = list(blocks)
    examples = sorted({text for block in blocks for text in block.failures})[:3]
    if examples:
        labels["example"] = "; ".join(examples)
    count = Interval(sum(block.failed for block in blocks), None, None, sum(block.requests for block in blocks))
    context.add(experiment, name, "failed_answers", "count", count, **labels)


def app_us(block: Block) -> float:
    """Return the app tier's CPU microseconds per request."""
    return block.per_request(block.tiers.get("app", 0.0))


def total_us(block: Block) -> float:
    """Return the CPU microseconds per request of all server tiers together."""
    return block.per_request(block.total)


def costs(rounds: Sequence[Round], cost: Callable[[Block], float], name: str) -> list[float]:
    """Return what a request to *name* cost in each round."""
    return [cost(one[name]) for one in rounds]
