"""Sessions that the client holds: what protects them, what their limits are, and how their keys are replaced."""

import base64
import json
import secrets

import pytest
from cryptography.fernet import Fernet

from services.app.sessions.encrypted_cookie import MAX_BYTES
from services.app.strategy import Capability, Info, Kind
from tests.contract.app.calls import call, logout, page, visit
from tests.support.servers.app import COOKIE_KEY, Client, StartReplica, World
from tests.support.strategies import each

held = each(Kind.SESSION, lacking=Capability.DEVICES)
"""For each strategy whose sessions nobody but the client has."""


def new_key() -> str:
    return Fernet.generate_key().decode()


def value(login: dict[str, str]) -> str:
    return login["Cookie"].partition("=")[2]


def with_value(info: Info, text: str) -> dict[str, str]:
    return {"Cookie": f"{info.name}-session={text.rstrip('=')}"}


@held
async def test_the_cookie_says_nothing_without_the_key(replica: Client, world: World, info: Info) -> None:
    login = await world.login(replica, info)
    padded = value(login) + "=" * (-len(value(login)) % 4)
    assert b"alice" not in base64.urlsafe_b64decode(padded)
    inside = json.loads(Fernet(COOKIE_KEY).decrypt(padded))
    assert "alice" in json.dumps(inside)  # the control: it is in there


@held
async def test_a_cookie_that_was_changed_or_made_by_others_is_no_login(
    replica: Client, world: World, info: Info
) -> None:
    login = await world.login(replica, info)
    text = value(login)
    inside = Fernet(COOKIE_KEY).decrypt(text + "=" * (-len(text) % 4))
    forgeries = [text[:n] + ("A" if text[n] != "A" else "B") + text[n + 1 :] for n in range(0, len(text), 7)]
    forgeries += [text[:-4], text[4:], text + "AAAA", Fernet(new_key()).encrypt(inside).decode()]
    for forgery in forgeries:
        assert await page(replica, info, with_value(info, forgery)) == 401, forgery
    assert await page(replica, info, with_value(info, Fernet(COOKIE_KEY).encrypt(inside).decode())) == 200


@held
@pytest.mark.parametrize(
    "inside",
    [
        b'{"created": 1, "session": {"state": "[]"}}',
        b'{"created": 1, "session": {"state": "[1,2,3,4,5,6]"}}',
        b'{"created": 1, "session": {}}',
        b"{}",
    ],
)
async def test_a_cookie_of_another_version_is_no_login_and_no_500(replica: Client, info: Info, inside: bytes) -> None:
    login = with_value(info, Fernet(COOKIE_KEY).encrypt(inside).decode())
    assert await page(replica, info, login) == 401
    assert (await visit(replica, info, login))[0] == 401


@held
async def test_keys_are_replaced_without_a_logout(start: StartReplica, world: World, info: Info) -> None:
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
async def test_its_limits_no_logout_no_forced_logout_and_old_states_come_back(
    replica: Client, world: World, info: Info
) -> None:
    """Shown honestly: a copy is good until it expires, whatever was told to the browser or to the replicas."""
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
async def test_its_limit_a_session_that_browsers_would_drop_is_refused(
    replica: Client, world: World, info: Info
) -> None:
    agents = {"User-Agent": secrets.token_urlsafe(6000)}  # cut off at a length that fits
    body = {"username": "alice", "password": "correct horse"}
    async with replica.post(str(info.login), json=body, headers=agents) as response:
        assert response.status == 200
        assert len(response.headers["Set-Cookie"].partition(";")[0]) <= MAX_BYTES
    login = await world.login(replica, info)
    text = value(login)
    inside = json.loads(Fernet(COOKIE_KEY).decrypt(text + "=" * (-len(text) % 4)))
    state = json.loads(inside["session"]["state"])
    state[-1]["basket"] = "x" * 3000  # what an application might put there
    inside["session"]["state"] = json.dumps(state)
    fat = with_value(info, Fernet(COOKIE_KEY).encrypt(json.dumps(inside).encode()).decode())
    async with replica.post(f"/{info.name}/visits", headers=fat) as response:
        assert (response.status, "Set-Cookie" in response.headers) == (413, False)


@held
async def test_s17_a_cookie_that_is_none_is_not_worth_a_log_line_each(
    replica: Client, info: Info, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        assert await page(replica, info, with_value(info, secrets.token_urlsafe(100))) == 401
    assert "decrypt" not in caplog.text
