"""Given turns give the expected figures; and the experiment on a small scale, against a server in this process."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loadtest.cluster.protocol import ClusterError, CpuReading, CpuUse
from loadtest.experiments.cost import turns as cost
from loadtest.experiments.cost.contestants import cpu_columns
from loadtest.experiments.cost.figures import analyse
from loadtest.load.children import GeneratorError
from loadtest.results.model import Figure
from tests.unit.loadtest.fakes import TINY, FakeApp, config, context, serve

CONFIG = config(anonymous="control", redis="session", jwt="token", jwt_cached="token", jwt_denylist="token")
REQUESTS = 100
PLAN = cost.Plan(**TINY["cost"])
NOBODY = 2**31 - 1  # above all process ids


def turn(path: str, number: int, strategy: str, app: float, **more: float) -> dict[str, Any]:
    """A turn in which a request cost *app* microseconds of the app tier, and *more* of the others, on top of what an
    idle replica uses meanwhile: 0.1 % of a core, which are 100 us in the turn's 0.1 s."""
    replica = "bare server" if strategy == "bare server" else f"app-{1 + number % 3}"
    long = {"jwt": 900, "jwt-cached": 903, "jwt-denylist": 905, "redis": 300}.get(strategy, 100)
    tiers = {"app": app, "loadbalancer": 0.0, "redis": 0.0} | more
    idle = {"app": 0.0 if strategy == "bare server" else 1e-4}
    row = {f"cpu_{tier}": cost * REQUESTS / 1e6 + idle.get(tier, 0.0) for tier, cost in tiers.items()}
    return row | {f"elapsed_{tier}": 0.1 for tier in tiers} | {
        "kind": "turn", "path": path, "round": number, "position": 0, "strategy": strategy, "process": replica,
        "replica": replica, "requests": REQUESTS, "seconds": 0.05, "client_cpu": 0.01,
        "bytes_sent": long * REQUESTS, "bytes_received": 250 * REQUESTS,
    }  # fmt: skip


def idle(replica: str) -> dict[str, Any]:
    row = {f"cpu_{tier}": 0.0 for tier in ("loadbalancer", "redis")} | {"cpu_app": 0.001 * (replica != "bare server")}
    elapsed = {f"elapsed_{tier}": 1.0 for tier in ("app", "loadbalancer", "redis")}
    return row | elapsed | {"kind": "idle", "path": "direct", "replica": replica, "process": replica}


def recorded(rounds: int = 12) -> Iterator[dict[str, Any]]:
    yield from (idle(name) for name in ("app-1", "app-2", "app-3", "bare server"))
    for number in range(rounds):
        slow = 1.5 if number % 3 == 2 else 1.0  # a replica that is slower than the others
        yield turn("direct", number, "anonymous", 50 * slow)
        yield turn("direct", number, "null", 50 * slow)
        yield turn("direct", number, "redis", 70 * slow, redis=5)
        yield turn("direct", number, "jwt", 200 * slow)
        yield turn("direct", number, "jwt-cached", 60 * slow)
        yield turn("direct", number, "jwt-denylist", 205 * slow)
        yield turn("direct", number, "bare server", 40 * slow)
        for name, app, redis in (("anonymous", 60, 0), ("null", 60, 0), ("redis", 80, 5), ("jwt", 210, 0)):
            yield turn("nginx", number, name, app * slow, redis=redis, loadbalancer=30)
        yield turn("nginx", number, "jwt-cached", 70 * slow, loadbalancer=33)
        yield turn("nginx", number, "jwt-denylist", 215 * slow, loadbalancer=29.7)


def found(metric: str, **labels: str) -> dict[str, Figure]:
    figures = analyse(list(recorded()), CONFIG)
    return {f.strategy: f for f in figures if f.metric == metric and labels.items() <= f.labels.items()}


