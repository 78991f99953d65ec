"""What every strategy of the table promises: one suite, which knows kinds and capabilities but no names."""

import asyncio
import base64
import json
import logging
import secrets
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import redis.asyncio
from aiohttp.test_utils import TestServer, unused_port

from services.app.handlers import CATALOGUE
from services.app.strategy import Capability, Info, Kind
from tests.contract.conftest import AUDIENCE, ISSUER, USERS, Client, FakeAuth, StartReplica, Valkey, World
from tests.contract.forgeries import FORGERIES, MALFORMED, Attacker
from tests.contract.weak_verifier import Flaw, RefusedError, WeakVerifier
from tests.mutants import mutants
from tests.openapi import idle_replica

INFOS = idle_replica()[CATALOGUE]


def each(*kinds: Kind, capability: Capability | None = None) -> pytest.MarkDecorator:
    """Run the test for each strategy of *kinds* (all by default) that has *capability*."""
    chosen = [info for info in INFOS if info.kind in (kinds or Kind) and capability in (None, *info.capabilities)]
    return pytest.mark.parametrize("info", chosen, ids=[info.name for info in chosen])


async def call(client: Client, method: str, path: str, headers: Any = None, **options: Any) -> tuple[int, Any, Any]:
    """Return status, headers and JSON, after checks that hold for every answer."""
    async with client.request(method, path, headers=headers, **options) as response:
        body = await response.read()
    assert response.headers["X-Replica"] in ("a", "b")
    if response.status >= 400:
        assert response.content_type == "application/problem+json"
        assert set(json.loads(body)) == {"type", "title", "status", "detail"}
    return response.status, response.headers, json.loads(body) if body else None


async def page(client: Client, info: Info, headers: Any) -> int:
    status, _, body = await call(client, "GET", f"/{info.name}/mypage", headers)
    assert status != 200 or body["strategy"] == info.name
    return status


async def raw(client: Client, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(request)
    async with asyncio.timeout(2):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


# ---- every strategy


async def test_the_catalogue_tells_what_there_is(replica: Client) -> None:
    status, _, body = await call(replica, "GET", "/strategies")
    assert status == 200
    assert [entry["name"] for entry in body] == [info.name for info in INFOS]
    assert all(set(entry) == {"name", "kind", "login", "description", "capabilities"} for entry in body)


@each()
async def test_my_page_shows_the_user_the_strategy_and_the_replica(replica: Client, world: World, info: Info) -> None:
    login = await world.login(replica, info, "bob")
    status, headers, body = await call(replica, "GET", f"/{info.name}/mypage", login)
    expected = {"id": "anonymous", "name": "anonymous"}
    if info.kind is not Kind.CONTROL:
        expected = {"id": "id-of-bob", "name": "bob"}
    assert (status, body) == (200, {"user": expected, "strategy": info.name, "replica": "a"})
    assert headers["Cache-Control"] == "no-store"


@each(Kind.SESSION, Kind.TOKEN)
async def test_j18_my_page_without_a_login_is_401_with_a_challenge(replica: Client, info: Info) -> None:
    status, headers, _ = await call(replica, "GET", f"/{info.name}/mypage")
    assert status == 401
    assert headers["WWW-Authenticate"]
    assert "error" not in headers["WWW-Authenticate"]  # RFC 6750 §3: no error code if there was no token


@each()
async def test_s18_replicas_decide_alike_where_the_strategy_says_so(
    replica: Client, other_replica: Client, world: World, info: Info
) -> None:
    login = await world.login(replica, info)
    assert await page(replica, info, login) == 200
    assert await page(other_replica, info, login) == (200 if Capability.ANY_REPLICA in info.capabilities else 401)


@each()
async def test_logout_is_204_and_s4_kills_the_credential_where_the_strategy_says_so(
    replica: Client, world: World, info: Info
) -> None:
    login = await world.login(replica, info)
    assert (await call(replica, "POST", f"/{info.name}/logout", login))[0] == 204
    assert await page(replica, info, login) == (401 if Capability.LOGOUT in info.capabilities else 200)
    assert await world.keys_in_redis() == []
    assert (await call(replica, "POST", f"/{info.name}/logout"))[0] == 204


@each()
async def test_routes_follow_from_kind_and_capabilities(replica: Client, info: Info) -> None:
    login, _, _ = await call(replica, "POST", f"/{info.name}/login", json={})
    assert login == (400 if info.kind is Kind.SESSION else 404)
    visits, _, _ = await call(replica, "POST", f"/{info.name}/visits")
    assert visits == (401 if Capability.VISITS in info.capabilities else 404)


@each()
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://[::1"},
    ],
    ids=str,
)
async def test_s14_a_post_from_another_origin_is_refused(
    replica: Client, world: World, info: Info, headers: dict[str, str]
) -> None:
    login = await world.login(replica, info)
    for name in ("logout", "login", "visits"):
        status, _, _ = await call(replica, "POST", f"/{info.name}/{name}", login | headers, json={})
        assert status in (403, 404)
    assert (await call(replica, "POST", f"/{info.name}/logout", login | headers))[0] == 403
    assert await page(replica, info, login) == 200


