"""Thieves are cut off, honest clients are not, and the verdict tells on whoever does it otherwise."""

import secrets
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from loadtest.experiments import refresh
from loadtest.results.model import Figure
from loadtest.results.view import View
from tests.unit.loadtest.fakes import FakeApp, config, context, results, serve

PLAN = refresh.Plan(thefts=2, clients=1, refreshes=2, parallel=3, grace=0)


class Rotating(FakeApp):
    """Rotates refresh tokens, repeats a successor within a grace, and ends the family of what comes later."""

    grace = 0.4

    def __init__(self) -> None:
        super().__init__()
        self.family: dict[str, str] = {}
        self.successors: dict[str, tuple[str, float]] = {}
        self.over: set[str] = set()

    def token(self, family: str) -> web.Response:
        token = secrets.token_hex(8)
        self.family[token] = family
        return self.answer(token)

    def answer(self, token: str) -> web.Response:
        return web.json_response({"access_token": "access", "refresh_token": token, "expires_in": 300})

    def tokens(self, name: str) -> web.Response:
        return self.token(secrets.token_hex(8))

    async def refresh(self, request: web.Request) -> web.Response:
        token = str((await request.post())["refresh_token"])
        family = self.family[token]
        if family in self.over:
            return self.refused()
        if token in self.successors:
            return self.repeated(token, family)
        return self.rotated(token, family)

    def rotated(self, token: str, family: str) -> web.Response:
        successor = secrets.token_hex(8)
        self.family[successor] = family
        self.successors[token] = (successor, time.monotonic())
        return self.answer(successor)

    def repeated(self, token: str, family: str) -> web.Response:
        successor, at = self.successors[token]
        if time.monotonic() - at <= self.grace:
            return self.answer(successor)
        self.over.add(family)
        return self.refused()

    def refused(self) -> web.Response:
        return web.json_response({"error": "invalid_grant"}, status=400)


class NeverNotices(Rotating):
    """A replaced token is as good as ever."""

    grace = 1000.0


class MintsTwice(Rotating):
    """Each presentation gets a token of its own."""

    def repeated(self, token: str, family: str) -> web.Response:
        return self.rotated(token, family)


class NoGrace(Rotating):
    """Whatever comes twice is a theft."""

    grace = -1.0


async def figures(fake: FakeApp, logs: Path) -> list[Figure]:
    async with serve(fake) as cluster:
        found = replace(await context(cluster, logs), spare_cluster=lambda _: nullcontext(cluster))
        await refresh.measure(found, PLAN)
    return refresh.analyse(found.rows, config(jwt="token"))


@pytest.mark.parametrize(
    ("fake", "expected"),
    [
        (Rotating, ["holds: a stolen refresh token works until"]),
        (NeverNotices, ["does not hold for jwt", "thieves go on (the thief refreshes first)"]),
        (MintsTwice, ["does not hold for jwt", "thieves go on", "a token got two successors"]),
        (NoGrace, ["does not hold for jwt", "honest clients are logged out (two tabs at once)"]),
    ],
)
async def test_the_verdict_tells_on_who_does_it_otherwise(
    fake: type[Rotating], expected: list[str], tmp_path: Path
) -> None:
    judged = refresh.limits(View(results(*await figures(fake(), tmp_path), jwt="token")))
    assert judged is not None
    assert [part for part in expected if part not in judged[1]] == []


async def test_who_is_too_late_is_counted_apart(tmp_path: Path) -> None:
    alarms = {f.labels["client"]: f.value for f in await figures(Rotating(), tmp_path) if f.metric == "false_alarms"}
    assert alarms == dict.fromkeys(refresh.HONEST, 0.0) | {refresh.LATE: 1000.0}


def test_no_loss_in_a_few_samples_does_not_prove_that_there_is_none() -> None:
    rows = [{"strategy": "jwt", "honest": "two tabs at once", "minted": 1, "alarm": False}] * 100
    alarms, mints = refresh.analyse(rows, config(jwt="token"))
    assert (alarms.value, alarms.n, mints.n) == (0, 100, 100)
    assert alarms.ci_high == pytest.approx(36.2, abs=0.1)


async def test_without_further_clusters_nothing_is_measured_and_it_is_said(tmp_path: Path) -> None:
    async with serve(FakeApp()) as cluster:
        found = await context(cluster, tmp_path)
        await refresh.measure(found, PLAN)
    assert [row["kind"] for row in found.rows] == ["not measured"]
