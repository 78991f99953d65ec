"""Growth that is there is seen, growth that is not is not."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from loadtest.cluster.protocol import Memory
from loadtest.experiments.footprint.figures import analyse
from loadtest.experiments.footprint.growth import sessions
from loadtest.experiments.footprint.plan import Plan
from loadtest.experiments.footprint.report import grows_with_users
from loadtest.results.model import Figure, Row
from loadtest.results.view import View
from tests.unit.loadtest.fakes import FakeApp, FakeCluster, config, context, measured, results, serve


def grown(strategy: str, *sizes: int, operations: float = 0.0) -> list[Row]:
    logins = [
        {"strategy": strategy, "what": "growth", "logins": 10 * n, "bytes_redis": size} for n, size in enumerate(sizes)
    ]
    return [*logins, {"strategy": strategy, "what": "requests", "operations": operations}]


def figures(*rows: list[Row]) -> list[Figure]:
    return analyse([one for some in rows for one in some], config(redis="session", cookie="session"))


def verdict(*rows: list[Row]) -> str:
    judged = grows_with_users(View(results(*figures(*rows), redis="session", cookie="session")))
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
        (grown("redis", 0, 0, 0, 0, operations=1.02), "holds for redis (1 store command per request)"),
        (grown("redis", 0, 900, 100, 700), "no growth that so few logins could show for redis and cookie"),
        (grown("redis", 0, 100, 200, 301), "no growth that so few logins could show for redis and cookie"),
    ],
    ids=["memory", "commands", "noise", "no more than accounts take"],
)
def test_the_verdict_tells_on_what_grows(redis: list[Row], expected: str) -> None:
    assert verdict(redis, grown("cookie", 0, 100, 199, 300)).startswith(expected)


def test_without_readings_of_memory_nothing_is_said_about_growth() -> None:
    said = verdict(grown("redis", operations=1.0), grown("cookie"))
    assert said == "holds for redis (1 store command per request); memory per login was not measured for cookie"


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


async def test_sessions_are_added_to_a_further_cluster_without_password_checks(tmp_path: Path) -> None:
    class Spare(FakeCluster):
        """Has memory, which grows by 300 bytes with each session."""

        def __enter__(self) -> FakeCluster:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def memory(self) -> dict[str, Memory]:
            return {"app-1": Memory("app", 1_000_000 + 300 * len(fake.logins)), "auth-1": Memory("auth", 7)}

    class Accepting(FakeApp):
        async def checked(self, request: web.Request) -> str | None:
            body = await request.json()
            async with aiohttp.ClientSession(auths[0]) as http, http.post("/auth/password/check", json=body) as answer:
                return str((await answer.json())["user"]["name"]) if answer.status == 200 else None

    fake, auths = Accepting(), []

    def spare(settings: Mapping[str, str]) -> Spare:
        auths.append(settings["AUTH_URL"])
        return Spare(cluster.url)

    plan = Plan(steps=3, warm_up=50, sessions=10)
    async with serve(fake) as cluster:
        using = await context(cluster, tmp_path)
        using.spare_cluster = spare
        await sessions(using, plan, [one for one in using.logins() if one.kind == "session"])
    assert [row["logins"] for row in using.rows] == [0, 10, 20, 30]
    (slope,) = analyse(using.rows, config(memory="session"))
    assert (slope.metric, slope.strategy, slope.labels) == ("bytes_per_login", "memory", {"tier": "app"})
    assert slope.value == pytest.approx(300)


async def test_where_no_further_cluster_can_be_started_sessions_are_not_added(tmp_path: Path) -> None:
    async with serve(FakeApp()) as cluster:
        using = await context(cluster, tmp_path)
        await sessions(using, Plan(), using.logins())
    assert [row["what"] for row in using.rows] == ["bytes per session"]