def test_costs_are_per_request_minus_idle_cpu() -> None:
    costs = found("cpu_per_request", path="direct", tier="app")
    assert costs.keys() == {"anonymous", "redis", "jwt", "jwt-cached", "jwt-denylist", "bare server"}
    # Without the two lowest and the two highest of twelve rounds: six at a fast replica, two at the slow one.
    assert costs["anonymous"].value == pytest.approx((6 * 50 + 2 * 75) / 8)
    assert costs["bare server"].value == pytest.approx((6 * 40 + 2 * 60) / 8)
    assert {f.n for f in costs.values()} == {12}


def test_differences_are_paired_within_rounds() -> None:
    assert found("cpu_difference", path="nginx", tier="redis")["redis"].value == pytest.approx(5)
    assert found("cpu_difference", path="nginx", tier="loadbalancer")["jwt"].value == pytest.approx(0)
    total = found("cpu_difference", path="nginx", tier="total", over="anonymous")
    assert total.keys() == {"redis", "jwt", "jwt-cached", "jwt-denylist"}
    assert total["redis"].value == pytest.approx((6 * 25 + 2 * 35) / 8)


def test_ratios_divide_by_the_control_and_ignore_the_speed_of_a_replica() -> None:
    ratios = found("cpu_ratio", path="direct", tier="app", over="anonymous")
    assert {name: f.value for name, f in ratios.items()} == pytest.approx(
        {"redis": 1.4, "jwt": 4, "jwt-cached": 1.2, "jwt-denylist": 4.1}
    )
    assert ratios["jwt"].ci_low == pytest.approx(4)
    assert "anonymous" not in found("cpu_ratio")
    assert found("cpu_ratio", over="redis").keys() == {"jwt", "jwt-cached", "jwt-denylist"}
    assert found("floor_ratio", over="bare server")["anonymous"].value == pytest.approx(1.25)


def test_simultaneous_intervals_are_wider() -> None:
    rows = list(recorded())
    for row in rows[4::5]:
        row["cpu_app"] *= 1.1
    ratios = [f for f in analyse(rows, CONFIG) if f.metric == "cpu_ratio" and f.labels["path"] == "direct"]
    wide = {(f.strategy, f.labels["over"]): f for f in ratios if f.labels.get("intervals") == "simultaneous"}
    narrow = {(f.strategy, f.labels["over"]): f for f in ratios if "intervals" not in f.labels}
    assert wide.keys() == narrow.keys()
    assert len(wide) == 10
    for pair, figure in wide.items():
        assert figure.value == narrow[pair].value
        assert figure.ci_low is not None
        assert figure.ci_low < (narrow[pair].ci_low or 0)


def test_null_and_drift() -> None:
    for path, tier in (("direct", "app"), ("nginx", "total")):
        assert found("null_ratio", path=path, tier=tier)["anonymous"].value == pytest.approx(1)
        assert found("null_difference", path=path, tier=tier)["anonymous"].value == pytest.approx(0)
        assert found("drift", path=path)["anonymous"].value == pytest.approx(1)


def test_a_placebo_has_the_same_bytes_and_the_same_pace() -> None:
    placebo = found("placebo_ratio", tier="loadbalancer")
    assert {name: f.labels["over"] for name, f in placebo.items()} == {"anonymous": "anonymous", "jwt-denylist": "jwt"}
    assert [f.value for f in placebo.values()] == pytest.approx([1, 0.99])
    displaced = found("displacement_ratio", tier="loadbalancer")  # nobody else sends as many bytes as another
    assert {name: f.labels["over"] for name, f in displaced.items()} == {"jwt-cached": "jwt"}
    assert displaced["jwt-cached"].value == pytest.approx(1.1)


def test_drift_is_seen() -> None:
    rows = list(recorded())
    for row in rows:
        if row.get("round", 0) >= 9:
            row["cpu_app"] *= 1.2
    drift = [f.value for f in analyse(rows, CONFIG) if f.metric == "drift" and f.labels["path"] == "direct"]
    assert drift == [pytest.approx(1.2, abs=0.02)]


