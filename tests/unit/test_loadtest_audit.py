"""Each rule of the self-audit fires when it must and is silent when it must be."""

import pytest

from loadtest.audit import RULES, audit
from loadtest.results import Figure, Results


def results(*figures: Figure, order: str = "random") -> Results:
    return Results({}, {}, {"order": order}, list(figures))


def figure(
    metric: str, value: float, low: float | None = None, high: float | None = None, n: int = 8, **labels: str
) -> Figure:
    return Figure("throughput", "jwt", metric, "", value, low, high, n, labels)


SOUND = {
    "failed_answers": [figure("failed_answers", 0, n=100)],
    "generator_busy": [figure("generator_cpu", 90, loop="closed")],
    "wide_interval": [
        figure("cpu_per_request", 100, 91, 109, tier="total"),
        figure("cpu_per_request", 4, 1, 7, tier="redis"),  # wide, but too small to matter
        figure("cpu_per_request", 90, 40, 140, tier="loadgen"),  # not a cost of the strategy
    ],
    "null_test": [figure("null_ratio", 1.02, 0.99, 1.05)],
    "busy_machine": [figure("other_cpu", 5.0)],
    "order_not_random": [],
}
WEAK = {
    "failed_answers": [figure("failed_answers", 3, n=100, example="status 502")],
    "generator_busy": [figure("generator_cpu", 90.1, loop="open")],
    "wide_interval": [figure("cpu_per_request", 100, 85, 115, tier="total")],
    "null_test": [figure("null_ratio", 1.04, 1.01, 1.07)],
    "busy_machine": [figure("other_cpu", 5.1)],
}


@pytest.mark.parametrize("rule", RULES)
def test_sound_results_raise_no_warning(rule: str) -> None:
    assert audit(results(*SOUND[rule])) == []


@pytest.mark.parametrize("rule", WEAK)
def test_weak_results_are_marked_by_the_rule_that_is_meant_for_them(rule: str) -> None:
    (warning,) = audit(results(*WEAK[rule]))
    assert warning["rule"] == rule
    assert "jwt" in warning["message"] or "machine" in warning["message"]


def test_a_fixed_order_is_marked() -> None:
    (warning,) = audit(results(order="fixed"))
    assert warning["rule"] == "order_not_random"


def test_a_strategy_that_never_answered_is_marked() -> None:
    (warning,) = audit(results(figure("failed_answers", 0, n=0)))
    assert warning["rule"] == "failed_answers"


def test_a_null_test_without_an_interval_proves_nothing() -> None:
    (warning,) = audit(results(figure("null_ratio", 1.0)))
    assert warning["rule"] == "null_test"
