"""Logins of a user, forced logout, disabled accounts, changed passwords: two processes on one Redis and database."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import jwt
import pytest
from aiohttp import ClientResponse
from redis.asyncio import Redis

from services.auth.accounts.authentication import Authentication
from services.auth.accounts.store import AccountStore
from services.auth.application import PARTS
from services.common.devices import MAX_USER_AGENT
from services.common.revocations import STREAM
from tests.support.clock import ManualClock
from tests.support.servers.auth import Client, StartAuth
from tests.support.servers.valkey import Valkey

pytest_plugins = ("tests.support.servers.auth_fixtures",)

SESSION_SECONDS = 43_200  # the longest life of an entry, by default
ANN = {"username": "ann", "password": "correct horse"}
BOB = {"username": "bob", "password": "battery staple"}
ADMIN = {"username": "admin", "password": "the administrator's password"}
NEW = "another correct horse"
CHANGE = {"old_password": ANN["password"], "new_password": NEW}


class Login:
    """A login at one process."""

    def __init__(self, client: Client, body: dict[str, Any]) -> None:
        self.client = client
        self.user_id = body["user"]["id"]
        self.access_token = body["access_token"]
        self.refresh_token = body["refresh_token"]
        self.id = jwt.decode(self.access_token, options={"verify_signature": False})["sid"]

    async def call(self, method: str, path: str, **options: Any) -> ClientResponse:
        bearer = {"Authorization": f"Bearer {self.access_token}"}
        return await self.client.request(method, path, headers=bearer, **options)

    async def sessions(self) -> list[dict[str, Any]]:
        answer = await self.call("GET", "/auth/sessions")
        assert answer.status == 200, await answer.text()
        assert answer.headers["Cache-Control"] == "no-store"  # S10
        return list((await answer.json())["sessions"])

    async def refresh(self) -> int:
        form = {"grant_type": "refresh_token", "refresh_token": self.refresh_token}
        answer = await self.client.post("/auth/token", data=form)
        if answer.status == 200:
            self.refresh_token = (await answer.json())["refresh_token"]
        else:
            assert (await answer.json())["error"] == "invalid_grant"
        return answer.status


async def log_in(client: Client, who: dict[str, str] = ANN, **headers: str) -> Login:
    answer = await client.post("/auth/login", json=who, headers=headers)
    assert answer.status == 200, await answer.text()
    return Login(client, await answer.json())


async def living(logins: Sequence[Login]) -> list[bool]:
    """Return which of the logins are still alive."""
    return [await login.refresh() == 200 for login in logins]


@pytest.fixture
async def auth(start_auth: StartAuth) -> Client:
    client = await start_auth()
    for who in (ANN, BOB):
        assert (await client.post("/auth/users", json=who)).status == 201
    return client


@pytest.fixture
async def other(start_auth: StartAuth, auth: Client) -> Client:
    """Another process with the same accounts and logins."""
    return await start_auth(REPLICA="auth-2")


@pytest.fixture
async def admin(other: Client) -> Login:
    return await log_in(other, ADMIN)


@pytest.fixture
async def redis(auth_valkey: Valkey) -> AsyncIterator[Redis]:
    async with Redis.from_url(auth_valkey.url, password=auth_valkey.password, decode_responses=True) as redis:
        yield redis


async def revocations(redis: Redis) -> list[dict[str, str]]:
    entries: Any = await redis.xrange(STREAM)
    return [fields for _, fields in entries]


# The list


async def test_s13_users_see_only_their_own_logins(auth: Client, other: Client, clock: ManualClock) -> None:
    await log_in(auth, BOB)
    first = await log_in(auth, ANN, **{"User-Agent": "Firefox", "X-Forwarded-For": "203.0.113.7"})
    clock.now += 60
    second = await log_in(other, ANN, **{"User-Agent": "curl", "X-Forwarded-For": "2001:db8::7"})
    began = {"client_id": "authscale-web", "created_at": clock.now - 60, "last_seen_at": clock.now - 60}
    one = {"id": first.id, "address": "203.0.113.7", "user_agent": "Firefox", "current": True} | began
    now = {"created_at": clock.now, "last_seen_at": clock.now}
    two = one | {"id": second.id, "address": "2001:db8::7", "user_agent": "curl", "current": False} | now
    assert await first.sessions() == [two, one]


async def test_s13_a_refresh_updates_last_seen_and_the_address(auth: Client, clock: ManualClock) -> None:
    login = await log_in(auth)
    clock.now += 60
    form = {"grant_type": "refresh_token", "refresh_token": login.refresh_token}
    await auth.post("/auth/token", data=form, headers={"X-Forwarded-For": "203.0.113.9"})
    (session,) = await login.sessions()
    assert (session["created_at"], session["last_seen_at"]) == (clock.now - 60, clock.now)
    assert session["address"] == "203.0.113.9"


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("203.0.113.7,", "127.0.0.1"),
        ("<script>", "127.0.0.1"),
        ("\udcff", "127.0.0.1"),
    ],
)
async def test_only_the_last_hop_is_trusted_for_the_address(auth: Client, forwarded: str, address: str) -> None:
    login = await log_in(auth, ANN, **{"X-Forwarded-For": forwarded})
    assert (await login.sessions())[0]["address"] == address


@pytest.mark.parametrize(
    ("sent", "shown"),
    [(b"x" * 5000, "x" * MAX_USER_AGENT), (b"a\xff\xfe", "a\ufffd\ufffd"), ("Ünï".encode(), "Ünï")],
)
async def test_s17_any_user_agent_is_stored_short_and_as_text(auth: Client, sent: bytes, shown: str) -> None:
    login = Login(auth, await raw_login(auth, sent))
    assert (await login.sessions())[0]["user_agent"] == shown
    assert (await login.call("DELETE", f"/auth/sessions/{login.id}")).status == 204


async def raw_login(client: Client, user_agent: bytes) -> Any:
    """Log in with bytes that no client library would send."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    body = json.dumps(ANN).encode()
    head = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
    writer.write(head + b"User-Agent: %s\r\nContent-Length: %d\r\n\r\n%s" % (user_agent, len(body), body))
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return json.loads(answer.partition(b"\r\n\r\n")[2])