@each()
async def test_a_post_from_the_own_origin_passes(replica: Client, world: World, info: Info) -> None:
    own = f"{replica.host}:{replica.port}"
    for headers in ({"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": f"http://{own}"}):
        assert (await call(replica, "POST", f"/{info.name}/logout", headers))[0] == 204


@each()
async def test_wrong_methods_and_paths(replica: Client, info: Info) -> None:
    status, headers, _ = await call(replica, "DELETE", f"/{info.name}/mypage")
    assert status == 405
    assert "GET" in headers["Allow"]
    for path in (f"/{info.name}/nothing", f"/{info.name}", f"/{info.name}/", "/nobody/mypage", "/", "/%ff", "/a%00b"):
        assert (await call(replica, "GET", path))[0] == 404


@each()
@pytest.mark.parametrize(
    "value", [b"\xff", b"\xff" * 43, b"a\xc3(", b"=;=;,\x01\x7f", b'"', b"A" * 43, b"\xe2\x98\x83"], ids=repr
)
async def test_s17_any_bytes_are_survived(replica: Client, info: Info, value: bytes) -> None:
    cookies = b"; ".join(prefix + info.name.encode() + b"-session=" + value for prefix in (b"", b"__Host-"))
    for header in (b"Cookie: " + value, b"Cookie: " + cookies, b"Authorization: Bearer " + value, b"X: " + value):
        for method, name in ((b"GET", b"mypage"), (b"POST", b"visits"), (b"POST", b"logout")):
            line = b"%s /%s/%s HTTP/1.1\r\n" % (method, info.name.encode(), name)
            answer = await raw(replica, line + b"Host: x\r\nConnection: close\r\n" + header + b"\r\n\r\n")
            assert answer.startswith((b"HTTP/1.1 ", b"HTTP/1.0 400 "))  # the latter by aiohttp's parser
            assert int(answer[9:12]) < 500, answer


@each()
async def test_redis_that_hangs_is_never_a_logout(
    start: StartReplica, world: World, own_valkey: Valkey, info: Info
) -> None:
    client = await start("a", redis_url=own_valkey.url)
    login = await world.login(client, info)
    own_valkey.signal(signal.SIGSTOP)
    began = time.monotonic()
    status, headers, _ = await call(client, "GET", f"/{info.name}/mypage", login)
    assert time.monotonic() - began < 1.5  # 0.25 s, and what a busy machine adds
    assert status == 200 or (status == 503 and int(headers["Retry-After"]) >= 1)
    own_valkey.signal(signal.SIGCONT)
    assert await page(client, info, login) == 200


