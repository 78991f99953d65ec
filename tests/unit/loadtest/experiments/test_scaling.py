"""CPU per request with more replicas, and what the verdict on C7 says of it."""

import pytest

from loadtest.experiments.cost.report import stateless_load
from loadtest.experiments.scaling.figures import EVERYBODY, analyse, case
from loadtest.experiments.scaling.report import sentences
from loadtest.results.model import Figure, Row
from loadtest.results.view import View
from tests.unit.loadtest.fakes import config, results

KINDS = {"anonymous": "control", "redis": "session", "jwt": "token"}


def rows(factor: float) -> list[Row]:
    """Return rounds in which each further replica makes a request under `jwt` cost *factor* times as much."""
    return [
        {
            "kind": "turn", "round": number, "case": case(name, replicas), "strategy": name, "replicas": replicas,
            "process": EVERYBODY, "requests": 100, "elapsed_app": 0.01,
            "cpu_app": (1 + number % 3 / 100) * 0.01 * (factor ** (replicas - 1) if name == "jwt" else 1.0),
        }
        for number in range(6) for name in KINDS for replicas in (1, 2, 3)
    ]  # fmt: skip


def view(factor: float, *others: Figure) -> View:
    return View(results(*analyse(rows(factor), config(**KINDS)), *others, **KINDS))


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_what_more_replicas_cost_is_seen(factor: float) -> None:
    ratio = view(factor).one("scaling_ratio", "jwt", replicas="3")
    assert ratio is not None
    assert ratio.value == pytest.approx(factor**2)
    assert view(factor).one("scaling_ratio", "redis", replicas="3").value == pytest.approx(1)  # type: ignore[union-attr]


def test_the_sentence_has_the_ratios_of_all_replicas() -> None:
    (said,) = sentences(view(2.0))
    assert said.startswith("CPU per request of all tiers with 3 replicas, as a ratio to that with one: ")
    assert "jwt" in said
    assert "4" in said


def test_an_interrupted_round_is_left_out() -> None:
    whole, cut = (
        analyse(rows(2.0), config(**KINDS)),
        analyse([*rows(2.0), {**rows(9.0)[0], "round": 6}], config(**KINDS)),
    )
    assert whole == cut


def costs() -> list[Figure]:
    labels = {"path": "nginx", "tier": "total"}
    return [Figure("cost", name, "cpu_per_request", "us", 100.0, 99.0, 101.0, 9, labels) for name in KINDS]


def test_c7_says_what_scaling_has_found() -> None:
    judged = stateless_load(view(2.0, *costs()))
    assert judged is not None
    assert "with 3 replicas, as a ratio to that with one" in judged[1]
    judged = stateless_load(View(results(*costs(), **KINDS)))
    assert judged is not None
    assert judged[1].endswith("Costs with more replicas were not measured in this run")
