"""Balanced orders, and blocks that run in them."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from loadtest.statistics.multiple import family_confidence
from loadtest.statistics.orders import balanced_orders, in_turns, williams

NAMES = ("a", "b", "c")


def places(orders: Sequence[Sequence[object]]) -> Counter[tuple[int, object]]:
    return Counter(placed for order in orders for placed in enumerate(order))


def neighbours(orders: Sequence[Sequence[object]]) -> Counter[tuple[object, object]]:
    return Counter(pair for order in orders for pair in pairwise(order))


@pytest.mark.parametrize("k", range(2, 13))
def test_each_contestant_is_equally_often_in_each_place_and_after_each_other_one(k: int) -> None:
    rows = williams(k)
    times = 1 if k % 2 == 0 else 2
    assert len(rows) == times * k
    assert places(rows) == {(place, who): times for place in range(k) for who in range(k)}
    assert neighbours(rows) == {(who, other): times for who in range(k) for other in range(k) if who != other}


def test_one_contestant_has_one_order_and_no_contestants_have_none() -> None:
    assert williams(1) == [(0,)]
    with pytest.raises(ValueError, match="at least one contestant"):
        williams(0)


@pytest.mark.parametrize(("k", "rounds"), [(2, 20), (3, 12), (8, 24), (9, 36)])
def test_whole_squares_are_balanced_whatever_the_shuffle(k: int, rounds: int) -> None:
    orders = balanced_orders(range(k), rounds, np.random.default_rng(3))
    assert len(orders) == rounds
    assert set(places(orders).values()) == {rounds // k}
    assert set(neighbours(orders).values()) == {rounds // k}
    assert len(neighbours(orders)) == k * (k - 1)


@pytest.mark.parametrize("rounds", range(1, 40))
@pytest.mark.parametrize(("k", "most"), [(8, 1), (9, 2)])
def test_an_incomplete_square_favours_nobody_much(k: int, most: int, rounds: int) -> None:
    orders = balanced_orders(range(k), rounds, np.random.default_rng(rounds))
    assert len(orders) == rounds
    counts = places(orders)
    times = [counts[place, who] for place in range(k) for who in range(k)]
    assert max(times) - min(times) <= most


def test_the_seed_decides_the_orders() -> None:
    drawn = [balanced_orders(NAMES, 12, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_first_contestant_is_random() -> None:
    """In a pair that alternates, differences are correlated where noise is autocorrelated (ADR 18)."""
    begins = {
        "".join(order[0] for order in balanced_orders("ab", 8, np.random.default_rng(seed))) for seed in range(500)
    }
    assert len(begins) > 60  # of 70: four of eight
    assert {balanced_orders(NAMES, 1, np.random.default_rng(seed))[0][0] for seed in range(30)} == set(NAMES)


async def test_blocks_run_in_the_given_orders_and_results_keep_the_order_of_the_blocks() -> None:
    ran: list[str] = []
    advanced: list[int] = []

    async def block(name: str) -> int:
        ran.append(name)
        return len(ran)

    blocks = {name: partial(block, name) for name in NAMES}
    rounds = await in_turns(blocks, ["bca", "cab"], lambda: advanced.append(len(ran)))
    assert ran == list("bcacab")
    assert advanced == [1, 2, 3, 4, 5, 6]
    assert rounds == [{"a": 3, "b": 1, "c": 2}, {"a": 5, "b": 6, "c": 4}]
    assert {tuple(one) for one in rounds} == {NAMES}


def test_each_interval_of_a_family_is_wider_so_that_all_hold_together() -> None:
    assert family_confidence(1) == 0.95
    for comparisons in (2, 8, 28, 36):
        assert family_confidence(comparisons) ** comparisons == pytest.approx(0.95)
        assert family_confidence(comparisons, 0.99) ** comparisons == pytest.approx(0.99)
    assert family_confidence(36) == pytest.approx(0.99858, abs=1e-5)


def test_a_family_needs_members_and_a_confidence() -> None:
    with pytest.raises(ValueError, match="at least one comparison"):
        family_confidence(0)
    with pytest.raises(ValueError, match="confidence must be between"):
        family_confidence(3, 95)
