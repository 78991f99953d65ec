"""Forgeries prove themselves on a control, and the verdict tells on who accepts one."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from loadtest.attacks.forgeries import COOKIES, TOKENS, Known
from loadtest.attacks.thief import Thief
from loadtest.attacks.weak_server import AUDIENCE, ISSUER, weak_server
from loadtest.attacks.weak_verifier import RefusedError, WeakVerifier
from loadtest.experiments import forgery
from loadtest.results.model import Row
from loadtest.results.view import View
from tests.unit.loadtest.fakes import FakeApp, config, context, measured, results, serve


@pytest.mark.parametrize("attack", TOKENS)
async def test_a_forged_token_gets_in_by_its_flaw_and_not_without(attack: str) -> None:
    async with weak_server() as weak:
        forged = TOKENS[attack].forge(Known(weak.token(), weak.token("rt+jwt"), (weak.jwk,)))
        WeakVerifier(weak.jwk, ISSUER, AUDIENCE, time.time(), TOKENS[attack].flaw).verify(forged)
        with pytest.raises(RefusedError):
            WeakVerifier(weak.jwk, ISSUER, AUDIENCE, time.time(), None).verify(forged)


@pytest.mark.parametrize("attack", COOKIES)
async def test_a_forged_cookie_gets_in_by_its_flaw_and_not_without(attack: str) -> None:
    async with weak_server() as weak:
        forged = COOKIES[attack].forge(weak.sessions.begin(), weak.sessions.begin())
        assert weak.sessions.accepts(forged, COOKIES[attack].flaw)
        assert not weak.sessions.accepts(forged, None)


async def test_the_control_accepts_what_it_issued() -> None:
    async with weak_server() as weak, aiohttp.TCPConnector() as connector, Thief(weak.url, connector) as thief:
        good: list[Mapping[str, str]] = [
            {"Authorization": f"Bearer {weak.token()}"},
            {"Cookie": f"weak-session={weak.sessions.begin()}"},
        ]
        assert [(await thief.send("GET", "/strict/mypage", headers)).status for headers in good] == [200, 200]
        assert (await thief.send("GET", "/strict/mypage")).status == 401


class Gullible(FakeApp):
    """Looks at the first letters of a cookie only."""

    def key(self, request: web.Request) -> str:
        sent = super().key(request)
        return next((key for key in self.logins if sent and key[:4] == sent[:4]), sent)


async def verdict(fake: FakeApp, logs: Path) -> str:
    async with serve(fake) as cluster:
        found = await measured("forgery", await context(cluster, logs))
    judged = forgery.changed_data(View(results(*found, memory="session", jwt="token")))
    assert judged is not None
    return judged[1]


async def test_who_accepts_a_refresh_token_as_an_access_token_is_told_on(tmp_path: Path) -> None:
    """The fake does, for it has one table of tokens; its sessions are cleared."""
    found = await verdict(FakeApp(), tmp_path)
    assert found == "holds for memory; does not hold for jwt (a refresh token as an access token)"


async def test_who_accepts_a_forged_cookie_is_told_on(tmp_path: Path) -> None:
    found = await verdict(Gullible(), tmp_path)
    assert found.startswith("does not hold for memory (middle letter changed, last letter changed, last letter cut off")


class Rollback(FakeApp):
    """Counts in the cookie itself, as a session without a store does."""

    async def visit(self, request: web.Request) -> web.Response:
        count = int(request.cookies.get("count", "0")) + 1
        response = web.json_response({"visits": count})
        response.set_cookie("count", str(count))
        return response


async def test_an_older_credential_that_brings_older_state_back_is_told_on(tmp_path: Path) -> None:
    assert "memory: no forgery, but an older credential brings" in await verdict(Rollback(), tmp_path)


def row(**changed: Any) -> Row:
    good = {"round": 0, "strategy": "jwt", "attack": "alg none", "status": 401}
    return {**good, "control_fell": True, "strict_refused": True, **changed}


@pytest.mark.parametrize(
    "broken", [{"status": 0}, {"control_fell": False}, {"strict_refused": False}], ids=lambda broken: str(broken)
)
def test_a_forgery_that_proves_nothing_has_no_figure(broken: dict[str, Any]) -> None:
    found = forgery.analyse([row(**broken)], config(jwt="token"))
    assert [f.metric for f in found] == ["forgeries_not_counted", "control_forgeries_accepted"]
    assert forgery.changed_data(View(results(*found, jwt="token"))) is None


def test_without_a_control_that_fell_there_is_no_verdict() -> None:
    found = [f for f in forgery.analyse([row()], config(jwt="token")) if f.metric == "forgeries_accepted"]
    assert forgery.changed_data(View(results(*found, jwt="token"))) is None