async def test_the_index_of_logins_is_bounded_in_time(start_auth: StartAuth, clock: ManualClock, redis: Redis) -> None:
    auth = await start_auth(REFRESH_IDLE_SECONDS=100)
    await auth.post("/auth/users", json=ANN)
    old = await log_in(auth)
    key = f"auth:families:{old.user_id}"
    assert 99 <= await redis.ttl(key) <= 101
    clock.now += 101
    new = await log_in(auth)
    assert await redis.zrange(key, 0, -1) == [new.id]
    await new.call("DELETE", "/auth/sessions")
    assert not await redis.exists(key)


# Ending logins


async def test_s13_a_user_ends_one_login(auth: Client, other: Client) -> None:
    first, second, third = [await log_in(client) for client in (auth, other, auth)]
    assert (await first.call("DELETE", f"/auth/sessions/{second.id}")).status == 204
    assert await living([first, second, third]) == [True, False, True]
    assert (await second.call("GET", "/auth/sessions")).status == 401
    assert {session["id"] for session in await first.sessions()} == {first.id, third.id}


async def test_s13_users_cannot_end_anybody_elses_login(auth: Client) -> None:
    ann, bob = await log_in(auth), await log_in(auth, BOB)
    for session_id in (bob.id, "no-such-login", "%00", "%ff", "a%2fb"):
        answer = await ann.call("DELETE", f"/auth/sessions/{session_id}")
        assert answer.status == 404
        assert answer.content_type == "application/problem+json"
    assert await living([bob]) == [True]


async def test_s13_a_user_signs_out_everywhere_or_all_others(auth: Client, other: Client) -> None:
    logins = [await log_in(client) for client in (auth, other, auth)]
    bob = await log_in(auth, BOB)
    assert (await logins[1].call("DELETE", "/auth/sessions?others=true")).status == 204
    assert await living(logins) == [False, True, False]
    logins.append(await log_in(auth))
    assert (await logins[1].call("DELETE", "/auth/sessions")).status == 204
    assert await living([*logins, bob]) == [False] * 4 + [True]
    assert (await logins[1].call("GET", "/auth/sessions")).status == 401


