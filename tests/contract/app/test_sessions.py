"""What every session strategy promises, over HTTP."""

import asyncio
import base64
import json
import logging

import aiohttp
import pytest
from aiohttp.test_utils import unused_port

from services.app.sessions.cookie import MAX_CANDIDATES
from services.app.sessions.key import new_cookie, owner_of
from services.app.strategy import Capability, Info, Kind
from tests.contract.app.calls import call, logout, page, post_login, until, visit
from tests.support.servers.app import USERS, Client, FakeAuth, StartReplica, World
from tests.support.strategies import each


@each(Kind.SESSION)
async def test_login_answers_with_the_user_and_s8_a_cookie(start: StartReplica, info: Info) -> None:
    for secure, prefix in ((True, "__Host-"), (False, "")):
        client = await start("a", secure_cookies=secure)
        status, headers, body = await post_login(client, info, password=USERS["alice"])
        assert (status, body) == (200, {"user": {"id": "id-of-alice", "name": "alice"}})
        assert headers["Cache-Control"] == "no-store"  # S10
        cookie, *attributes = headers["Set-Cookie"].split("; ")
        assert cookie.startswith(f"{prefix}{info.name}-session=")
        assert set(attributes) == {"HttpOnly", "Path=/", "SameSite=Lax"} | ({"Secure"} if secure else set())


@each(Kind.SESSION)
async def test_s9_the_deleting_cookie_has_the_same_attributes(start: StartReplica, info: Info) -> None:
    for secure in (True, False):
        client = await start("a", secure_cookies=secure)
        _, headers, _ = await post_login(client, info, password=USERS["alice"])
        setting = headers["Set-Cookie"].split("; ")
        cookie = {"Cookie": setting[0]}
        _, headers, _ = await call(client, "POST", f"/{info.name}/logout", cookie)
        deleting = set(headers["Set-Cookie"].split("; "))
        assert set(setting[1:]) <= deleting
        assert {"Max-Age=0", setting[0].partition("=")[0] + '=""'} <= deleting


@each(Kind.SESSION, having=Capability.DEVICES)
async def test_s1_ids_have_256_random_bits_and_say_nothing_of_the_user(
    replica: Client, world: World, info: Info
) -> None:
    ids = [(await world.login(replica, info))["Cookie"].partition("=")[2] for _ in range(20)]
    random_parts = {one.removeprefix(owner_of("id-of-alice")) for one in ids}
    assert len(random_parts) == 20
    assert {len(base64.urlsafe_b64decode(one + "=")) for one in random_parts} == {32}
    assert not any("alice" in one for one in ids)


@each(Kind.SESSION, having=Capability.LOGOUT)
async def test_s2_a_new_login_gets_a_new_id_and_the_old_one_is_dead(replica: Client, world: World, info: Info) -> None:
    old = await world.login(replica, info)
    _, headers, _ = await post_login(replica, info, old, password=USERS["alice"])
    new = {"Cookie": headers["Set-Cookie"].partition(";")[0]}
    assert new != old
    assert await page(replica, info, old) == 401
    assert await page(replica, info, new) == 200


@each(Kind.SESSION)
async def test_s3_an_id_that_was_never_issued_is_not_adopted(replica: Client, info: Info) -> None:
    invented = {"Cookie": f"{info.name}-session={new_cookie('id-of-alice')}"}
    assert await page(replica, info, invented) == 401
    _, headers, _ = await post_login(replica, info, invented, password=USERS["alice"])
    assert headers["Set-Cookie"].partition(";")[0] != invented["Cookie"]
    assert await page(replica, info, invented) == 401


@each(Kind.SESSION)
async def test_a_failed_login_leaves_the_old_one_alone(replica: Client, world: World, info: Info) -> None:
    login = await world.login(replica, info)
    status, headers, _ = await post_login(replica, info, login, password="wrong")
    assert (status, "Set-Cookie" in headers, "WWW-Authenticate" in headers) == (401, False, True)
    assert await page(replica, info, login) == 200


@each(Kind.SESSION)
async def test_s6_reads_extend_the_idle_timeout(replica: Client, world: World, info: Info) -> None:
    login = await world.login(replica, info)
    for _ in range(3):
        world.clock.now += 580
        assert await page(replica, info, login) == 200
    world.clock.now += 601
    assert await page(replica, info, login) == 401


@each(Kind.SESSION)
async def test_s7_nothing_extends_the_absolute_timeout(replica: Client, world: World, info: Info) -> None:
    login = await world.login(replica, info)
    for _ in range(8):
        world.clock.now += 449
        assert await page(replica, info, login) == 200
        assert (await visit(replica, info, login))[0] == 200
    world.clock.now += 9
    assert await page(replica, info, login) == 401
    assert (await visit(replica, info, login))[0] == 401


