"""Blocks take turns."""

from functools import partial

import numpy as np

from loadtest.interleave import interleaved

NAMES = ("a", "b", "c")


async def test_every_block_runs_once_per_round_in_an_order_that_changes() -> None:
    ran: list[str] = []

    async def block(name: str) -> int:
        ran.append(name)
        return len(ran)

    advanced: list[None] = []
    blocks = {name: partial(block, name) for name in NAMES}
    rounds = await interleaved(blocks, 12, np.random.default_rng(2), lambda: advanced.append(None))
    orders = [tuple(ran[start : start + 3]) for start in range(0, 36, 3)]
    assert {tuple(sorted(order)) for order in orders} == {NAMES}
    assert len(set(orders)) > 3
    assert len(advanced) == 36
    assert [[one[name] for name in order] for one, order in zip(rounds, orders, strict=True)] == [
        [3 * number + 1, 3 * number + 2, 3 * number + 3] for number in range(12)
    ]
    assert {tuple(one) for one in rounds} == {NAMES}