@pytest.mark.parametrize("query", ["others=yes", "others=true&others=true", "others", "other=true"])
async def test_an_unclear_parameter_ends_nothing(auth: Client, query: str) -> None:
    login = await log_in(auth)
    assert (await login.call("DELETE", f"/auth/sessions?{query}")).status == 400
    assert await living([login]) == [True]


async def test_s13_administrators_end_anybodys_logins(auth: Client, admin: Login) -> None:
    logins, bob = [await log_in(auth) for _ in range(3)], await log_in(auth, BOB)
    answer = await admin.call("POST", f"/auth/admin/users/{logins[0].user_id}/logout")
    assert (answer.status, await answer.json()) == (200, {"ended": 3})
    assert answer.headers["Cache-Control"] == "no-store"
    assert await living([*logins, bob, admin]) == [False] * 3 + [True] * 2
    again = await admin.call("POST", f"/auth/admin/users/{bob.user_id[::-1]}/logout")
    assert again.status == 404
    assert await living([await log_in(auth)]) == [True]


async def test_s11_a_disabled_account_loses_its_logins_for_good(auth: Client, admin: Login) -> None:
    login, unused = await log_in(auth), await log_in(auth)
    user = f"/auth/admin/users/{login.user_id}"
    answer = await admin.call("POST", f"{user}/disable")
    assert (answer.status, await answer.json()) == (200, {"ended": 2})
    assert await living([login]) == [False]
    assert (await login.call("GET", "/auth/sessions")).status == 401
    assert (await auth.post("/auth/login", json=ANN)).status == 401
    assert (await admin.call("POST", f"{user}/enable")).status == 204
    assert await living([login, unused, await log_in(auth)]) == [False, False, True]


async def test_s11_an_account_counts_as_disabled_before_its_logins_are_ended(auth: Client) -> None:
    login = await log_in(auth)
    assert auth.app
    await auth.app[PARTS].accounts.set_disabled(login.user_id, True)
    assert (await login.call("GET", "/auth/sessions")).status == 401


async def test_administrators_cannot_disable_their_own_account(admin: Login) -> None:
    assert (await admin.call("POST", f"/auth/admin/users/{admin.user_id}/disable")).status == 409
    assert await living([admin]) == [True]


async def test_s12_a_changed_password_ends_the_other_logins(auth: Client, other: Client) -> None:
    here, there, bob = await log_in(auth), await log_in(other), await log_in(auth, BOB)
    assert (await here.call("POST", "/auth/password", json=CHANGE)).status == 204
    assert await living([here, there, bob]) == [True, False, True]
    assert (await other.post("/auth/login", json=ANN)).status == 401
    await log_in(other, ANN | {"password": NEW})


async def test_s12_without_the_old_password_nothing_changes(auth: Client, other: Client) -> None:
    here, there = await log_in(auth), await log_in(other)
    wrong = await here.call("POST", "/auth/password", json=CHANGE | {"old_password": NEW})
    assert wrong.status == 403
    assert "old_password" in (await wrong.json())["detail"]
    for bad in ("short", "x" * 129, 12345678):
        answer = await here.call("POST", "/auth/password", json=CHANGE | {"new_password": bad})
        assert answer.status == 400
        assert "new_password" in (await answer.json())["detail"]
    assert (await auth.post("/auth/password", json=CHANGE)).status == 401
    assert await living([here, there]) == [True, True]
    await log_in(auth)


# Who may


CALLS = [
    ("GET", "/auth/sessions"),
    ("DELETE", "/auth/sessions"),
    ("DELETE", "/auth/sessions/x"),
    ("POST", "/auth/password"),
]
ADMIN_CALLS = [("POST", f"/auth/admin/users/{'0' * 32}/{what}") for what in ("logout", "disable", "enable")]