@each(having=Capability.ATOMIC)
async def test_s16_no_visit_is_lost_in_a_race(replica: Client, other_replica: Client, world: World, info: Info) -> None:
    clients = [replica, other_replica] if Capability.ANY_REPLICA in info.capabilities else [replica]
    login = await world.login(replica, info)
    calls = [call(clients[n % len(clients)], "POST", f"/{info.name}/visits", login) for n in range(16)]
    answers = await asyncio.gather(*calls)
    # On a busy machine Redis may not answer in its 250 ms: then a write may or may not have happened, and says 503.
    assert {status for status, _, _ in answers} <= {200, 503}
    counts = [body["visits"] for status, _, body in answers if status == 200]
    assert len(counts) >= 4
    assert len(set(counts)) == len(counts), "two writes had the same outcome: one is lost"
    _, _, last = await call(replica, "POST", f"/{info.name}/visits", login)
    assert len(counts) < last["visits"] <= 17


@each(Kind.SESSION, having=Capability.ATOMIC)
async def test_s5_a_write_in_flight_does_not_revive_a_session(
    replica: Client, other_replica: Client, world: World, info: Info
) -> None:
    clients = [replica, other_replica] if Capability.ANY_REPLICA in info.capabilities else [replica]
    for _ in range(20):
        login = await world.login(replica, info)
        writes = [call(clients[n % len(clients)], "POST", f"/{info.name}/visits", login) for n in range(6)]
        writes.insert(3, call(replica, "POST", f"/{info.name}/logout", login))
        statuses = [status for status, _, _ in await asyncio.gather(*writes)]
        assert set(statuses) <= {200, 204, 401}
        assert await page(replica, info, login) == 401
    assert await world.keys_in_redis() == []


@each(Kind.SESSION)
async def test_users_never_see_each_others_sessions(replica: Client, world: World, info: Info) -> None:
    logins = {name: await world.login(replica, info, name) for name in USERS}

    async def shown(name: str) -> tuple[str, str | None]:
        status, _, body = await call(replica, "GET", f"/{info.name}/mypage", logins[name])
        assert status in (200, 503)  # a busy machine's Redis may need more than its 250 ms
        return name, body["user"]["name"] if status == 200 else None

    pairs = await asyncio.gather(*(shown(name) for name in [*USERS] * 30))
    assert {name for name, who in pairs if who == name} == set(USERS)
    assert all(who in (name, None) for name, who in pairs)


