"""Signature algorithms are compared by the page of a replica that uses each."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from loadtest.experiments.algorithms import ALGORITHMS, Plan, analyse, measure
from tests.unit.loadtest.fakes import TINY, FakeApp, FakeCluster, config, context, serve

PLAN = Plan(**TINY["algorithms"])


async def test_each_algorithm_has_a_cluster_and_takes_turns(tmp_path: Path) -> None:
    started: list[Mapping[str, str]] = []
    async with serve(FakeApp()) as cluster:

        def spare(settings: Mapping[str, str]) -> AbstractContextManager[FakeCluster]:
            started.append(settings)
            return nullcontext(cluster)

        ours = await context(cluster, tmp_path)
        ours.spare_cluster = spare
        await measure(ours, PLAN)
    assert started == [{"AUTH_ALGORITHM": name} for name in ALGORITHMS]
    figures = analyse(ours.rows, config(jwt="token"))
    of = {(f.metric, f.labels["algorithm"]): f for f in figures}
    assert {f.strategy for f in figures} == {"jwt"}
    assert {algorithm for metric, algorithm in of if metric == "verify_page_cpu"} == set(ALGORITHMS)
    assert {algorithm for metric, algorithm in of if metric == "verify_difference"} == set(ALGORITHMS) - {"EdDSA"}
    assert of["token_size", "EdDSA"].value == 16  # the fake's tokens
    assert of["verify_page_cpu", "EdDSA"].n == PLAN.rounds


def test_given_rows_give_the_expected_figures() -> None:
    def row(kind: str, algorithm: str, cpu: float, **more: float) -> dict[str, object]:
        return {
            "kind": kind, "algorithm": algorithm, "strategy": "jwt", "process": "app-1", "requests": 100,
            "cpu_app": cpu, "elapsed_app": 0.1, **more,
        }  # fmt: skip

    rows: list[dict[str, object]] = [row("idle", name, 0.001) for name in ("HS256", "EdDSA")]
    for number in range(6):
        rows += [row("turn", "HS256", 0.011, round=number), row("turn", "EdDSA", 0.031, round=number)]
    rows.append(row("turn", "HS256", 5.0, round=6))  # the run was interrupted here
    of = {(f.metric, f.labels["algorithm"]): f for f in analyse(rows, config(jwt="token"))}
    assert of["verify_page_cpu", "HS256"].value == pytest.approx(100)
    assert of["verify_page_cpu", "EdDSA"].value == pytest.approx(300)
    assert of["verify_difference", "HS256"].value == pytest.approx(-200)
    assert of["verify_difference", "HS256"].labels["over"] == "EdDSA"


async def test_nothing_is_measured_without_tokens_or_spare_clusters(tmp_path: Path) -> None:
    async with serve(FakeApp()) as cluster:
        ours = await context(cluster, tmp_path)
        await measure(ours, PLAN)
    assert ours.rows == []
    assert analyse([], config(jwt="token")) == []