@pytest.mark.parametrize(("method", "path"), CALLS + ADMIN_CALLS)
async def test_j18_without_a_valid_token_the_answer_is_401_with_a_challenge(
    auth: Client, clock: ManualClock, method: str, path: str
) -> None:
    login = await log_in(auth)
    for header in ("", "Basic YXBwOng=", "Bearer"):
        answer = await auth.request(method, path, headers={"Authorization": header})
        assert answer.status == 401
        if header != "Bearer":
            assert answer.headers["WWW-Authenticate"] == 'Bearer realm="authscale"'
    clock.now += 300 + 11
    for token in ("x", login.access_token, login.refresh_token, login.access_token[:-4] + "AAAA"):
        answer = await auth.request(method, path, headers={"Authorization": f"bearer {token}"})
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="authscale", error="invalid_token"'


@pytest.mark.parametrize(("method", "path"), ADMIN_CALLS)
async def test_an_unknown_user_is_404(admin: Login, method: str, path: str) -> None:
    assert (await admin.call(method, path)).status == 404


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [(b"{}", "application/json", 400), (b" " * 20_000, "application/json", 413), (b"a=b", "text/plain", 415)],
)
async def test_bad_bodies_change_no_password(auth: Client, body: bytes, content_type: str, status: int) -> None:
    login = await log_in(auth)
    headers = {"Authorization": f"Bearer {login.access_token}", "Content-Type": content_type}
    assert (await auth.post("/auth/password", data=body, headers=headers)).status == status
    await log_in(auth)


@pytest.mark.parametrize(("method", "path"), ADMIN_CALLS)
async def test_j18_a_missing_role_is_403(auth: Client, method: str, path: str) -> None:
    answer = await (await log_in(auth)).call(method, path)
    assert answer.status == 403
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="authscale", error="insufficient_scope"'
    assert (await answer.json())["type"] == "urn:authscale:problem:forbidden"


# Races: nothing lives after the acknowledgement


async def test_t5_no_refresh_outlives_a_forced_logout(auth: Client, other: Client, admin: Login) -> None:
    for _ in range(20):
        logins = [await log_in(auth) for _ in range(3)]
        racing = [asyncio.ensure_future(login.refresh()) for login in logins for _ in range(3)]
        assert (await admin.call("POST", f"/auth/admin/users/{logins[0].user_id}/logout")).status == 200
        await asyncio.gather(*racing)
        assert await living(logins) == [False] * 3


async def begun_after(auth: Client, step: str, monkeypatch: pytest.MonkeyPatch, act: Any) -> ClientResponse:
    """Begin a login, call *act* when it reaches *step*, and return the answer to the login."""
    done = False
    owner, name = {"checked": (Authentication, "authenticate"), "account read": (AccountStore, "by_id")}[step]
    original = getattr(owner, name)

    async def interrupted(*args: Any, **kwargs: Any) -> Any:
        nonlocal done
        result = await original(*args, **kwargs)
        if not done:
            done = True
            assert (await act()).status in (200, 204)
        return result

    monkeypatch.setattr(owner, name, interrupted)
    answer = await auth.post("/auth/login", json=ANN)
    monkeypatch.undo()
    return answer


