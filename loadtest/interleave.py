"""Blocks that take turns, in random order within each round (DESIGN §6.3): what changes slowly hits all alike."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from loadtest.intervals import Rng

K = TypeVar("K")
T = TypeVar("T")


async def interleaved(
    blocks: Mapping[K, Callable[[], Awaitable[T]]], rounds: int, rng: Rng, advance: Callable[[], None]
) -> list[dict[K, T]]:
    """Run each of *blocks* once per round and call *advance* after each.

    Return, round by round, what each gave, in the order of *blocks*: who was first in a round is left to chance.
    """
    measured = []
    for _ in range(rounds):
        order = list(blocks)
        rng.shuffle(order)
        one = {}
        for name in order:
            one[name] = await blocks[name]()
            advance()
        measured.append({name: one[name] for name in blocks})
    return measured