@each()
async def test_redis_away_is_503_and_its_restart_is_noticed_at_once(
    start: StartReplica, world: World, own_valkey: Valkey, info: Info
) -> None:
    client = await start("a", redis_url=own_valkey.url)
    login = await world.login(client, info)
    own_valkey.kill()
    before = await page(client, info, login)
    assert before in (200, 503)
    if Capability.LOGOUT in info.capabilities:  # a logout that cannot be made true is not acknowledged
        assert (await call(client, "POST", f"/{info.name}/logout", login))[0] == (204 if before == 200 else 503)
    own_valkey.start()
    assert await page(client, info, await world.login(client, info)) == 200


async def test_readiness_waits_for_keys_and_redis_but_not_for_their_return(
    start: StartReplica, world: World, own_valkey: Valkey
) -> None:
    no_redis = await start("a", redis_url=f"redis://127.0.0.1:{unused_port()}/0")
    status, _, body = await call(no_redis, "GET", "/readyz")
    while "signing keys" in body["detail"]:
        status, _, body = await call(no_redis, "GET", "/readyz")
    assert (status, "Redis" in body["detail"]) == (503, True)
    no_auth = await start("a", auth_url=f"http://127.0.0.1:{unused_port()}")
    status, _, body = await call(no_auth, "GET", "/readyz")
    assert (status, "signing keys" in body["detail"]) == (503, True)
    whole = await start("b", redis_url=own_valkey.url)
    while (await call(whole, "GET", "/readyz"))[0] != 200:
        pass
    own_valkey.kill()
    assert (await call(whole, "GET", "/readyz"))[0] == 200


# ---- session strategies


async def post_login(client: Client, info: Info, headers: Any = None, **body: Any) -> tuple[int, Any, Any]:
    return await call(client, "POST", str(info.login), headers, json={"username": "alice"} | body)


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


@each(Kind.SESSION)
async def test_s1_ids_have_256_bits(replica: Client, world: World, info: Info) -> None:
    ids = {(await world.login(replica, info))["Cookie"].partition("=")[2] for _ in range(20)}
    assert len(ids) == 20
    assert {len(base64.urlsafe_b64decode(one + "=")) for one in ids} == {32}


@each(Kind.SESSION)
async def test_s2_a_new_login_has_a_new_id_and_the_old_one_is_dead(replica: Client, world: World, info: Info) -> None:
    old = await world.login(replica, info)
    _, headers, _ = await post_login(replica, info, old, password=USERS["alice"])
    new = {"Cookie": headers["Set-Cookie"].partition(";")[0]}
    assert new != old
    assert await page(replica, info, old) == 401
    assert await page(replica, info, new) == 200


@each(Kind.SESSION)
async def test_s3_an_id_that_was_never_issued_is_not_adopted(replica: Client, info: Info) -> None:
    invented = {"Cookie": f"{info.name}-session={secrets.token_urlsafe(32)}"}
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
        assert (await call(replica, "POST", f"/{info.name}/visits", login))[0] == 200
    world.clock.now += 9
    assert await page(replica, info, login) == 401
    assert (await call(replica, "POST", f"/{info.name}/visits", login))[0] == 401


@each(capability=Capability.VISITS)
async def test_s16_no_visit_is_lost_in_a_race(replica: Client, other_replica: Client, world: World, info: Info) -> None:
    clients = [replica, other_replica] if Capability.ANY_REPLICA in info.capabilities else [replica]
    login = await world.login(replica, info)
    calls = [call(clients[n % len(clients)], "POST", f"/{info.name}/visits", login) for n in range(30)]
    answers = await asyncio.gather(*calls)
    # On a busy machine Redis may not answer in its 250 ms: then a write may or may not have happened, and says 503.
    assert {status for status, _, _ in answers} <= {200, 503}
    counts = [body["visits"] for status, _, body in answers if status == 200]
    assert len(counts) >= 10
    assert len(set(counts)) == len(counts), "two writes had the same outcome: one is lost"
    _, _, last = await call(replica, "POST", f"/{info.name}/visits", login)
    assert len(counts) < last["visits"] <= 31


