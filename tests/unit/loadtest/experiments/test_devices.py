"""Several devices of one user, and the verdict on who takes care of them."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from loadtest.experiments import devices
from loadtest.results.model import Figure, Row
from loadtest.results.view import View
from tests.unit.loadtest.fakes import FakeApp, config, context, results, serve

PLAN = devices.Plan(users=1, logins=5, limit=2)


async def figures(fake: FakeApp, logs: Path) -> list[Figure]:
    async with serve(fake) as cluster:
        found = replace(await context(cluster, logs), spare_cluster=lambda _: nullcontext(cluster))
        await devices.measure(found, PLAN)
    return devices.analyse(found.rows, config(memory="session", jwt="token"))


def view(found: list[Figure]) -> View:
    return View(results(*found, memory="session", jwt="token"))


async def test_who_lists_nothing_and_limits_nothing_is_told_on(tmp_path: Path) -> None:
    judged = devices.several_devices(view(await figures(FakeApp(), tmp_path)))
    assert judged is not None
    assert judged[1] == "holds for memory (lists 0 of 3 devices, 5 logins where 2 are allowed)"


class Limiting(FakeApp):
    """Ends the oldest login above two."""

    def credential(self, name: str) -> str:
        key = super().credential(name)
        for oldest in [one for one, owner in self.logins.items() if owner == name][: -PLAN.limit]:
            del self.logins[oldest]
        return key


async def test_a_limit_that_is_kept_is_seen(tmp_path: Path) -> None:
    found = view(await figures(Limiting(), tmp_path))
    assert "5 logins" not in str(devices.complaints(found, "memory"))
    assert [f.value for f in found.figures("logins_alive", "memory")] == [2]


class EndsNothing(FakeApp):
    """Says that it has ended a device."""

    async def end_session(self, request: web.Request) -> web.Response:
        return web.Response(status=204)


class EndsAll(FakeApp):
    """Ends every device instead of one."""

    async def end_session(self, request: web.Request) -> web.Response:
        self.logins.clear()
        return web.Response(status=204)


@pytest.mark.parametrize(
    ("fake", "expected"),
    [
        (FakeApp, []),
        (EndsNothing, ["an ended device goes on for a while"]),
        (EndsAll, ["ending one device ends others"]),
    ],
)
async def test_who_ends_the_wrong_devices_is_told_on(fake: type[FakeApp], expected: list[str], tmp_path: Path) -> None:
    found = devices.complaints(view(await figures(fake(), tmp_path)), "jwt")
    assert [one for one in found if "limit" not in one and "allowed" not in one] == expected


def rows(**changed: Any) -> list[Row]:
    met = {"round": 0, "strategy": "redis", "what": "devices", "listed": 3, "ended": True, "kept": 2}
    tried = {"strategy": "redis", "what": "limit", "logins": 12, "limit": 3, "alive": 3, "replicas": 2}
    return [{**row, **{key: value for key, value in changed.items() if key in row}} for row in (met, tried)]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "redis takes care of them"),
        ({"listed": 2}, "holds for redis (lists 2 of 3 devices)"),
        ({"alive": 4}, "holds for redis (4 logins where 3 are allowed)"),
        ({"kept": 1}, "holds for redis (ending one device ends others)"),
    ],
)
def test_the_verdict_comes_from_the_figures(changed: dict[str, Any], expected: str) -> None:
    found = devices.analyse(rows(**changed), config(redis="session"))
    judged = devices.several_devices(View(results(*found, redis="session")))
    assert judged is not None
    assert judged[1] == expected


async def test_without_further_clusters_the_limit_is_not_measured_and_it_is_said(tmp_path: Path) -> None:
    async with serve(FakeApp()) as cluster:
        found = await context(cluster, tmp_path)
        await devices.measure(found, PLAN)
    assert [row["what"] for row in found.rows if row.get("kind") == "not measured"] == ["the limit"]
