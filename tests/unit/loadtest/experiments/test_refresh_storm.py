"""Many refreshes at once: the peak, and who loses a login."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from aiohttp import web

from loadtest.experiments import refresh_storm
from loadtest.experiments.refresh_storm import EXPIRY, JITTER, NONE
from loadtest.results.view import View
from tests.unit.loadtest.fakes import FakeApp, config, context, results, serve

PLAN = replace(refresh_storm.Plan(), devices=8, lives=2, away=0.1)
KINDS = {"jwt": "token"}


class Forgetful(FakeApp):
    """Refuses the last refreshes."""

    async def refresh(self, request: web.Request) -> web.Response:
        if self.refreshes > 40:
            return web.json_response({"error": "invalid_grant"}, status=400)
        return await super().refresh(request)


async def view(fake: FakeApp, logs: Path) -> View:
    async with serve(fake) as cluster:
        found = replace(await context(cluster, logs), spare_cluster=lambda _: nullcontext(cluster))
        await refresh_storm.measure(found, PLAN)
    return View(results(*refresh_storm.analyse(found.rows, config(**KINDS)), **KINDS))


async def test_jitter_spreads_refreshes_and_lost_logins_are_told_on(tmp_path: Path) -> None:
    found = await view(FakeApp(), tmp_path)
    peaks = {name: found.one("refresh_peak", case=EXPIRY, jitter=name) for name in (NONE, JITTER)}
    assert peaks[NONE].value == 100  # type: ignore[union-attr]
    assert peaks[JITTER].value < 100  # type: ignore[union-attr]
    assert "0 of 32 devices that refreshed in a crowd lost their login." in list(refresh_storm.sentences(found))


async def test_devices_that_lose_their_logins_are_told_on(tmp_path: Path) -> None:
    found = await view(Forgetful(), tmp_path)
    assert sum(f.value for f in found.figures("logins_lost")) > 0
    assert "0 of 32 devices that refreshed in a crowd lost their login." not in list(refresh_storm.sentences(found))


async def test_without_further_clusters_nothing_is_measured_and_it_is_said(tmp_path: Path) -> None:
    async with serve(FakeApp()) as cluster:
        found = await context(cluster, tmp_path)
        await refresh_storm.measure(found, PLAN)
    assert [row["what"] for row in found.rows] == ["everything"]