def test_an_unfinished_round_does_not_count_and_without_rows_there_are_no_figures() -> None:
    assert analyse([], CONFIG) == []
    rows = [*recorded(), turn("direct", 12, "anonymous", 1000)]
    assert analyse(rows, CONFIG) == analyse(rows[:-1], CONFIG)


def test_the_other_replicas_are_not_billed() -> None:
    used = {"app-1": CpuUse("app", 1, 2), "app-2": CpuUse("app", 9, 2), "redis": CpuUse("redis", 3, 2)}
    used |= {"lb": CpuUse("loadbalancer", 4, 2), "lb/7": CpuUse("loadbalancer", 5, 2.5), "l": CpuUse("loadgen", 9, 2)}
    assert cpu_columns(used, "app-1") == {
        "cpu_app": 1, "elapsed_app": 2, "cpu_redis": 3, "elapsed_redis": 2, "cpu_loadbalancer": 9,
        "elapsed_loadbalancer": 2.5,
    }  # fmt: skip


async def test_all_contestants_take_turns_over_both_paths(tmp_path: Path) -> None:
    fake = FakeApp()
    async with serve(fake) as cluster:
        ours = await context(cluster, tmp_path)
        await cost.measure(ours, PLAN)
    strategies = {"anonymous", "memory", "jwt", "null"}
    rows = [row for row in ours.rows if row["kind"] == "turn"]
    assert {row["strategy"] for row in rows if row["path"] == "nginx"} == strategies
    assert {row["strategy"] for row in rows if row["path"] == "direct"} == strategies | {"bare server"}
    assert len(rows) == PLAN.cycles * (5 * PLAN.rounds_direct + 4 * PLAN.rounds_nginx)
    assert {row["requests"] for row in rows} == {PLAN.requests}
    assert fake.pages > len(rows) * PLAN.requests / 2
    assert {row["round"] for row in rows if row["path"] == "direct"} == set(range(PLAN.cycles * PLAN.rounds_direct))
    idle = [(row["path"], row["process"]) for row in ours.rows if row["kind"] == "idle"]
    assert idle == PLAN.cycles * [("direct", "app-1"), ("direct", "bare server"), ("nginx", "app-1")]
    assert {f.metric for f in analyse(ours.rows, config(anonymous="control", memory="session", jwt="token"))} >= {
        "cpu_per_request", "cpu_difference", "cpu_ratio", "null_ratio", "floor_ratio", "failed_answers",
    }  # fmt: skip


async def test_a_wrong_answer_ends_the_experiment(tmp_path: Path) -> None:
    fake = FakeApp()
    async with serve(fake) as cluster:
        reads = iter(range(10**6))

        def read() -> None:
            fake.breaks_down = next(reads) > 20

        cluster.when_read = read
        with pytest.raises(GeneratorError, match=r"client for .*: expected 200 .*, received 500"):
            await cost.measure(await context(cluster, tmp_path), PLAN)


async def test_a_cluster_that_dies_during_the_run_ends_it(tmp_path: Path) -> None:
    async with serve(FakeApp()) as cluster:
        ours = await context(cluster, tmp_path)
        reads, one = itertools.count(), cluster.cpu().processes["app-1"]

        def cpu() -> CpuReading:  # after a while every reading is of another process
            return CpuReading({"app-1": replace(one, pid=one.pid if next(reads) < 20 else NOBODY - next(reads))})

        cluster.cpu = cpu  # type: ignore[method-assign]
        with pytest.raises(ClusterError, match="ended or were restarted while their CPU time was measured: app-1"):
            await cost.measure(ours, PLAN)


async def test_only_nginx_is_asked_where_replicas_cannot_be_reached(tmp_path: Path) -> None:
    async with serve(FakeApp()) as cluster:
        ours = await context(cluster, tmp_path)
        cluster.replica_urls = dict  # type: ignore[method-assign]
        await cost.measure(ours, PLAN)
    assert {row["path"] for row in ours.rows} == {"nginx"}
    assert "bare server" not in {row.get("strategy") for row in ours.rows}