@pytest.mark.parametrize("step", ["checked", "account read"])
async def test_s11_t5_a_login_in_flight_while_its_account_is_disabled_fails(
    auth: Client, admin: Login, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    ann = await log_in(auth)
    act = lambda: admin.call("POST", f"/auth/admin/users/{ann.user_id}/disable")  # noqa: E731
    assert (await begun_after(auth, step, monkeypatch, act)).status == 401


@pytest.mark.parametrize("step", ["checked", "account read"])
async def test_s12_t5_a_login_in_flight_with_the_old_password_fails(
    auth: Client, other: Client, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    ann = await log_in(other)
    act = lambda: ann.call("POST", "/auth/password", json=CHANGE)  # noqa: E731
    assert (await begun_after(auth, step, monkeypatch, act)).status == 401
    assert len(await ann.sessions()) == 1


async def test_a_login_in_flight_survives_a_forced_logout_before_its_answer(
    auth: Client, admin: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await log_in(auth)
    act = lambda: admin.call("POST", f"/auth/admin/users/{ann.user_id}/logout")  # noqa: E731
    answer = await begun_after(auth, "account read", monkeypatch, act)
    assert await living([ann, Login(auth, await answer.json())]) == [False, True]


# Revocations are published


async def test_every_revocation_is_published_once(auth: Client, admin: Login, clock: ManualClock, redis: Redis) -> None:
    one, two, three = [await log_in(auth) for _ in range(3)]

    def told(kind: str, subject: str) -> dict[str, str]:
        life = 311 if kind == "family" else SESSION_SECONDS + 1
        return {"kind": kind, "subject": subject, "before": str(clock.now), "expires": str(int(clock.now) + life)}

    for _ in range(2):
        await auth.post("/auth/revoke", data={"token": one.refresh_token})
    expected = [told("family", one.id)]
    assert await revocations(redis) == expected
    clock.now += 1
    await two.call("DELETE", "/auth/sessions?others=true")
    expected += [told("family", three.id), told("sessions", one.user_id)]
    assert await revocations(redis) == expected
    clock.now += 1
    await admin.call("POST", f"/auth/admin/users/{one.user_id}/disable")
    expected += [told("family", two.id), told("user", one.user_id)]
    assert await revocations(redis) == expected


async def test_t3_reuse_is_published_too(auth: Client, clock: ManualClock, redis: Redis) -> None:
    login = await log_in(auth)
    stolen = login.refresh_token
    assert await living([login]) == [True]
    clock.now += 11
    await auth.post("/auth/token", data={"grant_type": "refresh_token", "refresh_token": stolen})
    assert [fields["subject"] for fields in await revocations(redis)] == [login.id]


async def test_s12_a_changed_password_is_published_for_the_sessions_of_the_replicas(
    auth: Client, clock: ManualClock, redis: Redis
) -> None:
    login = await log_in(auth)
    body = {"old_password": ANN["password"], "new_password": "another one altogether"}
    assert (await login.call("POST", "/auth/password", json=body)).status == 204
    (entry,) = await revocations(redis)
    assert (entry["kind"], entry["subject"], entry["before"]) == ("sessions", login.user_id, str(clock.now))


async def test_entries_are_trimmed_once_they_cannot_matter_any_more(auth: Client, redis: Redis) -> None:
    seconds, _ = await redis.time()
    for age in (SESSION_SECONDS + 100, 200):
        await redis.xadd(STREAM, {"kind": "family", "subject": f"{age} s ago"}, id=f"{(seconds - age) * 1000}-0")
    login = await log_in(auth)
    await auth.post("/auth/revoke", data={"token": login.refresh_token})
    assert [fields["subject"] for fields in await revocations(redis)] == ["200 s ago", login.id]
    assert SESSION_SECONDS - 1 <= await redis.ttl(STREAM) <= SESSION_SECONDS


async def test_logins_can_be_ended_when_redis_is_full(start_auth: StartAuth, frail_valkey: Valkey) -> None:
    auth = await start_auth(frail_valkey)
    await auth.post("/auth/users", json=ANN)
    one, two, three = [await log_in(auth) for _ in range(3)]
    redis = auth.app[PARTS].redis if auth.app else None
    assert redis is not None
    await redis.config_set("maxmemory", "1")
    assert (await auth.post("/auth/login", json=ANN)).status == 503
    assert (await two.call("DELETE", f"/auth/sessions/{one.id}")).status == 204
    assert (await two.call("DELETE", "/auth/sessions")).status == 204
    entries: Any = await redis.xrange(STREAM)
    await redis.config_set("maxmemory", "0")
    assert {fields[b"subject"].decode() for _, fields in entries} == {one.id, two.id, three.id, one.user_id}
    assert await living([one, two, three]) == [False] * 3


async def test_a_missing_redis_is_503_and_never_a_401(start_auth: StartAuth, frail_valkey: Valkey) -> None:
    auth = await start_auth(frail_valkey)
    await auth.post("/auth/users", json=ANN)
    login, admin = await log_in(auth), await log_in(auth, ADMIN)
    frail_valkey.kill()
    for caller, method, path in [(login, *call) for call in CALLS] + [(admin, *call) for call in ADMIN_CALLS]:
        answer = await caller.call(method, path, json=CHANGE if path == "/auth/password" else None)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