@each(Kind.SESSION, capability=Capability.VISITS)
async def test_s5_a_write_in_flight_does_not_bring_a_session_back(
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
async def test_sessions_do_not_mix(replica: Client, world: World, info: Info) -> None:
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
async def test_s14_a_body_that_a_form_can_send_is_refused(replica: Client, info: Info) -> None:
    body = json.dumps({"username": "alice", "password": USERS["alice"]}).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        status, headers, _ = await call(replica, "POST", str(info.login), {"Content-Type": kind}, data=body)
        assert (status, "Set-Cookie" in headers) == (415, False)


@each(Kind.SESSION)
async def test_no_answer_of_the_auth_service_is_a_login_or_a_500(
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


async def test_a_corrupted_value_in_redis_is_a_logged_out_user(
    replica: Client, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    client = redis.asyncio.Redis.from_url(world.valkey.url, password="redis-pass", protocol=2)
    async with client:
        for info in (info for info in INFOS if info.kind is Kind.SESSION):
            for value in (b"\xff", b"{}", b"[1,2,3,4]", b"null", b'[1.0,2.0,["a"],{}]', None):
                login = await world.login(replica, info)
                for key in await client.keys("*"):
                    await client.delete(key)
                    await (client.set(key, value) if value else client.hset(key, "a", "b"))
                    assert await page(replica, info, login) == 401
                    assert (await call(replica, "POST", f"/{info.name}/visits", login))[0] == 401
                await client.flushdb()
                assert login["Cookie"].partition("=")[2] not in caplog.text  # S15
    assert "no session" in caplog.text


@each(Kind.SESSION, Kind.TOKEN)
async def test_s15_no_credential_is_logged(
    replica: Client, world: World, info: Info, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    login = await world.login(replica, info)
    for name in ("mypage", "visits", "logout", "nothing"):
        await call(replica, "POST" if name != "mypage" else "GET", f"/{info.name}/{name}", login)
    assert next(iter(login.values())).split("=")[-1].split()[-1] not in caplog.text.replace("Set-Cookie", "")


# ---- token strategies


async def bearer(client: Client, info: Info, token: str) -> int:
    status, headers, _ = await call(client, "GET", f"/{info.name}/mypage", {"Authorization": f"Bearer {token}"})
    assert status != 401 or headers["WWW-Authenticate"] == 'Bearer realm="authscale", error="invalid_token"'  # J18
    return status


@each(Kind.TOKEN)
async def test_j6_times_are_checked_with_ten_seconds_leeway(replica: Client, world: World, info: Info) -> None:
    token = world.auth.token()  # for 300 s
    start = world.clock.now
    for offset, status in ((0, 200), (308, 200), (311, 401), (-8, 200), (-12, 401)):
        world.clock.now = start + offset
        assert await bearer(replica, info, token) == status
    world.clock.now = start
    assert await bearer(replica, info, world.auth.token(nbf=int(start) + 60)) == 401
    assert await bearer(replica, info, world.auth.token(nbf=int(start) - 60)) == 200


@each(Kind.TOKEN)
async def test_the_scheme_is_case_insensitive_and_nothing_else_is_a_token(
    replica: Client, world: World, info: Info
) -> None:
    token = world.auth.token()
    for value, status in ((f"bearer {token}", 200), (f"Basic {token}", 401), (token, 401), ("", 401), ("Bearer", 401)):
        assert await page(replica, info, {"Authorization": value}) == status


@each(Kind.TOKEN)
async def test_j15_unknown_key_ids_cost_one_fetch_per_cooldown(replica: Client, world: World, info: Info) -> None:
    assert await bearer(replica, info, world.auth.token()) == 200
    fetched = world.auth.jwks_fetches
    tokens = [world.auth.token({"kid": f"unknown-{n}"}) for n in range(100)]
    assert set(await asyncio.gather(*(bearer(replica, info, token) for token in tokens))) == {401}
    assert world.auth.jwks_fetches - fetched <= 1


@each(Kind.TOKEN)
async def test_tokens_are_verified_with_the_auth_service_away_and_503_before_the_first_keys(
    start: StartReplica, world: World, info: Info
) -> None:
    client = await start("a", auth_url=f"http://127.0.0.1:{unused_port()}")
    status, headers, _ = await call(
        client, "GET", f"/{info.name}/mypage", {"Authorization": f"Bearer {world.auth.token()}"}
    )
    assert (status, headers["Retry-After"]) == (503, "1")


@pytest.fixture
async def attacker(world: World) -> AsyncIterator[Attacker]:
    attacker = Attacker(world.auth)
    async with TestServer(attacker.application()) as server:
        attacker.url = str(server.make_url("")).rstrip("/")
        yield attacker


@each(Kind.TOKEN)
@pytest.mark.parametrize("attack", FORGERIES)
async def test_forgeries_are_401(replica: Client, world: World, info: Info, attacker: Attacker, attack: str) -> None:
    forgery = FORGERIES[attack].forge(world.auth, attacker)
    assert await bearer(replica, info, world.auth.token()) == 200  # the control: so near, and accepted
    assert await bearer(replica, info, forgery) == 401
    assert attacker.fetches == 0  # J3


@each(Kind.TOKEN)
@pytest.mark.parametrize("attack", FORGERIES)
async def test_each_forgery_is_accepted_by_a_verifier_with_its_flaw_and_by_no_strict_one(
    world: World, info: Info, attacker: Attacker, attack: str
) -> None:
    flaw, forge = FORGERIES[attack]
    forgery = forge(world.auth, attacker)
    weak, strict = (
        WeakVerifier(world.auth.public_jwk, ISSUER, AUDIENCE, world.clock.now, flaw) for flaw in (flaw, None)
    )
    await asyncio.to_thread(weak.verify, forgery)  # it may fetch a key
    with pytest.raises(RefusedError):
        strict.verify(forgery)
    assert strict.verify(world.auth.token())["sub"] == "id-of-alice"


@each(Kind.TOKEN)
@pytest.mark.parametrize("name", ["jku", "x5u", "kid"])
async def test_j3_a_verifier_that_fetches_what_a_token_names_is_counted(
    world: World, info: Info, attacker: Attacker, name: str
) -> None:
    """Shows that the 0 fetches above are not those of a deaf listener."""
    forgery = FORGERIES["J14 kid is a URL" if name == "kid" else f"J3 {name}"].forge(world.auth, attacker)
    weak = WeakVerifier(world.auth.public_jwk, ISSUER, AUDIENCE, world.clock.now, Flaw.KEY_IN_HEADER)
    await asyncio.to_thread(weak.verify, forgery)
    assert attacker.fetches == 1


@each(Kind.TOKEN)
async def test_j3_keys_in_the_header_of_a_good_token_do_it_no_harm(
    replica: Client, world: World, info: Info, attacker: Attacker
) -> None:
    urls = {"jku": f"{attacker.url}/jwks", "x5u": f"{attacker.url}/certificate"}
    for headers in ({"jwk": attacker.own.public_jwk}, {"x5c": attacker.x5c()}, urls):
        assert await bearer(replica, info, world.auth.token(headers)) == 200
    assert attacker.fetches == 0


@each(Kind.TOKEN)
@pytest.mark.parametrize("attack", MALFORMED)
async def test_what_is_no_token_at_all_is_401(replica: Client, world: World, info: Info, attack: str) -> None:
    assert await bearer(replica, info, MALFORMED[attack](world.auth)) == 401


@each(Kind.TOKEN)
async def test_s17_mutated_tokens_are_401(replica: Client, world: World, info: Info) -> None:
    """A sample; `tests/stress` has 100,000."""
    for mutant in mutants(world.auth.token(), 2000, seed=1):
        assert await bearer(replica, info, mutant) == 401, mutant
