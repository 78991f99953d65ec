"""Ways to keep a user at a replica: what is said of those who move."""

from typing import Any

import pytest

from loadtest.experiments.affinity.figures import analyse
from loadtest.experiments.affinity.report import sentences
from loadtest.results.model import Row
from loadtest.results.view import View
from tests.unit.loadtest.fakes import config, results


def row(method: str, **changed: Any) -> Row:
    """Return what a method that moves nobody unnecessarily would record."""
    kept = {
        "kind": "step", "strategy": "anonymous", "method": method, "replicas": 3, "users": 60, "moved_in": 0,
        "returning_at_new": 0, "seconds_until_share": None, "newcomers": 30, "newcomers_at_new": 10, "busiest": 30,
        "moved_out": 0, "had_to_move": 0, "chosen": 0, "tries": 20,
    }  # fmt: skip
    return kept | changed


def view(*rows: Row) -> View:
    return View(results(*analyse(rows, config(anonymous="control")), anonymous="control"))


def test_who_moves_is_told_on() -> None:
    said = list(sentences(view(row("sticky cookie"), row("hash", moved_in=60, moved_out=60, had_to_move=20))))
    assert said[0] == (
        "When a replica is added, users move to another one: 0 % under sticky cookie and 100 % under hash."
    )
    assert said[1].endswith("100 % under hash (0 to 33 % were at the removed replica and had to).")


@pytest.mark.parametrize(("returning", "empty"), [(0, True), (20, False)])
def test_a_new_replica_without_returning_users_is_told_on(returning: int, empty: bool) -> None:
    said = " ".join(sentences(view(row("sticky cookie", returning_at_new=returning))))
    assert ("gets only new users under sticky cookie" in said) == empty


@pytest.mark.parametrize(("chosen", "told"), [(20, True), (6, False)])
def test_a_client_that_can_choose_its_replica_is_told_on(chosen: int, told: bool) -> None:
    said = " ".join(sentences(view(row("sticky cookie", chosen=chosen))))
    assert ("Under sticky cookie, a client can choose its replica" in said) == told


def test_the_busiest_replica_is_compared_with_its_fair_share() -> None:
    found = view(row("hash", busiest=45), row("ip_hash"))
    assert {f.labels["method"]: f.value for f in found.figures("imbalance")} == {"hash": 1.5, "ip_hash": 1.0}
