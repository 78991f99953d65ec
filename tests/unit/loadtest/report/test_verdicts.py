"""Verdicts follow from figures, claim no more than these show, and are withdrawn if the audit forbids them."""

from dataclasses import replace

import pytest

from loadtest.experiments import CLAIMS
from loadtest.results.model import Figure, Verdict
from loadtest.verdicts import judge
from loadtest.verdicts.claims import NOT_MEASURED
from loadtest.verdicts.promises import kept
from tests.unit.loadtest.fakes import results

KINDS = {"anonymous": "control", "memory": "session", "redis": "session", "jwt": "token"}


def lost(name: str, percent: float, kills: int, losing: int) -> list[Figure]:
    labels = {"affinity": "true", "fault": "kill -9"}
    share = 100 * losing / kills
    return [
        Figure("survival", name, "users_lost", "%", percent, 0, 80, kills, labels),
        Figure("survival", name, "kills_with_losses", "%", share, 0, 70.8, kills, labels),
    ]


def costs(*names: str) -> list[Figure]:
    labels = {"path": "nginx", "tier": "total"}
    return [Figure("cost", name, "cpu_per_request", "us", 100, 99, 101, 20, labels) for name in names]


def ratio(name: str, over: str, low: float, high: float, **labels: str) -> Figure:
    labels = {"path": "nginx", "tier": "total", "over": over} | labels
    return Figure("cost", name, "cpu_ratio", "ratio", (low + high) / 2, low, high, 20, labels)


def together(name: str, over: str, low: float, high: float) -> Figure:
    return ratio(name, over, low, high, intervals="simultaneous")


def judged(*figures: Figure, warning: str = "") -> dict[str, Verdict]:
    run = results(*figures, **KINDS)
    run.warnings = [{"rule": warning, "message": ""}] if warning else []
    return {verdict.claim: verdict for verdict in judge(run, CLAIMS)}


def test_c4_says_how_many_kills_and_what_they_cannot_rule_out() -> None:
    c4 = judged(*lost("memory", 32.5, 3, 3), *lost("redis", 0, 3, 0), *lost("jwt", 0, 3, 0))["C4"]
    assert c4.verdict == (
        "holds for memory (3 of 3 kills); no loss seen for redis (0 of 3 kills; up to 71 % of kills could lose logins)"
    )
    assert "memory 32.5 %" in c4.figures
    assert "jwt" not in c4.figures  # the claim is about sessions


def test_c4_without_a_loss_does_not_claim_that_there_is_none() -> None:
    said = judged(*lost("redis", 0, 1, 0))["C4"].verdict
    assert said == "no loss seen for redis (0 of 1 kill; up to 71 % of kills could lose logins)"


def test_c7_ranks_by_simultaneous_intervals_only() -> None:
    figures = [
        *costs("memory", "redis", "jwt"),
        together("jwt", "memory", 1.2, 1.4),
        together("jwt", "redis", 0.7, 0.9),
    ]
    assert judged(*figures)["C7"].verdict.startswith("jwt costs less than redis and costs more than memory")
    figures[-2:] = [ratio("jwt", "memory", 1.2, 1.4), ratio("jwt", "redis", 0.7, 0.9)]
    assert judged(*figures)["C7"].verdict.startswith("jwt was not compared with memory and redis")


def test_c7_does_not_treat_a_missing_ratio_as_no_difference() -> None:
    said = judged(*costs("memory", "redis", "jwt"), together("jwt", "memory", 0.9, 1.6))["C7"].verdict
    assert said.startswith("jwt cannot be told apart from memory and was not compared with redis")
    without_interval = replace(together("jwt", "redis", 2, 2), ci_low=None, ci_high=None)
    assert "was not compared with" in judged(*costs("redis", "jwt"), without_interval)["C7"].verdict


def test_what_was_not_measured_says_so() -> None:
    said = judged()
    assert {verdict.verdict for verdict in said.values()} == {NOT_MEASURED}
    assert len(said) == 18


@pytest.mark.parametrize("rule", ["null_test", "placebo"])
def test_a_failed_control_withdraws_what_rests_on_costs_and_nothing_else(rule: str) -> None:
    promised = ratio("memory", "anonymous", 1.0, 1.1, path="direct", tier="app", intervals="simultaneous")
    figures = [*lost("memory", 30, 3, 3), *costs("memory", "jwt"), together("jwt", "memory", 1.2, 1.4), promised]
    withdrawn = {claim for claim, verdict in judged(*figures, warning=rule).items() if verdict.withdrawn_by == rule}
    assert withdrawn == {"C7", "P2"}
    assert not [verdict for verdict in judged(*figures, warning="steal").values() if verdict.withdrawn_by]


def test_promises_are_judged_at_a_saturated_replica() -> None:
    figures = [
        Figure(
            "cost", "anonymous", "floor_ratio", "ratio", 1.36, 1.3, 1.42, 8, {"over": "bare server", "path": "direct"}
        ),
        ratio("memory", "anonymous", 1.0, 1.05, path="direct", tier="app", intervals="simultaneous"),
        ratio("redis", "anonymous", 1.0, 1.05),  # through nginx, all tiers: not what is promised
        ratio("redis-cached", "anonymous", 1.0, 1.2, path="direct", tier="app"),  # alone; with all others it is wider
        ratio("redis-cached", "anonymous", 0.9, 1.4, path="direct", tier="app", intervals="simultaneous"),
        ratio("jwt-cached", "anonymous", 1.3, 1.4, path="direct", tier="app", intervals="simultaneous"),
    ]
    said = {claim: verdict.verdict for claim, verdict in judged(*figures).items() if claim.startswith("P")}
    assert said == {
        "P1": "undecided",
        "P2": "kept",
        "P3": NOT_MEASURED,
        "P4": "undecided",
        "P5": "not kept",
        "P6": NOT_MEASURED,
    }
    assert "memory costs at most 1.25 times the app CPU of anonymous" in judged(*figures)["P2"].text


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (1.0, 1.2, "kept"),
        (1.3, 1.4, "not kept"),
        (1.1, 1.3, "undecided"),
        (1.1, 1.25, "undecided"),
        (1.25, 1.3, "undecided"),
        (None, None, "undecided"),
    ],
)
def test_a_promise_is_kept_or_broken_only_by_a_whole_interval(low: float | None, high: float | None, said: str) -> None:
    assert kept(Figure("e", "s", "cpu_ratio", "ratio", 1.2, low, high), limit=1.25) == said


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.5, 2.9, "kept"), (3.1, 5.0, "not kept"), (0.2, 3.3, "undecided"), (None, None, "undecided")],
)
def test_the_denylist_is_promised_as_a_difference(low: float | None, high: float | None, said: str) -> None:
    labels = {"path": "direct", "tier": "app", "over": "jwt", "intervals": "simultaneous"}
    alone = labels | {"intervals": ""}
    figures = [
        Figure("cost", "jwt-denylist", "cpu_difference", "us", 1.8, 0, 1, 20, alone),  # with all others it is wider
        Figure("cost", "jwt-denylist", "cpu_difference", "us", 1.8, low, high, 20, labels),
        ratio("jwt-denylist", "jwt", 1.2, 1.3, path="direct", tier="app", intervals="simultaneous"),
    ]
    p6 = judged(*figures)["P6"]
    assert p6.verdict == said
    assert p6.text == "jwt-denylist costs at most 3 µs of app CPU more than jwt (EdDSA)"
    assert p6.figures.startswith("1.80 µs")
