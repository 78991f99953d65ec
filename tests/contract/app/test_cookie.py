"""Sessions that the client holds: what protects them, what their limits are, and how their keys are replaced."""

import base64
import json
import secrets

import pytest
from cryptography.fernet import Fernet

from services.app.sessions.cookie_keys import CookieKeys
from services.app.sessions.encrypted_cookie import MAX_BYTES
from services.app.strategy import Capability, Info, Kind
from tests.contract.app.calls import call, logout, page, visit
from tests.support.servers.app import COOKIE_KEY, Client, StartReplica, World
from tests.support.strategies import each

held = each(Kind.SESSION, lacking=Capability.DEVICES)
"""For each strategy whose sessions nobody but the client has."""


def keys(info: Info, key: str = COOKIE_KEY, context: str = "{}-session 1") -> CookieKeys:
    return CookieKeys([base64.urlsafe_b64decode(key + "=")], context.format(info.name).encode())


def new_key() -> str:
    return secrets.token_urlsafe(32)


def opened(info: Info, login: dict[str, str]) -> bytes:
    inside = keys(info).decrypt(value(login))
    assert inside
    return inside


def value(login: dict[str, str]) -> str:
    return login["Cookie"].partition("=")[2]


def with_value(info: Info, text: str) -> dict[str, str]:
    return {"Cookie": f"{info.name}-session={text}"}


@held
async def test_the_cookie_reveals_nothing_without_the_key(replica: Client, world: World, info: Info) -> None:
    login = await world.login(replica, info)
    padded = value(login) + "=" * (-len(value(login)) % 4)
    assert b"alice" not in base64.urlsafe_b64decode(padded)
    assert b"alice" in opened(info, login)  # the control: it is in there


@held
async def test_a_modified_or_foreign_cookie_is_not_a_login(replica: Client, world: World, info: Info) -> None:
    login = await world.login(replica, info)
    text = value(login)
    inside = opened(info, login)
    forgeries = [text[:n] + ("A" if text[n] != "A" else "B") + text[n + 1 :] for n in range(0, len(text), 7)]
    forgeries += [text[:-4], text[4:], text + "AAAA", text + "=", keys(info, new_key()).encrypt(inside)]
    for forgery in forgeries:
        assert await page(replica, info, with_value(info, forgery)) == 401, forgery
    assert await page(replica, info, with_value(info, keys(info).encrypt(inside))) == 200


@held
async def test_a_cookie_that_was_encrypted_for_something_else_is_not_a_login(
    replica: Client, world: World, info: Info
) -> None:
    """The same keys, the same session: what differs is the cookie's name, or the version of what is in it."""
    inside = opened(info, await world.login(replica, info))
    for context in ("__Host-{}-session 1", "{}-session2 1", "{}-session 2", "{}-session", ""):
        assert await page(replica, info, with_value(info, keys(info, context=context).encrypt(inside))) == 401, context
    fernet = Fernet(COOKIE_KEY).encrypt(inside).decode()  # what it was before
    assert await page(replica, info, with_value(info, fernet)) == 401


@held
@pytest.mark.parametrize("inside", [b"[]", b"[1,2,3,4,5,6]", b"{}", b"", b"\xff"])
async def test_a_cookie_of_another_version_is_neither_a_login_nor_a_500(
    replica: Client, info: Info, inside: bytes
) -> None:
    login = with_value(info, keys(info).encrypt(inside))
    assert await page(replica, info, login) == 401
    assert (await visit(replica, info, login))[0] == 401


@held
async def test_keys_are_replaced_without_logging_anybody_out(start: StartReplica, world: World, info: Info) -> None:
    """In three steps, each a rolling restart: accept the new key everywhere, encrypt with it, drop the old one."""
    new = new_key()
    before = await start("a", cookie_keys=COOKIE_KEY)
    accepting = await start("b", cookie_keys=f"{COOKIE_KEY}, {new}\n")
    encrypting = await start("a", cookie_keys=f"{new},{COOKIE_KEY}")
    after = await start("b", cookie_keys=new)
    old = await world.login(before, info)
    assert [await page(client, info, old) for client in (before, accepting, encrypting)] == [200] * 3
    assert await page(before, info, await world.login(accepting, info)) == 200  # not used before all know it
    young = await world.login(encrypting, info)
    assert [await page(client, info, young) for client in (accepting, encrypting, after)] == [200] * 3
    assert await page(after, info, old) == 401
    assert await page(before, info, young) == 401


@held
async def test_a_use_renews_the_cookie_now_and_then(replica: Client, world: World, info: Info) -> None:
    login = await world.login(replica, info)
    first = dict(login)
    world.clock.now += 9
    assert await page(replica, info, login) == 200
    assert login == first
    world.clock.now += 1
    _, headers, _ = await call(replica, "GET", f"/{info.name}/mypage", login)
    assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= set(headers["Set-Cookie"].split("; "))  # S8
    assert headers["Cache-Control"] == "no-store"


@held
async def test_its_limits_copies_survive_logouts_and_old_states_can_be_restored(
    replica: Client, world: World, info: Info
) -> None:
    """A known limit: a copy is valid until it expires, whatever the browser or the replicas were told."""
    login = await world.login(replica, info)
    copy = dict(login)
    assert [await visit(replica, info, login) for _ in range(2)] == [(200, 1), (200, 2)]
    assert await visit(replica, info, dict(copy)) == (200, 1)  # the old cookie brings the old count back
    assert await logout(replica, info, login) == 204
    await world.revoke("user", "id-of-alice")
    assert await page(replica, info, dict(copy)) == 200
    world.clock.now += 601
    assert await page(replica, info, dict(copy)) == 401


@held
async def test_its_limit_a_session_too_large_for_browsers_is_refused(replica: Client, world: World, info: Info) -> None:
    agents = {"User-Agent": secrets.token_urlsafe(6000)}  # cut off at a length that fits
    body = {"username": "alice", "password": "correct horse"}
    async with replica.post(str(info.login), json=body, headers=agents) as response:
        assert response.status == 200
        assert len(response.headers["Set-Cookie"].partition(";")[0]) <= MAX_BYTES
    login = await world.login(replica, info)
    state = json.loads(opened(info, login))
    state[-1]["basket"] = "x" * 3000  # what an application might put there
    fat = with_value(info, keys(info).encrypt(json.dumps(state).encode()))
    async with replica.post(f"/{info.name}/visits", headers=fat) as response:
        assert (response.status, "Set-Cookie" in response.headers) == (413, False)


@held
async def test_s17_invalid_cookies_do_not_fill_the_log(
    replica: Client, info: Info, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        assert await page(replica, info, with_value(info, secrets.token_urlsafe(100))) == 401
    assert "decrypt" not in caplog.text
