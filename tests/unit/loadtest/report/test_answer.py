"""The first screen: the answer, what would change it, the trust line, the table. Each rule has a counterexample."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from loadtest.experiments.cost.plots import Point, frontier
from loadtest.report.answer import Answer, answer
from loadtest.report.changes import between_losses, core_rate, cores
from loadtest.report.matrix import NO_DIFFERENCE, judged, matrix
from loadtest.report.overview import Row, rows
from loadtest.report.trust import trust
from loadtest.results.model import Figure, Results
from loadtest.results.view import View
from loadtest.verdicts.ranking import JUDGED, TOGETHER
from tests.unit.loadtest.made_up_results import empty, full_run, reconfigured

COSTS = {"memory": 10.0, "redis": 60.0, "redis-cached": 41.0, "cookie": 55.0, "jwt": 100.0, "jwt-cached": 16.0,
         "jwt-denylist": 104.0}  # fmt: skip


def costs(half: float = 2.0, **other: float) -> list[Figure]:
    """Return differences of all pairs with intervals of ± *half* microseconds, and ratios of a page of 100 to match."""
    values = {"anonymous": 0.0} | COSTS | {name.replace("_", "-"): cost for name, cost in other.items()}
    names, found = list(values), list[Figure]()
    for name in names:
        page = 100 + values[name]
        found.append(Figure("cost", name, "cpu_per_request", "us", page, page - 1, page + 1, 50, dict(JUDGED)))
        for over in names[: names.index(name)]:
            labels, more = JUDGED | {"over": over}, values[name] - values[over]
            less = 100 + values[over]
            if over == "anonymous":
                found.append(Figure("cost", name, "cpu_difference", "us", more, more - 1, more + 1, 50, dict(labels)))
            labels |= TOGETHER
            found.append(Figure("cost", name, "cpu_difference", "us", more, more - half, more + half, 50, dict(labels)))
            ends = ((page - half) / less, (page + half) / less)
            found.append(Figure("cost", name, "cpu_ratio", "ratio", page / less, *ends, 50, dict(labels)))
    return found


def kills(**lost: float) -> list[Figure]:
    labels = {"fault": "kill -9", "affinity": "true"}
    found = []
    for name, percent in lost.items():
        name = name.replace("_", "-")
        found.append(Figure("survival", name, "users_lost", "%", percent, 0, 71, 3, labels))
        share = 100.0 if percent else 0.0
        found.append(Figure("survival", name, "kills_with_losses", "%", share, 0.0, 70.8, 3, labels))
    return found


def run(figures: Sequence[Figure], *warnings: tuple[str, str]) -> Results:
    return replace(
        empty(), figures=list(figures), warnings=[{"rule": rule, "message": text} for rule, text in warnings]
    )


def said(results: Results) -> Answer:
    return answer(View(results))


def change(found: Answer, name: str) -> str:
    return next((one.text for one in found.changes if one.strategy == name), "")


def test_the_cheapest_that_keeps_all_guarantees_is_the_answer() -> None:
    found = said(run(costs()))
    assert (found.headline, found.strategies) == ("Use redis-cached", ("redis-cached",))
    assert "With 2 strategies for pages in a browser" in found.sentences[0]
    assert found.sentences[1].startswith("redis-cached is the cheaper: it costs 41 µs (40 to 42 µs)")
    assert "0.0410 cores per 1,000 requests/s" in found.sentences[1]
    assert said(run(costs(redis=20.0))).headline == "Use redis"


def test_intervals_that_overlap_decide_nothing() -> None:
    found = said(run(costs(half=30.0)))
    assert found.headline == "Use redis-cached or redis: their costs cannot be told apart"
    assert found.strategies == ("redis-cached", "redis")
    assert "cannot decide" in found.sentences[1]
    assert "look-ups cost too much" in change(found, "redis-cached")


def test_without_a_ratio_nothing_is_decided() -> None:
    figures = [f for f in costs() if f.metric != "cpu_ratio"]
    assert said(run(figures)).strategies == ("redis-cached", "redis")


def test_capabilities_decide_who_qualifies_not_names() -> None:
    results = run(costs())
    facts = {name: dict(one) for name, one in results.config["strategies"].items()}
    facts["memory"]["capabilities"] = facts["redis"]["capabilities"]
    changed = reconfigured(results, strategies=facts)
    assert said(changed).headline == "Use memory"
    for one in facts.values():
        one["capabilities"] = []
    found = said(reconfigured(results, strategies=facts))
    assert found.headline == "No answer: no strategy qualifies"
    assert found.strategies == ()


def test_a_strategy_that_loses_logins_does_not_qualify_whatever_it_claims() -> None:
    found = said(run([*costs(), *kills(redis=0.0, redis_cached=20.0)]))
    assert found.headline == "Use redis"
    assert "each killed replica logs out 20 %" in change(found, "redis-cached")


def test_a_strategy_with_wrong_answers_does_not_qualify() -> None:
    wrong = Figure("traffic", "redis-cached", "failed_answers", "count", 2, n=100)
    assert said(run([*costs(), wrong])).headline == "Use redis"
    assert said(run([*costs(), replace(wrong, value=0)])).headline == "Use redis-cached"


@pytest.mark.parametrize("rule", ["null_test", "placebo"])
def test_withdrawn_verdicts_give_no_answer(rule: str) -> None:
    found = said(run(costs(), (rule, "it differs from itself")))
    assert found.headline.startswith("No answer")
    assert found.withdrawn == rule
    assert "it differs from itself" in found.sentences[0]
    assert (found.strategies, found.changes) == ((), ())


def test_other_warnings_leave_the_answer_alone() -> None:
    assert said(run(costs(), ("drift", "slower"))).headline == "Use redis-cached"


def test_the_answer_says_what_survival_rests_on() -> None:
    assert "killed no replica" in said(run(costs())).sentences[-1]
    text = said(run([*costs(), *kills(redis_cached=0.0)])).sentences[-1]
    assert text == (
        "In 3 kills of a replica, no login was lost. "
        "With so few kills, losses in up to 71 % of kills cannot be ruled out."
    )


def test_savings_are_shown_as_cores_and_rates() -> None:
    """41 - 10 = 31 µs per request: 0.031 cores per 1,000 requests/s, and one core at 1e6 / 31 = 32,000."""
    text = change(said(run([*costs(), *kills(memory=33.3)])), "memory")
    assert text.startswith(
        "saves 31 µs (29 to 33 µs) per request: 0.0310 cores per 1,000 requests/s, or one core at 32,000 requests/s."
    )
    assert "each killed replica logs out 33.3 % (0 to 71 %) of all users" in text


def test_losses_that_were_not_measured_are_one_in_n() -> None:
    assert "logs out its users, which are 1 in 3 (not measured in this run)" in change(said(run(costs())), "memory")


def test_new_logins_use_up_a_saving() -> None:
    """A third of 93 ms is 31 ms, which a saving of 31 µs has made up for after 1,000 requests."""
    login = Figure("login", "memory", "cpu_per_login", "us", 93_000.0, labels={"tier": "total"})
    text = change(said(run([*costs(), *kills(memory=100 / 3), login])), "memory")
    assert "unless each user sends more than 1,000 requests between two kills" in text
    assert "use up" not in change(said(run([*costs(), *kills(memory=100 / 3)])), "memory")


def test_the_answer_says_how_long_a_token_outlives_its_revocation() -> None:
    refresh = Figure("tokens", "jwt", "cpu_per_refresh", "us", 1000.0, labels={"tier": "total"})
    text = change(said(run([*costs(), refresh])), "jwt-cached")
    assert text.startswith("saves 25 µs (23 to 27 µs)")
    assert "keeps working for up to 310 s (ACCESS_TOKEN_SECONDS + 10 s)" in text
    assert "Each refresh uses up the saving of 40 requests." in text
    unknown = reconfigured(run(costs()), settings={})
    assert "works until it expires" in change(said(unknown), "jwt-cached")


def test_a_strategy_that_guarantees_less_must_be_shown_to_be_cheaper() -> None:
    found = said(run(costs()))
    assert change(found, "cookie") == "guarantees less and was not shown to be cheaper."
    assert change(said(run(costs(cookie=20.0))), "cookie").startswith("saves 21 µs")
    wide = said(run(costs(half=8.0, redis_cached=17.0)))
    assert change(wide, "memory, jwt-cached, jwt and cookie") == "guarantee less and were not shown to be cheaper."


def test_the_next_best_strategy_says_when_to_choose_it() -> None:
    assert (
        change(said(run(costs())), "redis")
        == "costs 19 µs (17 to 21 µs) more per request. Choose it when you run a Redis."
    )


def test_there_is_an_answer_for_other_clients() -> None:
    text = change(said(run(costs())), "jwt-denylist")
    assert text.startswith("is the answer for API clients")
    assert "104 µs (103 to 105 µs)" in text


def test_all_pairs_are_compared_in_microseconds_in_both_directions() -> None:
    """redis costs 62 µs and memory 12 µs more than the control, so 50.2 µs lie between the two."""
    view = View(full_run("cost"))
    more = view.difference("redis", "memory", **JUDGED, **TOGETHER)
    less = view.difference("memory", "redis", **JUDGED, **TOGETHER)
    assert more
    assert less
    assert None not in (more.ci_low, more.ci_high, less.ci_low)
    assert more.value == pytest.approx(50.2, abs=5)
    assert (less.value, less.ci_low, less.ci_high) == (-more.value, -(more.ci_high or 0), -(more.ci_low or 0))
    assert view.difference("redis", "redis", **JUDGED, **TOGETHER) is None
    alone = next(f for f in view.figures("cpu_difference", "redis", over="anonymous", intervals="", **JUDGED))
    together = view.difference("redis", "anonymous", **JUDGED, **TOGETHER)
    assert together
    assert (together.ci_high or 0) > (alone.ci_high or 0)


def test_thresholds() -> None:
    saved = Figure("cost", "a", "cpu_difference", "us", 31.0)
    assert cores(saved) == pytest.approx(0.031)
    assert core_rate(saved) == 32_000
    lost, login = Figure("", "a", "users_lost", "%", 50.0), Figure("", "a", "cpu_per_login", "us", 62_000.0)
    assert between_losses(lost, login, saved) == 1000


def test_the_trust_line_shows_passed_failed_and_missing_checks() -> None:
    null = Figure("cost", "anonymous", "null_ratio", "ratio", 1.004, 0.99, 1.02)
    worse = replace(null, value=0.98)
    drift = Figure("cost", "anonymous", "drift", "ratio", 0.9, 0.88, 0.92)
    found = trust(View(run([null, worse, drift], ("drift", "the machine slowed down"))))
    assert [(one.name, one.sign, one.said) for one in found] == [
        ("Null test", "✓", "passed"), ("Placebo", "\N{EN DASH}", "not measured"),
        ("Steal", "\N{EN DASH}", "not measured"), ("Drift", "✗", "failed"),
    ]  # fmt: skip
    assert found[0].value == "\N{MINUS SIGN}2.0 %"
    assert "the machine slowed down" in found[3].title


def overview(*figures: Figure, chosen: tuple[str, ...] = ()) -> dict[str, Row]:
    return {row.name: row for row in rows(View(run([*costs(), *figures])), chosen)}


def test_the_table_has_a_row_per_strategy_the_cheapest_first() -> None:
    found = overview(chosen=("redis-cached",))
    assert [row.strategy for row in found.values()] == [
        "anonymous", "memory", "jwt-cached", "redis-cached", "cookie", "redis", "jwt", "jwt-denylist",
    ]  # fmt: skip
    assert [name for name, row in found.items() if row.chosen] == ["redis-cached"]
    assert (found["memory"].cost.text, found["memory"].cost.note) == ("+10 µs", "9 to 11 µs")
    assert found["redis"].choose_when == "when you run a Redis."


def test_the_table_says_what_was_not_measured_and_what_follows_from_the_settings() -> None:
    found = overview()
    assert found["redis"].logout.text == found["redis"].outage.text == found["redis"].lost.text == "not measured yet"
    assert (found["jwt (EdDSA)"].logout.text, found["jwt (EdDSA)"].logout.note) == ("never", "expires after 310 s")
    assert found["cookie"].logout.note == "expires after 12 h"
    assert found["anonymous"].logout.note == "no login"


def test_few_kills_without_a_loss_do_not_mean_zero() -> None:
    found = overview(*kills(redis=0.0, memory=33.3))
    assert (found["redis"].lost.text, found["redis"].lost.note) == ("none seen", "in 3 kills; up to 71 % possible")
    assert found["memory"].lost.text == "33.3 %"


def _success(strategy: str, percent: float, **labels: str) -> Figure:
    return Figure("outage", strategy, "outage_success", "%", percent, labels=labels)


def test_columns_are_filled_once_their_metric_is_measured() -> None:
    found = overview(
        Figure("revocation", "redis", "revocation_ms", "ms", 5.0, 4.0, 6.0, 9, {"means": "forced logout"}),
        Figure("revocation", "redis", "revocation_ms", "ms", 9.0, 8.0, 9.0, 9, {"means": "logout"}),
        _success("redis", 40.0, service="redis", fault="killed", call="my page"),
        _success("redis", 10.0, service="redis", fault="paused", call="my page"),
        _success("redis", 0.0, service="redis", fault="slow", call="my page"),
        _success("redis", 5.0, service="redis", fault="killed", call="login"),
        _success("jwt", 10.0, service="auth", fault="killed", call="my page"),
        Figure("traffic", "redis", "cores_per_1000", "cores", 0.26, labels={"tier": "total", "level": "high"}),
        Figure("traffic", "redis", "cores_per_1000", "cores", 0.43, labels={"tier": "total", "level": "low"}),
    )
    assert (found["redis"].logout.text, found["redis"].logout.note) == ("5 ms", "4 to 6 ms in 9 logouts")
    assert (found["redis"].outage.text, found["redis"].outage.note) == ("10 % of pages", "5 % of logins")
    assert found["jwt (EdDSA)"].outage.text == "not measured yet"
    assert (found["redis"].cores.text, found["redis"].cores.note) == ("0.260", "low: 0.430")


def ratio(value: float, low: float | None, high: float | None) -> Figure:
    return Figure("cost", "a", "cpu_ratio", "ratio", value, low, high, 9, {"over": "b"})


def test_a_cell_of_the_matrix_shows_a_difference_only_if_the_whole_interval_does() -> None:
    assert judged(ratio(0.8, 0.75, 0.85)).tone == "less"
    assert judged(ratio(1.3, 1.2, 1.4)).tone == "more"
    assert judged(ratio(1.3, 1.2, 1.4)).depth > judged(ratio(1.1, 1.05, 1.15)).depth
    for undecided in (ratio(0.9, 0.8, 1.01), ratio(1.2, 1.0, 1.4), ratio(0.9, None, None)):
        assert (judged(undecided).text, judged(undecided).tone) == (NO_DIFFERENCE, "")


def test_the_matrix_has_every_pair_in_both_directions() -> None:
    found = matrix(View(run(costs())))
    assert found
    assert found.names[0] == "anonymous"
    table = {name: dict(zip(found.names, cells, strict=True)) for name, cells in found.rows}
    assert table["redis"]["memory"].text == "1.45\N{MULTIPLICATION SIGN}"
    assert table["memory"]["redis"].text == "0.688\N{MULTIPLICATION SIGN}"
    assert table["redis"]["redis"].text == ""
    assert matrix(View(empty())) is None


def test_a_pair_that_was_not_compared_is_not_called_equal() -> None:
    figures = [f for f in costs() if (f.strategy, f.labels.get("over")) != ("redis", "memory")]
    found = matrix(View(run(figures)))
    assert found
    cells = dict(found.rows)["redis"]
    assert cells[found.names.index("memory")].text == "not measured"


def test_the_frontier_has_the_points_that_no_other_one_beats_in_both() -> None:
    points = [Point("a", 10, 33), Point("b", 16, 0), Point("c", 41, 0), Point("d", 5, 80), Point("e", 20, 20)]
    assert [point.name for point in frontier(points)] == ["d", "a", "b"]
