"""Signature algorithms are compared by the page of a replica that uses each, and by what their auth service signs."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from loadtest.experiments.algorithms.figures import analyse
from loadtest.experiments.algorithms.report import NONE, sentences, tables
from loadtest.experiments.algorithms.turns import ALGORITHMS, Plan, measure
from loadtest.results.model import Figure
from loadtest.results.view import View
from tests.unit.loadtest.fakes import TINY, FakeApp, FakeCluster, config, context, results, serve

PLAN = Plan(**TINY["algorithms"])
CONFIG = config(anonymous="control", redis="session", jwt="token")


async def test_each_algorithm_has_a_cluster_and_takes_turns(tmp_path: Path) -> None:
    started: list[Mapping[str, str]] = []
    fake = FakeApp()
    async with serve(fake) as cluster:

        def spare(settings: Mapping[str, str]) -> AbstractContextManager[FakeCluster]:
            started.append(settings)
            return nullcontext(cluster)

        ours = await context(cluster, tmp_path)
        ours.spare_cluster = spare
        await measure(ours, PLAN)
    assert started == list(ALGORITHMS.values())
    turns = Counter((row["strategy"], row["algorithm"]) for row in ours.rows if row["kind"] == "turn")
    asked = {(strategy, name) for strategy in ("jwt", "anonymous") for name in ALGORITHMS}
    assert turns == dict.fromkeys(asked | {("memory", "EdDSA")}, PLAN.rounds)
    refreshed = Counter(row["algorithm"] for row in ours.rows if row["kind"] == "refresh")
    assert refreshed == dict.fromkeys(ALGORITHMS, PLAN.refresh_rounds)
    assert fake.refreshes == (1 + PLAN.refresh_rounds) * PLAN.devices * len(ALGORITHMS)
    figures = analyse(ours.rows, config(anonymous="control", memory="session", jwt="token"))
    of = {(f.metric, f.labels["algorithm"]): f for f in figures if f.strategy == "jwt"}
    assert {algorithm for metric, algorithm in of if metric == "verify_page_cpu"} == set(ALGORITHMS)
    assert {algorithm for metric, algorithm in of if metric == "verify_difference"} == set(ALGORITHMS) - {"EdDSA"}
    assert of["token_size", "EdDSA"].value == 16  # the fake's tokens
    assert of["verify_page_cpu", "EdDSA"].n == PLAN.rounds


def recorded(rounds: int = 6) -> Iterator[dict[str, Any]]:
    """The replica of EdDSA is slower by 10 us per page, whatever it does, and uses 1 % of a core while idle."""
    pages = {("jwt", "HS256"): 100, ("anonymous", "HS256"): 50, ("jwt", "EdDSA"): 310, ("anonymous", "EdDSA"): 60,
             ("redis", "EdDSA"): 75}  # fmt: skip
    for name, size in (("HS256", 300), ("EdDSA", 400)):
        yield {"kind": "token", "strategy": "jwt", "algorithm": name, "size": size}
        yield {"kind": "idle", "algorithm": name, "process": "app-1", "cpu_app": 0.001, "elapsed_app": 0.1}
    for number in range(rounds):
        yield {"kind": "refresh", "round": number, "strategy": "jwt", "algorithm": "EdDSA", "calls": 8,
               "cpu_auth": 8 * 950e-6}  # fmt: skip
        yield {"kind": "refresh", "round": number, "strategy": "jwt", "algorithm": "HS256", "calls": 8,
               "cpu_auth": 8 * 900e-6}  # fmt: skip
        for (strategy, algorithm), cost in pages.items():
            yield {"kind": "turn", "round": number, "strategy": strategy, "algorithm": algorithm, "process": "app-1",
                   "contestant": f"{strategy} ({algorithm})", "requests": 100, "cpu_app": cost * 1e-4 + 0.001,
                   "elapsed_app": 0.1, "cpu_redis": 5e-4 * (strategy == "redis"), "elapsed_redis": 0.1}  # fmt: skip


def found(metric: str, *rows: dict[str, Any], **labels: str) -> dict[tuple[str, str], float]:
    figures = analyse(rows or list(recorded()), CONFIG)
    return {
        (f.strategy, f.labels.get("algorithm", "")): f.value
        for f in figures
        if f.metric == metric and labels.items() <= f.labels.items()
    }


def test_extra_costs_are_those_over_the_control_at_the_same_replica() -> None:
    assert found("verify_page_cpu") == pytest.approx({("jwt", "HS256"): 100, ("jwt", "EdDSA"): 310})
    extra = {("jwt", "HS256"): 50, ("jwt", "EdDSA"): 250, ("redis", ""): 20}  # Redis's own 5 us are counted
    assert found("algorithm_difference", over="anonymous", intervals="simultaneous") == pytest.approx(extra)
    assert found("algorithm_difference", over="redis") == pytest.approx({("jwt", "HS256"): 30, ("jwt", "EdDSA"): 230})
    assert found("verify_difference", over="EdDSA") == pytest.approx({("jwt", "HS256"): -200})
    ratios = {("jwt", "HS256"): 2, ("jwt", "EdDSA"): 310 / 60, ("redis", ""): 80 / 60}
    assert found("algorithm_ratio", over="anonymous") == pytest.approx(ratios)


def test_signing_costs_what_a_refresh_costs_more_with_it() -> None:
    assert found("refresh_auth_cpu") == pytest.approx({("jwt", "HS256"): 900, ("jwt", "EdDSA"): 950})
    assert found("sign_difference", over="HS256") == pytest.approx({("jwt", "EdDSA"): 50})


def test_an_unfinished_round_does_not_count() -> None:
    rows = [*recorded(), {**list(recorded())[-1], "round": 6, "cpu_app": 9.0}]
    assert found("algorithm_difference", *rows) == found("algorithm_difference")
    assert analyse([], CONFIG) == []


def test_intervals_hold_for_all_differences_together() -> None:
    rows = list(recorded(12))
    for row in rows[4::3]:
        row |= {"cpu_app": 1.1 * row.get("cpu_app", 0.0)}
    without = [row for row in rows if row.get("strategy") != "redis"]
    with_stores, alone = (analyse(some, CONFIG) for some in (rows, without))
    wide, narrow = (
        next(f for f in figures if f.metric == "algorithm_difference" and f.labels.get("algorithm") == "HS256")
        for figures in (with_stores, alone)
    )
    assert wide.value == narrow.value
    assert (wide.ci_high or 0) > (narrow.ci_high or 0)


async def test_nothing_is_measured_without_tokens_or_spare_clusters(tmp_path: Path) -> None:
    async with serve(FakeApp()) as cluster:
        ours = await context(cluster, tmp_path)
        await measure(ours, PLAN)
    assert ours.rows == []


def over(algorithm: str, low: float | None, high: float | None) -> Figure:
    value = ((low or 0.0) + (high or 0.0)) / 2
    labels = {"algorithm": algorithm, "over": "redis"}
    return Figure("algorithms", "jwt", "algorithm_difference", "us", value, low, high, 20, labels)


def said(*figures: Figure) -> str:
    store = Figure("algorithms", "redis", "algorithm_difference", "us", 12, 11, 13, 20, {"over": "anonymous"})
    view = View(results(store, *figures, anonymous="control", redis="session", jwt="token"))
    (sentence,) = sentences(view)
    return sentence


def test_the_ranking_flips_where_whole_intervals_lie_on_both_sides() -> None:
    assert said(over("EdDSA", 60, 80), over("RS256", -1, 3), over("HS256", -9, -5)) == (
        "jwt costs less than redis with HS256 (-7 µs, -9 to -5 µs), cannot be told apart from it with RS256 (+1 µs, "
        "-1 to 3 µs) and costs more than it with EdDSA (+70 µs, 60 to 80 µs): the ranking flips between HS256 and "
        "EdDSA."
    )


@pytest.mark.parametrize(
    ("figures", "end"),
    [
        ((over("HS256", 2, 4), over("EdDSA", 60, 80)), "no algorithm makes it cheaper."),
        ((over("HS256", -4, -2), over("EdDSA", -3, -1)), "no algorithm makes it more expensive."),
        ((over("HS256", -4, 2), over("EdDSA", 60, 80)), "this run does not show that the ranking flips."),
        ((over("HS256", None, None), over("EdDSA", 60, 80)), "this run does not show that the ranking flips."),
    ],
)
def test_without_intervals_on_both_sides_nothing_flips(figures: tuple[Figure, ...], end: str) -> None:
    assert said(*figures).endswith(f": {end}")


def test_the_table_has_a_row_for_each_algorithm_and_store() -> None:
    view = View(results(*analyse(list(recorded()), CONFIG), anonymous="control", redis="session", jwt="token"))
    (table,) = tables(view)
    assert [row[0] for row in table.rows] == ["HS256", "EdDSA", "redis"]
    assert {len(row) for row in table.rows} == {len(table.head)}
    assert [float(cell.split()[0]) for cell in table.rows[0][1:]] == [900, 50, 2, 300]
    assert table.rows[2][1] == table.rows[2][4] == NONE  # a store neither signs nor has tokens
    assert list(tables(View(results()))) == []
