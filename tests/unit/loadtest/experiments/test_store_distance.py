"""Where a token becomes faster than a session whose store is far away."""

import pytest

from loadtest.experiments.store_distance import analyse, crossing, sentences
from loadtest.results.model import Figure, Row
from loadtest.results.view import View
from tests.unit.loadtest.fakes import config, results

KINDS = {"redis": "session", "jwt": "token"}
TRIPS = (0.0, 1.0, 5.0)


def rows(token_waits: bool = False, status: int = 200, token_ms: float = 1.5) -> list[Row]:
    """Return pages of 1 ms and a round trip under `redis`, and of *token_ms* under `jwt`, which may wait as well."""
    return [
        {
            "round": number, "strategy": name, "added": trip, "trip": trip, "status": status,
            "seconds": (noise + (1 if name == "redis" else token_ms) + trip * (name == "redis" or token_waits)) / 1000,
        }
        for trip in TRIPS for name in KINDS for number, noise in enumerate((0.0, 0.01, 0.02, 0.03, 0.04))
    ]  # fmt: skip


def view(found: list[Row], *others: Figure) -> View:
    return View(results(*analyse(found, config(**KINDS)), *others, **KINDS))


@pytest.mark.parametrize(
    ("curve", "where"),
    [
        ([(0, -1), (1, 1)], 0.5),
        ([(0, -1), (1, -1), (3, 3)], 1.5),
        ([(0, 1), (1, 2)], None),
        ([(0, -2), (1, -1)], None),
        ([(1, 1), (0, -1)], 0.5),
        ([], None),
    ],
)
def test_crossing(curve: list[tuple[float, float]], where: float | None) -> None:
    assert crossing(curve) == where


def test_a_token_is_faster_from_the_crossing_on() -> None:
    (found,) = view(rows()).figures("crossing", "jwt", over="redis")
    assert found.value == pytest.approx(0.5)
    assert any("is faster than under redis from 0.5" in said for said in sentences(view(rows())))


def test_a_token_that_waits_for_the_store_as_well_is_told_on() -> None:
    found = view(rows(token_waits=True))
    assert not found.figures("crossing")
    said = " ".join(sentences(found))
    assert "jwt (EdDSA) 1.00 ms" in said
    assert "jwt (EdDSA) is not faster than under redis" in said


@pytest.mark.parametrize(("token_ms", "always"), [(0.5, True), (0.999, False)])
def test_a_token_that_is_always_faster_is_so_beyond_noise(token_ms: float, always: bool) -> None:
    found = rows(token_ms=token_ms)
    found = [{**row, "seconds": row["seconds"] + row["round"] * 1e-5 * (row["strategy"] == "redis")} for row in found]
    said = " ".join(sentences(view(found)))
    assert ("jwt (EdDSA) is faster than under redis at any distance" in said) == always


def test_other_algorithms_are_computed() -> None:
    more = Figure("algorithms", "jwt", "verify_difference", "us", -300.0, labels={"algorithm": "HS256"})
    assert any("0.200 ms with HS256" in said for said in sentences(view(rows(), more)))


def test_pages_that_fail_have_no_times() -> None:
    found = view(rows(status=503))
    assert not found.figures("page_time")
    assert [f.value for f in found.figures("failed_pages")] == [15, 15]
