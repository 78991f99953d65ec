"""Who goes first? Balanced orders, so that neither position nor predecessor favours anybody."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import TypeVar

import numpy as np

K = TypeVar("K")
T = TypeVar("T")


def williams(k: int) -> list[tuple[int, ...]]:
    """Return orders of `range(k)` in which each is equally often in each place and right behind each other one.

    (Williams 1949.) There are k orders if k is even, 2k if it is odd (one if it is 1).
    """
    if k < 1:
        raise ValueError("an order needs at least one contestant")
    first = list(chain.from_iterable(zip(range(k), range(k - 1, -1, -1), strict=True)))[:k]
    square = [tuple((place + shift) % k for place in first) for shift in range(k)]
    return square if k % 2 == 0 or k == 1 else square + [row[::-1] for row in square]


def balanced_orders(names: Sequence[K], rounds: int, rng: np.random.Generator) -> list[list[K]]:
    """Return *rounds* orders of *names*: whole Williams squares, their labels shuffled, all their rows in random order.

    The balance is exact if *rounds* is a multiple of `len(williams(len(names)))`. If it is not, the last square is cut
    short: nobody is then more than one round ahead in any place (two, if the number of names is odd).
    """
    rows = williams(len(names))
    orders: list[list[K]] = []
    while len(orders) < rounds:
        labels = rng.permutation(len(names))
        orders += [[names[labels[place]] for place in row] for row in rows[: rounds - len(orders)]]
    return [orders[index] for index in rng.permutation(len(orders))]


async def in_turns(
    blocks: Mapping[K, Callable[[], Awaitable[T]]], orders: Iterable[Sequence[K]], advance: Callable[[], None]
) -> list[dict[K, T]]:
    """Run *blocks* one after the other, a round for each of *orders*, and call *advance* after each block.

    Return, round by round, what each gave, in the order of *blocks*.
    """
    measured = []
    for order in orders:
        one = {}
        for name in order:
            one[name] = await blocks[name]()
            advance()
        measured.append({name: one[name] for name in blocks})
    return measured
