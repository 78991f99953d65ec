"""Writes in flight while a login ends, and the verdict on who revives it."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from loadtest.experiments import logout_race
from loadtest.results.view import View
from tests.unit.loadtest.fakes import FakeApp, config, context, results, serve

PLAN = replace(logout_race.Plan(), races=6, settled=0.0)
KINDS = {"memory": "session"}


class Careful(FakeApp):
    """Refuses visits of logins that have ended; those that it has begun with are counted."""

    async def visit(self, request: web.Request) -> web.Response:
        owner = self.logins.get(self.key(request))
        if owner is None:
            return web.Response(status=401)
        await asyncio.sleep(0.004)
        self.saved(self.key(request), owner)
        return await super().visit(request)

    def saved(self, key: str, owner: str) -> None:
        """Nothing that was read before is written."""


class Reviving(Careful):
    """Saves the session that it read before the logout."""

    def saved(self, key: str, owner: str) -> None:
        self.logins[key] = owner


class Indifferent(FakeApp):
    """Counts visits whatever has ended."""


async def said(fake: FakeApp, logs: Path) -> str:
    async with serve(fake) as cluster:
        found = await context(cluster, logs)
        await logout_race.measure(found, PLAN)
    return " ".join(logout_race.sentences(View(results(*logout_race.analyse(found.rows, config(**KINDS)), **KINDS))))


@pytest.mark.parametrize(
    ("fake", "expected"),
    [
        (Careful, "No write in flight has revived a login that ended, in 12 races under memory."),
        (Reviving, "A write in flight revives a login that has ended under memory ("),
        (Indifferent, "Too few writes were in flight at the end of logins"),
    ],
)
async def test_who_revives_a_login_is_told_on(fake: type[FakeApp], expected: str, tmp_path: Path) -> None:
    assert expected in await said(fake(), tmp_path)
