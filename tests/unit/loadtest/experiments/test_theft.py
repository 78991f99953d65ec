"""A stolen credential is used until it is refused, and the verdict tells on whom a logout does not stop."""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from loadtest.cluster.protocol import Cluster
from loadtest.experiments import theft
from loadtest.results.model import Figure, Row
from loadtest.results.view import View
from tests.unit.loadtest.fakes import FakeApp, config, context, results, serve

PLAN = theft.Plan(short_life=0.8, long_life=1.2, pause_seconds=0.01, patience_seconds=0.8)


class Mortal(FakeApp):
    """Its logins end after as many seconds as it was told."""

    def __init__(self, life: float) -> None:
        super().__init__()
        self.life = life
        self.born: dict[str, float] = {}

    def credential(self, name: str) -> str:
        key = super().credential(name)
        self.born[key] = time.monotonic()
        return key

    def key(self, request: web.Request) -> str:
        key = super().key(request)
        return key if time.monotonic() - self.born.get(key, 0.0) < self.life else ""

    async def refresh(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form["refresh_token"] not in self.logins:
            return web.json_response({"error": "invalid_grant"}, status=400)
        return await super().refresh(request)


class Undead(Mortal):
    """Nothing ends a login before its time."""

    async def logout(self, request: web.Request) -> web.Response:
        return web.Response(status=204)


async def stolen(fake: type[Mortal], logs: Path) -> list[Figure]:
    short, long = fake(0.8), fake(1.2)
    async with serve(short) as one, serve(long) as other:
        clusters = {"0.8": one, "1.2": other}

        def spare(settings: Mapping[str, str]) -> AbstractContextManager[Cluster]:
            return nullcontext(clusters[settings["ACCESS_TOKEN_SECONDS"]])

        found = replace(await context(one, logs), spare_cluster=spare)
        await theft.measure(found, PLAN)
    return theft.analyse(found.rows, config(anonymous="control", memory="session", jwt="token"))


def verdict(figures: list[Figure]) -> str:
    judged = theft.until_it_expires(View(results(*figures, memory="session", jwt="token")))
    assert judged is not None
    return judged[1]


async def test_a_logout_that_ends_a_login_stops_the_thief(tmp_path: Path) -> None:
    found = await stolen(Mortal, tmp_path)
    assert "a logout ends memory (session cookie) and jwt (access token)" in verdict(found)
    unnoticed = [f for f in found if f.labels["scenario"] == theft.UNNOTICED]
    for figure in unnoticed:
        if figure.labels["credential"] != theft.REFRESH_TOKEN:
            assert 0 < figure.value <= float(figure.labels["life"].removesuffix(" s"))
    assert len(unnoticed) == 6


async def test_who_lets_a_thief_go_on_after_the_logout_is_told_on(tmp_path: Path) -> None:
    expected = "holds for memory (session cookie), jwt (access token) and jwt (refresh token)"
    assert verdict(await stolen(Undead, tmp_path)) == expected


def row(**changed: Any) -> Row:
    good = {"life": 4.0, "scenario": theft.LOGOUT, "strategy": "jwt", "credential": "access token", "stolen": True}
    return {**good, "logout": 0.5, "accepted": 3.9, "refused": 4.1, **changed}


def figures(*rows: Row) -> list[Figure]:
    return theft.analyse(rows, config(jwt="token"))


def test_seconds_lie_between_the_last_use_accepted_and_the_first_refused() -> None:
    whole, after, logout = figures(row())
    assert (whole.metric, whole.value, whole.ci_low, whole.ci_high) == ("stolen_good_for", 3.9, 3.9, 4.1)
    assert after.metric == "good_after_logout"
    assert [after.value, after.ci_high] == pytest.approx([3.4, 3.6])
    assert (logout.metric, logout.value) == ("logged_out_after", 0.5)


def test_what_was_never_refused_has_no_upper_end() -> None:
    assert [f.ci_high for f in figures(row(refused=None))[:2]] == [None, None]


def test_what_was_not_accepted_at_once_was_not_stolen() -> None:
    assert figures(row(stolen=False)) == []
    assert theft.until_it_expires(View(results(jwt="token"))) is None


HOLDS, ENDS = "holds for jwt (access token)", "a logout ends jwt (access token)"
UNKNOWN = "cannot be told for jwt (access token): the logout came too late"


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([row(), row(life=2.0, accepted=1.9, refused=2.1)], HOLDS),
        ([row(), row(life=2.0, accepted=0.6, refused=0.7)], ENDS),
        ([row(accepted=0.4, refused=2.6)], ENDS),
        ([row(logout=3.9, accepted=3.9, refused=4.0)], UNKNOWN),
        ([row(), row(life=2.0, logout=1.9, accepted=1.9, refused=2.1)], HOLDS),
        ([row(), row(scenario=theft.UNNOTICED, logout=None, accepted=13.9, refused=14.1)], ENDS),
        ([row(accepted=1.6, refused=2.0), row(scenario=theft.UNNOTICED, logout=None, accepted=2.1)], HOLDS),
        ([row(refused=None)], HOLDS),
    ],
    ids=[
        "under both lives",
        "under one only",
        "never accepted again, and not asked for long",
        "the logout came when its life was over",
        "under one life it came too late",
        "it would have been good for much longer",
        "a slow machine: half of its life was over before it was stolen",
        "never refused",
    ],
)
def test_a_credential_outlives_a_logout_or_not(rows: list[Row], expected: str) -> None:
    assert verdict(figures(*rows)) == expected


async def test_without_further_clusters_nothing_is_measured_and_it_is_said(tmp_path: Path) -> None:
    async with serve(FakeApp()) as cluster:
        found = await context(cluster, tmp_path)
        await theft.measure(found, PLAN)
    assert [r["kind"] for r in found.rows] == ["not measured"]
