"""At your traffic: the same rates for all strategies, the whole bill, and refreshes during a block."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hdrh.histogram import HdrHistogram

from loadtest.experiments import traffic
from loadtest.results.model import Figure, Row
from tests.unit.loadtest.fakes import FakeApp, config, context, measured, serve


async def test_every_strategy_is_asked_at_the_same_two_rates(tmp_path: Path) -> None:
    async with serve(FakeApp()) as cluster:
        found = await measured("traffic", await context(cluster, tmp_path))
    bills = [figure for figure in found if figure.metric == "cores_per_1000" and figure.labels["tier"] == "total"]
    assert [(f.strategy, f.labels["level"]) for f in bills] == [
        (name, level) for level in ("low", "high") for name in ("anonymous", "memory", "jwt")
    ]
    rates = {f.labels["level"]: float(f.labels["rate"]) for f in bills}
    assert len({(f.labels["level"], f.labels["rate"]) for f in bills}) == 2
    assert rates["high"] == pytest.approx(4 * rates["low"], rel=0.1)  # 20 % and 5 % of the same capacity
    assert {f.strategy for f in found if f.metric == "latency"} == {"anonymous", "memory", "jwt"}


async def test_cpu_is_read_while_nothing_is_in_flight(tmp_path: Path) -> None:
    fake, in_flight = FakeApp(), [0]
    seen: list[tuple[int, int]] = []
    page = fake.mypage

    async def counted(request: Any) -> Any:
        in_flight[0] += 1
        try:
            return await page(request)
        finally:
            in_flight[0] -= 1

    fake.mypage = counted  # type: ignore[method-assign]
    async with serve(fake) as cluster:
        found = await context(cluster, tmp_path)
        cluster.when_read = lambda: seen.append((fake.pages, in_flight[0]))
        await measured("traffic", found)
    opened = [row for row in found.rows if row["phase"] in traffic.LEVELS]
    readings = seen[-2 * len(opened) :]
    pages = [after[0] - before[0] for before, after in zip(readings[::2], readings[1::2], strict=True)]
    assert pages == [row["answers"] for row in opened]  # all that was asked, and nothing else, is in the bill
    assert {number for _, number in readings} == {0}


async def test_a_refresh_in_the_window_is_counted_and_shown(tmp_path: Path) -> None:
    fake = FakeApp()
    async with serve(fake) as cluster:
        found = await context(cluster, tmp_path)
        cluster.when_read = partial(setattr, fake, "refuse_access_tokens", 1)
        figures = await measured("traffic", found)
    refreshes = {(f.strategy, f.labels["level"]): f for f in figures if f.metric == "refreshes"}
    of_jwt = [row for row in found.rows if row.get("strategy") == "jwt"]
    assert sum(row["others"] for row in of_jwt) > 0
    for (name, level), figure in refreshes.items():
        rows = [row for row in found.rows if (row.get("strategy"), row["phase"]) == (name, level)]
        assert figure.value == sum(row["others"] for row in rows)
        assert figure.n == sum(row["answers"] for row in rows) > 0


def block(number: int, cpu: float, answers: int = 100, level: str = "low", **more: Any) -> Row:
    latency = HdrHistogram(1, 3_600_000_000, 3)
    for microseconds in range(1000, 1000 + answers):
        latency.record_value(microseconds)
    row = {
        "phase": level, "round": number, "strategy": "jwt", "rate": 50.0, "seconds": 2.0, "elapsed": 2.0,
        "answers": answers, "requests": answers, "failed": 0, "failures": "", "others": 0,
        "latency": latency.encode().decode(), "generator_cpu": 0.2, "machine_busy": 1.0,
        "cpu_app": cpu, "cpu_redis": 0.1,
    }  # fmt: skip
    return row | more


def only(figures: list[Figure], metric: str, **labels: str) -> Figure:
    (found,) = (f for f in figures if f.metric == metric and labels.items() <= f.labels.items())
    return found


def test_the_bill_is_cores_per_thousand_requests_minus_idle_cpu() -> None:
    idle = {"phase": "idle", "elapsed": 10.0, "cpu_app": 0.5, "cpu_redis": 0.0}
    figures = traffic.analyse([idle, block(0, 0.3), block(1, 0.3)], config(jwt="token"))
    assert only(figures, "cores_per_1000", tier="app").value == pytest.approx(2.0)  # (0.3 - 2 * 0.05) s for 100
    assert only(figures, "cores_per_1000", tier="redis").value == pytest.approx(1.0)
    assert only(figures, "cores_per_1000", tier="total").value == pytest.approx(3.0)


@pytest.mark.parametrize(("answers", "shown"), [(5, 1), (50, 2), (500, 3), (5000, 4)])
def test_a_percentile_is_shown_if_ten_answers_are_beyond_it(answers: int, shown: int) -> None:
    figures = traffic.analyse([block(0, 0.3, answers), block(1, 0.3, answers)], config(jwt="token"))
    percentiles = [f.labels["percentile"] for f in figures if f.metric == "latency"]
    assert percentiles == ["p50", "p90", "p99", "p99.9"][:shown]


def test_a_strategy_with_wrong_answers_has_no_bill() -> None:
    wrong = block(0, 0.3, level="high", failed=2, failures="status 500")
    figures = traffic.analyse([block(0, 0.3), wrong], config(jwt="token"))
    assert [(f.metric, f.value, f.labels) for f in figures] == [("failed_answers", 2, {"example": "status 500"})]
