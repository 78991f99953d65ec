"""Each rule of the self-audit fires when it must and is silent when it must be."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from loadtest.results.model import Figure, Results
from loadtest.statistics.orders import balanced_orders
from loadtest.verdicts.audit import RULES, audit
from tests.unit.loadtest.fakes import results


def figure(
    metric: str, value: float, low: float | None = None, high: float | None = None, n: int = 20, **labels: str
) -> Figure:
    return Figure("cost", "jwt", metric, "", value, low, high, n, labels)


def total(value: float, low: float | None, high: float | None) -> Figure:
    return figure("cpu_per_request", value, low, high, path="nginx", tier="total")


def null(value: float, low: float | None, high: float | None) -> Figure:
    return figure("null_ratio", value, low, high, path="nginx", tier="total")


SOUND: dict[str, list[list[Figure]]] = {
    "incomplete_run": [[]],
    "not_measured": [[]],
    "failed_answers": [[figure("failed_answers", 0, n=100)]],
    "null_test": [
        [null(1.02, 0.99, 1.05)],
        [null(1.02, 1.001, 1.04)],  # one in twenty sound runs is like this: the rule allows for it
    ],
    "missing_null_test": [[], [figure("cpu_ratio", 2, 1.9, 2.1), null(1, 0.99, 1.01)]],
    "placebo": [[figure("placebo_ratio", 1.029, 1.01, 1.05, over="anonymous")]],
    "generator_busy": [[figure("generator_cpu", 80, 70, 90, loop="closed")], [figure("generator_cpu", 90)]],
    "wide_interval": [
        [
            total(100, 91, 109),
            figure("cpu_per_request", 4, 1, 7, path="nginx", tier="redis"),  # wide, but too small to matter
        ]
    ],
    "busy_machine": [[figure("other_cpu", 5.0)], [figure("other_cpu", 3.0, 1.0, 5.0)]],
    "steal": [[figure("steal", 2.0)]],
    "drift": [[figure("drift", 1.04, 1.02, 1.06)], [figure("drift", 1.2, 0.9, 1.6)]],
    "order_not_balanced": [[]],
}
WEAK: dict[str, list[list[Figure]]] = {
    "failed_answers": [
        [figure("failed_answers", 3, n=100, example="status 502")],
        [figure("failed_answers", 0, n=0)],  # nobody ever answered
    ],
    "null_test": [
        [null(1.04, 1.02, 1.06)],
        [null(0.96, 0.94, 0.98)],
        [null(1.0, None, None)],  # without an interval it proves nothing
        [null(1.0, 0.99, 1.01), null(1.04, 1.02, 1.06)],
    ],
    "missing_null_test": [[figure("cpu_ratio", 2, 1.9, 2.1)]],
    "placebo": [
        [figure("placebo_ratio", 1.031, 1.03, 1.04, over="anonymous")],
        [figure("placebo_ratio", 0.96, 0.9, 1.02, over="anonymous")],
        [figure("placebo_ratio", 1.0, over="anonymous")],
    ],
    "generator_busy": [
        [figure("generator_cpu", 80, 65, 95, loop="open", level="high")],  # the interval does not exclude it
        [figure("generator_cpu", 99, loop="closed")],
    ],
    "wide_interval": [
        [total(100, 85, 115)],
        [total(100, None, None)],  # nothing is known
        [total(100, 99, 101), figure("cpu_per_request", 50, 40, 60, path="direct", tier="app")],
        [figure("cpu_per_request", 50, 40, 60, path="nginx", tier="app")],  # without a total
    ],
    "busy_machine": [[figure("other_cpu", 5.1)], [figure("other_cpu", 4.0, 1.0, 7.0)]],
    "steal": [[figure("steal", 2.1)]],
    "drift": [[figure("drift", 1.06, 1.02, 1.1)], [figure("drift", 0.9, 0.85, 0.95)]],
}


def fired(run: Results) -> set[str]:
    return {warning["rule"] for warning in audit(run)}


@pytest.mark.parametrize(("rule", "figures"), [(rule, figures) for rule, cases in SOUND.items() for figures in cases])
def test_sound_results_raise_no_warning(rule: str, figures: list[Figure]) -> None:
    assert rule not in fired(results(*figures))


@pytest.mark.parametrize(("rule", "figures"), [(rule, figures) for rule, cases in WEAK.items() for figures in cases])
def test_weak_results_are_flagged_by_the_rule_for_them(rule: str, figures: list[Figure]) -> None:
    assert rule in fired(results(*figures))


def test_every_rule_has_tests_that_make_it_fire_and_that_do_not() -> None:
    assert SOUND.keys() == RULES.keys()
    assert WEAK.keys() == RULES.keys() - {
        "incomplete_run",
        "not_measured",
        "order_not_balanced",
    }  # which look at more than figures


def test_a_run_that_ended_early_says_so_first() -> None:
    run = replace(results(*WEAK["steal"][0]), complete=False, ended_by="interrupted at the keyboard")
    first, second = audit(run)
    assert first["rule"] == "incomplete_run"
    assert "interrupted at the keyboard" in first["message"]
    assert second["rule"] == "steal"


def test_what_was_not_measured_is_said_with_its_reason() -> None:
    run = results()
    run.rounds["outage"] = [{"kind": "not measured", "what": "redis killed", "reason": "it did not die"}]
    (warning,) = audit(run)
    assert warning["message"] == "outage: redis killed was not measured: it did not die"


def turns(orders: list[list[str]]) -> Results:
    run = results()
    run.rounds["cost"] = [{"kind": "idle", "path": "nginx"}] + [
        {"kind": "turn", "path": "nginx", "round": number, "strategy": name}
        for number, order in enumerate(orders)
        for name in order
    ]
    return run


NAMES = ["anonymous", "memory", "redis", "jwt", "null"]


@pytest.mark.parametrize("rounds", [1, 4, 7, 30])
def test_balanced_orders_are_not_flagged(rounds: int) -> None:
    for seed in range(40):
        orders = balanced_orders(NAMES, rounds, np.random.default_rng(seed))
        assert "order_not_balanced" not in fired(turns(orders))


@pytest.mark.parametrize(
    "order",
    [
        lambda number: NAMES,
        lambda number: NAMES[::-1],
        lambda number: NAMES if number % 4 else NAMES[::-1],
        lambda number: [NAMES[0], *np.random.default_rng(number).permutation(NAMES[1:])],
    ],
    ids=["fixed", "backwards", "mostly fixed", "always first"],
)
def test_unbalanced_orders_are_flagged(order: Callable[[int], list[str]]) -> None:
    assert "order_not_balanced" in fired(turns([order(number) for number in range(20)]))
