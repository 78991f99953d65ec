"""Survival: the sample is the kill."""

from pathlib import Path

import pytest

from loadtest.experiments.survival import figures as survival
from loadtest.results.model import Figure, Row
from tests.unit.loadtest.fakes import FakeApp, config, context, measured, serve


async def test_nobody_is_logged_out_where_nothing_dies(tmp_path: Path) -> None:
    async with serve(FakeApp()) as cluster:
        found = await measured("survival", await context(cluster, tmp_path))
    lost = [figure for figure in found if figure.metric == "users_lost"]
    assert [figure.value for figure in lost] == [0.0] * 8
    assert {figure.n for figure in lost} == {1}  # one replica, one kill
    assert all(figure.value == 0 and figure.n > 10 for figure in found if figure.metric == "http_5xx")


async def test_everybody_is_logged_out_where_the_logins_die(tmp_path: Path) -> None:
    fake = FakeApp()
    async with serve(fake) as cluster:
        cluster.kill = lambda name, **_: fake.logins.clear()  # type: ignore[method-assign]
        found = await measured("survival", await context(cluster, tmp_path))
    after = [f.value for f in found if f.metric == "users_lost" and f.labels["fault"] == "kill -9"]
    assert after == [100.0] * 4
    assert [f.value for f in found if f.metric == "kills_with_losses"] == [100.0] * 4


def kills(*lost: int, users: int = 12, before: int = 0) -> list[Row]:
    return [
        {
            "round": number, "victim": "app-1", "strategy": "memory", "affinity": True, "users": users,
            "lost_before": before, "lost_after": after, "gets": 100, "errors": 1,
        }
        for number, after in enumerate(lost)
    ]  # fmt: skip


def one(metric: str, rows: list[Row], fault: str = "kill -9") -> Figure:
    found = survival.analyse(rows, config(memory="session"))
    (figure,) = (f for f in found if f.metric == metric and f.labels.get("fault") == fault)
    return figure


def test_users_of_one_kill_share_its_fate() -> None:
    """0 of 360 users in 9 kills is 0 of 9, and does not say that fewer than 1 % are lost."""
    figure = one("users_lost", kills(*[0] * 9, users=40))
    assert (figure.value, figure.ci_low, figure.n) == (0, 0, 9)
    assert figure.ci_high == pytest.approx(33.6, abs=0.1)
    assert one("users_lost", kills(0, 0, 0)).ci_high == pytest.approx(70.8, abs=0.1)


def test_the_interval_is_over_kills() -> None:
    figure = one("users_lost", kills(3, 4, 5))
    assert figure.value == pytest.approx(100 / 3)
    assert figure.n == 3
    assert figure.ci_low == pytest.approx(33.33 - 4.303 * 8.333 / 3**0.5, abs=0.02)  # Student, 2 degrees of freedom
    assert figure.ci_high == pytest.approx(33.33 + 4.303 * 8.333 / 3**0.5, abs=0.02)


def test_the_interval_stays_within_what_is_possible() -> None:
    figure = one("users_lost", kills(0, 0, 12))
    assert (figure.ci_low, figure.ci_high) == (0, 100)


def test_kills_with_losses_are_counted_exactly() -> None:
    figure = one("kills_with_losses", kills(0, 1, 12))
    assert figure.value == pytest.approx(200 / 3)
    assert figure.n == 3
    assert figure.ci_low == pytest.approx(9.43, abs=0.01)  # Clopper and Pearson for 2 of 3
    assert figure.ci_high == pytest.approx(99.16, abs=0.01)


def test_users_who_had_lost_their_login_before_are_not_counted_again() -> None:
    rows = kills(5, 5, users=10, before=5)
    assert one("users_lost", rows).value == 100
    assert one("users_lost", rows, fault="none").value == 50
    assert "kills_with_losses" not in {
        f.metric for f in survival.analyse(kills(0, before=12), config(memory="session"))
    }
