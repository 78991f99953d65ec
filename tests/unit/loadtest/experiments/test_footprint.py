"""Growth that is there is seen, growth that is not is not."""

import math
from pathlib import Path
from typing import Any

import pytest

from loadtest.experiments import footprint
from loadtest.results.model import Figure, Row
from loadtest.results.view import View
from tests.unit.loadtest.fakes import FakeApp, config, context, measured, results, serve


def grown(strategy: str, *sizes: int, operations: float = 0.0) -> list[Row]:
    logins = [
        {"strategy": strategy, "what": "logins", "logins": 10 * n, "operations": 6.0, "bytes_redis": size}
        for n, size in enumerate(sizes)
    ]
    return [*logins, {"strategy": strategy, "what": "requests", "operations": operations}]


def figures(*rows: list[Row]) -> list[Figure]:
    return footprint.analyse([one for some in rows for one in some], config(redis="session", cookie="session"))


def verdict(*rows: list[Row]) -> str:
    judged = footprint.grows_with_users(View(results(*figures(*rows), redis="session", cookie="session")))
    assert judged is not None
    return judged[1]


def test_bytes_per_login_are_the_slope() -> None:
    (slope,) = (f for f in figures(grown("redis", 1000, 6000, 11000, 16000)) if f.metric == "bytes_per_login")
    assert slope.value == pytest.approx(500)
    assert (slope.n, slope.labels) == (4, {"tier": "redis"})


def test_memory_that_does_not_change_has_a_slope_of_zero_with_finite_bounds() -> None:
    (slope,) = (f for f in figures(grown("redis", 7, 7, 7)) if f.metric == "bytes_per_login")
    assert (slope.value, slope.ci_low, slope.ci_high) == (0, 0, 0)
    assert not math.isnan(slope.value)


@pytest.mark.parametrize(
    ("redis", "expected"),
    [
        (grown("redis", 0, 5000, 10010, 15000), "holds for redis (redis 500 bytes"),
        (grown("redis", 0, 0, 0, 0, operations=1.02), "holds for redis (1 store commands per request)"),
        (grown("redis", 0, 900, 100, 700), "no growth that so few logins could show for redis and cookie"),
        (grown("redis", 0, 100, 200, 301), "no growth that so few logins could show for redis and cookie"),
    ],
    ids=["memory", "commands", "noise", "no more than accounts take"],
)
def test_the_verdict_tells_on_what_grows(redis: list[Row], expected: str) -> None:
    assert verdict(redis, grown("cookie", 0, 100, 199, 300)).startswith(expected)


async def test_the_longest_credential_is_found_to_the_byte(tmp_path: Path) -> None:
    async with serve(FakeApp()) as cluster:
        found = await measured("footprint", await context(cluster, tmp_path))
    longest = {f.strategy: f for f in found if f.metric == "longest_credential"}
    assert longest.keys() == {"memory", "jwt"}
    assert all(4000 < figure.value < 10000 for figure in longest.values())  # aiohttp's limit is about 8 KiB
    assert all(figure.labels["beyond"] == "400" for figure in longest.values())


async def test_commands_of_the_store_are_counted_per_request(tmp_path: Path) -> None:
    fake = FakeApp()
    async with serve(fake) as cluster:
        cluster.store_operations = lambda: {"redis": {"get": fake.pages}}  # type: ignore[method-assign]
        found = await measured("footprint", await context(cluster, tmp_path))
    asked: dict[str, Any] = {
        f.strategy: f.value for f in found if f.metric == "store_operations" and f.labels["per"] == "request"
    }
    assert asked == {"memory": 1.0, "jwt": 1.0}