@each(Kind.SESSION)
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b""),
        (400, b"{}"),
        (400, b"[]"),
        (400, b"null"),
        (400, b'{"username": "alice"'),
        (400, b'{"username": "alice", "password": 1}'),
        (400, b'{"username": null, "password": "x"}'),
        (400, b'{"username": "", "password": "x"}'),
        (400, b'{"username": "alice", "password": "x", "role": "admin"}'),
        (400, b'{"username": "\xff", "password": "x"}'),
        (400, b'{"username": "\\ud800", "password": "x"}'),
        (400, b"[" * 10_000),
        (401, b'{"username": "alice\\u0000", "password": "x"}'),
        (413, b'{"username": "alice", "password": "' + b"x" * 16 * 1024 + b'"}'),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_bad_bodies_are_refused_with_a_reason(replica: Client, info: Info, status: int, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    got, _, problem = await call(replica, "POST", str(info.login), headers, data=body)
    assert got == status
    assert "correct horse" not in problem["detail"]


@each(Kind.SESSION)
async def test_s14_bodies_that_html_forms_can_send_are_refused(replica: Client, info: Info) -> None:
    body = json.dumps({"username": "alice", "password": USERS["alice"]}).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        status, headers, _ = await call(replica, "POST", str(info.login), {"Content-Type": kind}, data=body)
        assert (status, "Set-Cookie" in headers) == (415, False)


@each(Kind.SESSION)
async def test_no_unexpected_answer_of_auth_is_a_login_or_a_500(
    replica: Client, start: StartReplica, world: World, info: Info
) -> None:
    problem = FakeAuth.problem
    for refusal, status, retry_after in (
        (problem(503, "unavailable", {"Retry-After": "7"}), 503, "7"),
        (problem(429, "too-many-requests", {"Retry-After": "9"}), 429, "9"),
        (problem(401, "invalid-client"), 503, "1"),
        (problem(400, "bad-request"), 400, None),
        (problem(500, "internal"), 503, "1"),
        (aiohttp.web.Response(text="no JSON"), 503, "1"),
        (aiohttp.web.json_response({"user": {"id": 1, "name": "x", "roles": 5}}), 503, "1"),
    ):
        world.auth.refusal = refusal
        got, headers, _ = await post_login(replica, info, password=USERS["alice"])
        assert (got, headers.get("Retry-After"), "Set-Cookie" in headers) == (status, retry_after, False)
    gone = await start("a", auth_url=f"http://127.0.0.1:{unused_port()}")
    status, headers, _ = await post_login(gone, info, password=USERS["alice"])
    assert (status, headers["Retry-After"]) == (503, "1")


@each(Kind.SESSION, Kind.TOKEN)
async def test_s15_no_credential_is_logged(
    replica: Client, world: World, info: Info, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    login = await world.login(replica, info)
    for name in ("mypage", "visits", "logout", "nothing"):
        await call(replica, "POST" if name != "mypage" else "GET", f"/{info.name}/{name}", login)
    assert next(iter(login.values())).split("=")[-1].split()[-1] not in caplog.text.replace("Set-Cookie", "")


@each(Kind.SESSION, having=Capability.LOGOUT)
async def test_s4_s18_a_logout_at_one_replica_counts_at_all_that_know_the_login(
    replica: Client, other_replica: Client, world: World, info: Info
) -> None:
    login = await world.login(replica, info)
    known = [replica, other_replica] if Capability.ANY_REPLICA in info.capabilities else [replica]
    assert [await page(client, info, login) for client in known] == [200] * len(known)
    assert (await call(known[-1], "POST", f"/{info.name}/logout", login))[0] == 204
    assert await page(known[-1], info, login) == 401
    await until(401, page, replica, info, login, seconds=1)


# Several cookies of one name: other paths and sibling domains can set some, and browsers may send those first.


async def dead_cookies(replica: Client, world: World, info: Info) -> list[str]:
    """Return cookies of one user that do not log in: malformed, never issued, and expired."""
    expired = (await world.login(replica, info))["Cookie"]
    world.clock.now += 601
    return [f"{info.name}-session=x", f"{info.name}-session={new_cookie('id-of-alice')}", expired]


@each(Kind.SESSION)
async def test_s3_dead_cookies_do_not_hide_a_valid_one_of_the_same_name(
    replica: Client, world: World, info: Info
) -> None:
    dead = await dead_cookies(replica, world, info)
    for before in [[one] for one in dead] + [dead]:
        good = (await world.login(replica, info))["Cookie"]
        for separator in ("; ", ";"):
            cookies = {"Cookie": separator.join([*before, good, dead[0]])}
            assert await page(replica, info, dict(cookies)) == 200, before
            assert (await visit(replica, info, dict(cookies)))[0] == 200


@each(Kind.SESSION)
async def test_of_several_valid_cookies_the_first_one_counts(replica: Client, world: World, info: Info) -> None:
    alice, bob = [(await world.login(replica, info, name))["Cookie"] for name in ("alice", "bob")]
    for cookies, name in (((alice, bob), "alice"), ((bob, alice), "bob")):
        _, _, body = await call(replica, "GET", f"/{info.name}/mypage", {"Cookie": "; ".join(cookies)})
        assert body["user"]["name"] == name


@each(Kind.SESSION)
async def test_s17_the_number_of_cookies_that_are_tried_is_limited(replica: Client, world: World, info: Info) -> None:
    good = (await world.login(replica, info))["Cookie"]
    invented = [f"{info.name}-session={new_cookie('id-of-alice')}" for _ in range(MAX_CANDIDATES)]
    assert await page(replica, info, {"Cookie": "; ".join([*invented[1:], good])}) == 200
    assert await page(replica, info, {"Cookie": "; ".join([*invented, good])}) == 401


@each(Kind.SESSION, having=Capability.LOGOUT)
async def test_s4_a_logout_ends_the_session_of_each_cookie(replica: Client, world: World, info: Info) -> None:
    dead = await dead_cookies(replica, world, info)
    good = [await world.login(replica, info, name) for name in ("alice", "bob")]
    cookies = "; ".join([*dead[1:], *(login["Cookie"] for login in good)])
    assert await logout(replica, info, {"Cookie": cookies}) == 204
    assert [await page(replica, info, login) for login in good] == [401, 401]


@each(Kind.SESSION, having=Capability.LOGOUT)
async def test_s2_a_new_login_replaces_the_valid_session_among_several_cookies(
    start: StartReplica, world: World, info: Info
) -> None:
    replica = await start("a", session_limit=1, session_limit_policy="deny")
    dead = await dead_cookies(replica, world, info)
    good, others = await world.login(replica, info), await world.login(replica, info, "bob")
    cookies = {"Cookie": "; ".join([dead[1], good["Cookie"], others["Cookie"], dead[2]])}
    assert (await post_login(replica, info, cookies, password=USERS["alice"]))[0] == 200
    assert [await page(replica, info, login) for login in (good, others)] == [401, 401]


@each(Kind.SESSION, having=Capability.LOGOUT)
async def test_s4_a_logout_that_cannot_reach_the_session_says_so(
    replica: Client, other_replica: Client, world: World, info: Info
) -> None:
    login = await world.login(replica, info)
    status, headers, problem = await call(other_replica, "POST", f"/{info.name}/logout", login)
    assert f'{info.name}-session=""; ' in headers["Set-Cookie"]  # this browser forgets it all the same
    assert "Max-Age=0" in headers["Set-Cookie"]
    if Capability.ANY_REPLICA in info.capabilities:
        assert status == 204
    else:
        assert (status, problem["type"]) == (404, "urn:authscale:problem:session-not-here")
        assert await page(replica, info, login) == 200
        assert await logout(replica, info, login) == 204
    await until(401, page, replica, info, login, seconds=1)
    for nothing in ({}, {"Cookie": f"{info.name}-session=x"}):
        assert await logout(other_replica, info, nothing) == 204
