"""The auth service over HTTP, with a real Valkey and SQLite. Tests name the requirements that they check."""

import asyncio
import contextlib
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import jwt
import pytest
from aiohttp import web
from argon2 import PasswordHasher
from redis.asyncio import Redis

from services.auth.application import create_app
from services.auth.logins.refresh_tokens import digest
from services.common.settings import ConfigurationError
from services.common.tokens.jwk import thumbprint
from tests.contract.auth.calls import (
    ANN,
    APP,
    GRACE,
    METADATA,
    assert_invalid_grant,
    assert_problem,
    log_in,
    next_token,
    refresh,
)
from tests.support.clock import ManualClock
from tests.support.servers.auth import ISSUER, Client, StartAuth, auth_settings, cheap_hasher
from tests.support.servers.cutting_proxy import cutting_proxy
from tests.support.servers.valkey import Valkey

pytest_plugins = ("tests.support.servers.auth_fixtures",)


@pytest.fixture
async def auth(start_auth: StartAuth) -> Client:
    """A service that knows ann."""
    client = await start_auth()
    assert (await client.post("/auth/users", json=ANN)).status == 201
    return client


# Accounts and passwords


async def test_a_registered_user_logs_in(auth: Client) -> None:
    answer = await auth.post("/auth/login", json=ANN)
    body = await answer.json()
    assert (body["token_type"], body["expires_in"], body["user"]["name"]) == ("Bearer", 300, "ann")
    assert body["refresh_expires_in"] == 14 * 24 * 60 * 60
    assert answer.headers["Cache-Control"] == "no-store"  # S10
    assert answer.headers["X-Replica"] == "auth-1"


async def test_a_name_can_be_registered_only_once(auth: Client) -> None:
    await assert_problem(await auth.post("/auth/users", json=ANN), 409, "conflict")


async def test_a_name_is_registered_only_once_by_concurrent_requests(start_auth: StartAuth) -> None:
    clients = [await start_auth(), await start_auth()]
    answers = await asyncio.gather(*(clients[i % 2].post("/auth/users", json=ANN) for i in range(10)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 9


@pytest.mark.parametrize(("length", "status"), [(7, 400), (8, 201), (64, 201), (128, 201), (129, 400)])
async def test_t11_password_lengths(start_auth: StartAuth, length: int, status: int) -> None:
    body = {"username": "bob", "password": "é" * length}
    assert (await (await start_auth()).post("/auth/users", json=body)).status == status


async def test_t14_an_unknown_user_and_a_wrong_password_get_the_same_answer(auth: Client) -> None:
    wrong = await auth.post("/auth/login", json={"username": "ann", "password": "wrong horse"})
    unknown = await auth.post("/auth/login", json={"username": "nobody", "password": "wrong horse"})
    impossible = await auth.post("/auth/login", json={"username": "no\x00body", "password": "x" * 10_000})
    await assert_problem(wrong, 401, "unauthenticated")
    assert wrong.headers["WWW-Authenticate"].startswith("Bearer")  # J18
    assert await wrong.read() == await unknown.read() == await impossible.read()
    assert wrong.headers.keys() == unknown.headers.keys()


async def test_s11_a_disabled_account_neither_logs_in_nor_refreshes(auth: Client, tmp_path: Path) -> None:
    token = (await log_in(auth))["refresh_token"]
    ask_database(tmp_path, "UPDATE users SET disabled = 1 WHERE name = 'ann'")
    await assert_problem(await auth.post("/auth/login", json=ANN), 401, "unauthenticated")
    await assert_problem(await auth.post("/auth/password/check", json=ANN, headers=APP), 401, "unauthenticated")
    await assert_invalid_grant(await refresh(auth, token))


async def test_a_hash_with_outdated_parameters_is_renewed_at_the_next_login(
    start_auth: StartAuth, auth: Client, tmp_path: Path
) -> None:
    later = await start_auth(hasher=PasswordHasher(memory_cost=16, time_cost=1, parallelism=1))
    await log_in(later)
    (stored,) = ask_database(tmp_path, "SELECT password_hash FROM users WHERE name = 'ann'")
    assert "m=16," in stored
    assert await log_in(later)


def ask_database(folder: Path, statement: str) -> list[str]:
    with contextlib.closing(sqlite3.connect(folder / "auth.sqlite")) as database, database:
        return [row[0] for row in database.execute(statement)]


async def test_the_administrators_password_is_the_secret(auth: Client) -> None:
    body = {"username": "admin", "password": "the administrator's password"}
    token = (await (await auth.post("/auth/login", json=body)).json())["access_token"]
    assert jwt.decode(token, options={"verify_signature": False})["roles"] == ["admin"]


async def test_a_password_check_returns_no_tokens_but_s11_the_time(auth: Client, clock: ManualClock) -> None:
    looked_at, clock.tick = clock.now, 1  # time goes on while it looks
    answer = await auth.post("/auth/password/check", json=ANN, headers=APP)
    body = await answer.json()
    user = {"id": body["user"]["id"], "name": "ann", "roles": []}
    assert body == {"user": user, "checked_at": looked_at + 1}  # the first time that was read, before the account was
    assert answer.headers["Cache-Control"] == "no-store"


async def test_a_wrong_client_secret_differs_from_a_wrong_password(auth: Client) -> None:
    wrong = ANN | {"password": "wrong horse"}
    await assert_problem(await auth.post("/auth/password/check", json=wrong, headers=APP), 401, "unauthenticated")
    for header in ("Basic YXBwOndyb25n", "Basic b3RoZXI6dGhlIGFwcCdzIG93biBzZWNyZXQ=", "Bearer x", "Basic ?", ""):
        answer = await auth.post("/auth/password/check", json=ANN, headers={"Authorization": header})
        await assert_problem(answer, 401, "invalid-client")
        assert answer.headers["WWW-Authenticate"].startswith("Basic")


# Keys, access tokens, metadata


async def test_j16_the_jwks_is_public_and_each_kid_is_the_thumbprint(auth: Client) -> None:
    answer = await auth.get("/auth/jwks.json")
    (key,) = (await answer.json())["keys"]
    assert key.keys() == {"kty", "crv", "x", "use", "alg", "kid"}
    assert key["kid"] == thumbprint({name: key[name] for name in ("crv", "kty", "x")})
    assert answer.headers["Cache-Control"] == "public, max-age=60"


async def test_j10_an_access_token_has_the_claims_of_rfc_9068(auth: Client, clock: ManualClock) -> None:
    body = await log_in(auth)
    (key,) = (await (await auth.get("/auth/jwks.json")).json())["keys"]
    token = jwt.decode_complete(
        body["access_token"],
        jwt.PyJWK(key),
        audience="authscale",
        issuer=ISSUER,
        options={"verify_exp": False, "verify_iat": False},
    )
    claims = token["payload"]
    assert token["header"] == {"typ": "at+jwt", "alg": "EdDSA", "kid": key["kid"]}  # J7
    assert claims.keys() == {"iss", "sub", "aud", "exp", "iat", "jti", "client_id", "sid", "preferred_username"}
    assert claims["sub"] == body["user"]["id"]
    assert (claims["preferred_username"], claims["client_id"]) == ("ann", "authscale-web")
    assert (claims["iat"], claims["exp"]) == (int(clock.now), int(clock.now) + 300)


async def test_j7_a_refresh_token_is_not_signed_with_a_published_key(auth: Client) -> None:
    header = jwt.get_unverified_header((await log_in(auth))["refresh_token"])
    assert header == {"typ": "rt+jwt", "alg": "HS256"}


@pytest.mark.parametrize("path", [METADATA, f"{METADATA}/auth", f"/auth{METADATA}"])
async def test_t9_the_issuer_in_the_metadata_is_that_of_the_tokens(auth: Client, path: str) -> None:
    metadata = await (await auth.get(path)).json()
    claims = jwt.decode((await log_in(auth))["access_token"], options={"verify_signature": False})
    assert metadata["issuer"] == claims["iss"]
    assert metadata["token_endpoint"] == f"{ISSUER}/token"
    assert metadata["jwks_uri"] == f"{ISSUER}/jwks.json"
    assert metadata["grant_types_supported"] == ["refresh_token"]  # T1


async def test_keys_and_accounts_are_shared_and_survive_a_restart(start_auth: StartAuth, auth: Client) -> None:
    token = (await log_in(auth))["refresh_token"]
    before = await (await auth.get("/auth/jwks.json")).json()
    await auth.close()
    other = await start_auth()
    assert await (await other.get("/auth/jwks.json")).json() == before
    assert await next_token(other, token)


async def test_processes_that_start_together_on_an_empty_database_all_come_up(start_auth: StartAuth) -> None:
    clients = await asyncio.gather(*(start_auth() for _ in range(4)))
    answers = [await (await client.get("/auth/jwks.json")).json() for client in clients]
    assert all(answer == answers[0] for answer in answers)
    assert {(await client.get("/readyz")).status for client in clients} == {200}


async def test_a_different_encryption_secret_stops_the_start(auth: Client, tmp_path: Path, auth_valkey: Valkey) -> None:
    other = {"key-encryption-secret": "another secret of thirty-two bytes"}
    app = create_app(auth_settings(tmp_path, auth_valkey, **other), hasher=cheap_hasher())
    runner = web.AppRunner(app)
    with pytest.raises(ConfigurationError, match="key-encryption-secret"):
        await runner.setup()
    await runner.cleanup()


# Refresh tokens


async def test_t2_a_refresh_rotates_the_token_and_answers_as_rfc_6749_says(auth: Client) -> None:
    first = (await log_in(auth))["refresh_token"]
    answer = await refresh(auth, first, client_id="authscale-web")
    body = await answer.json()
    assert body.keys() == {"access_token", "token_type", "expires_in", "refresh_token", "refresh_expires_in"}
    assert body["refresh_token"] != first
    assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache")
    assert await next_token(auth, body["refresh_token"])


async def test_t3_reuse_after_the_grace_period_ends_only_its_family(auth: Client, clock: ManualClock) -> None:
    first = (await log_in(auth))["refresh_token"]
    other_login = (await log_in(auth))["refresh_token"]
    newest = await next_token(auth, first)
    clock.now += GRACE + 1
    await assert_invalid_grant(await refresh(auth, first))
    await assert_invalid_grant(await refresh(auth, newest))
    assert await next_token(auth, other_login)


async def test_t4_within_the_grace_period_a_retry_gets_the_same_successor(
    start_auth: StartAuth, auth: Client, clock: ManualClock
) -> None:
    other = await start_auth()
    first = (await log_in(auth))["refresh_token"]
    second = await next_token(auth, first)
    clock.now += GRACE / 2
    assert await next_token(other, first) == second
    third = await next_token(other, second)
    assert await next_token(auth, first) == second  # a slow thread, after the successor was used
    assert await next_token(auth, third)


async def test_t4_20_parallel_refreshes_over_two_processes_give_one_lineage(
    start_auth: StartAuth, clock: ManualClock
) -> None:
    clients = [await start_auth(REFRESH_GRACE_SECONDS=100) for _ in range(2)]
    await clients[0].post("/auth/users", json=ANN)
    token = (await log_in(clients[0]))["refresh_token"]
    clock.tick = 1  # no two refreshes come at the same second: a successor minted twice would be another text
    for _ in range(20):
        successors = await asyncio.gather(*(next_token(clients[i % 2], token) for i in range(20)))
        assert len(set(successors)) == 1
        token = successors[0]
        clock.now += 100


async def test_t5_nothing_survives_a_revocation_that_races_refreshes(start_auth: StartAuth, auth: Client) -> None:
    other = await start_auth()
    for _ in range(20):
        token = (await log_in(auth))["refresh_token"]
        racing = [asyncio.ensure_future(refresh(other, token)) for _ in range(5)]
        assert (await auth.post("/auth/revoke", data={"token": token})).status == 200
        bodies = [await answer.json() for answer in await asyncio.gather(*racing)]
        for survivor in [token, *(body["refresh_token"] for body in bodies if "refresh_token" in body)]:
            await assert_invalid_grant(await refresh(other, survivor))


async def test_t6_a_login_ends_when_idle(auth: Client, clock: ManualClock) -> None:
    token = (await log_in(auth))["refresh_token"]
    clock.now += 14 * 24 * 60 * 60
    await assert_invalid_grant(await refresh(auth, token))


async def test_t6_a_login_ends_however_often_it_is_refreshed(start_auth: StartAuth, clock: ManualClock) -> None:
    auth = await start_auth(REFRESH_IDLE_SECONDS=100, REFRESH_ABSOLUTE_SECONDS=250)
    await auth.post("/auth/users", json=ANN)
    token = (await log_in(auth))["refresh_token"]
    for _ in range(3):
        clock.now += 80
        token = await next_token(auth, token)
    clock.now += 10
    await assert_invalid_grant(await refresh(auth, token))


async def test_t7_the_store_holds_a_hash_bound_to_user_and_client_and_nothing_of_the_token(
    auth: Client, auth_valkey: Valkey
) -> None:
    body = await log_in(auth)
    token = await next_token(auth, body["refresh_token"])
    family = jwt.decode(token, options={"verify_signature": False})["sid"]
    async with Redis.from_url(auth_valkey.url, password=auth_valkey.password, decode_responses=True) as redis:
        texts = [f"{key!r} {await redis.get(key)!r}" async for key in redis.scan_iter(_type="string")]
        sets = [f"{key!r} {await redis.zrange(key, 0, -1)!r}" async for key in redis.scan_iter(_type="zset")]
        assert len(texts) + len(sets) == await redis.dbsize()
        seconds_left = await redis.ttl(f"auth:family:{family}")
    stored = "\n".join(texts + sets)
    for text in (token, body["refresh_token"], body["access_token"]):
        assert all(part not in stored for part in text.split("."))
    assert digest(token) in stored
    assert body["user"]["id"] in stored
    assert "authscale-web" in stored
    assert 0 < seconds_left <= 14 * 24 * 60 * 60  # it expires by itself


async def test_t8_revoking_ends_the_family_whichever_token_is_given(auth: Client) -> None:
    first = (await log_in(auth))["refresh_token"]
    second = await next_token(auth, first)
    assert (await auth.post("/auth/revoke", data={"token": first})).status == 200
    await assert_invalid_grant(await refresh(auth, second))


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "\xff", "x" * 10_000])
async def test_t8_revoking_an_unknown_token_is_200(auth: Client, token: str) -> None:
    assert (await auth.post("/auth/revoke", data={"token": token})).status == 200


# Faults


async def assert_logins_unavailable_and_the_rest_not(client: Client, token: str) -> None:
    for answer in (
        await refresh(client, token),
        await client.post("/auth/revoke", data={"token": token}),
        await client.post("/auth/login", json=ANN),
    ):
        await assert_problem(answer, 503, "unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
    assert (await client.post("/auth/password/check", json=ANN, headers=APP)).status == 200
    assert (await client.get("/auth/jwks.json")).status == 200
    assert (await client.get("/readyz")).status == 200
    wrong = ANN | {"password": "wrong horse"}
    assert (
        await client.post("/auth/login", json=wrong)
    ).status == 503  # guesses cannot be counted, so the answer reveals nothing
    assert (await client.post("/auth/password/check", json=wrong, headers=APP)).status == 401  # ADR 8


async def test_a_stopped_redis_is_503_in_time_and_not_a_logout(start_auth: StartAuth, frail_valkey: Valkey) -> None:
    auth = await start_auth(frail_valkey)
    await auth.post("/auth/users", json=ANN)
    token = (await log_in(auth))["refresh_token"]
    frail_valkey.stop()
    began = time.monotonic()
    await assert_logins_unavailable_and_the_rest_not(auth, token)
    assert time.monotonic() - began < 2  # three calls that wait 250 ms each
    frail_valkey.go()
    assert await next_token(auth, token)


async def test_a_killed_redis_is_503(start_auth: StartAuth, frail_valkey: Valkey) -> None:
    auth = await start_auth(frail_valkey)
    await auth.post("/auth/users", json=ANN)
    token = (await log_in(auth))["refresh_token"]
    frail_valkey.kill()
    await assert_logins_unavailable_and_the_rest_not(auth, token)


async def test_the_service_starts_while_redis_is_away(start_auth: StartAuth, frail_valkey: Valkey) -> None:
    frail_valkey.kill()
    auth = await start_auth(frail_valkey)
    assert (await auth.post("/auth/users", json=ANN)).status == 201
    await assert_problem(await auth.post("/auth/login", json=ANN), 503)


LOST = [
    ("GET", "/auth/sessions", b"auth:family:"),  # whether the bearer's login goes on
    ("GET", "/auth/sessions", b"ZREVRANGE"),
    ("GET", "/auth/sessions", b"MGET"),
    ("POST", "/auth/login", b"auth:epoch:"),
    ("POST", "/auth/token", b"auth:family:"),
]


@pytest.mark.parametrize(("method", "path", "word"), LOST)
async def test_a_read_in_redis_whose_answer_is_lost_is_repeated(
    start_auth: StartAuth, auth_valkey: Valkey, method: str, path: str, word: bytes
) -> None:
    async with cutting_proxy(auth_valkey.url) as proxy:
        auth = await start_auth(replace(auth_valkey, url=proxy.url))
        await auth.post("/auth/users", json=ANN)
        tokens = await log_in(auth)
        proxy.cut_at(word)
        if path == "/auth/token":
            answer = await refresh(auth, tokens["refresh_token"])
        else:
            headers = {"Authorization": f"Bearer {tokens['access_token']}"} if method == "GET" else {}
            answer = await auth.request(method, path, headers=headers, json=ANN if method == "POST" else None)
        assert answer.status == 200, await answer.text()
        assert proxy.cuts == 1


async def test_a_write_in_redis_whose_answer_is_lost_is_503_and_done_once(
    start_auth: StartAuth, auth_valkey: Valkey
) -> None:
    async with cutting_proxy(auth_valkey.url) as proxy:
        auth = await start_auth(replace(auth_valkey, url=proxy.url))
        await auth.post("/auth/users", json=ANN)
        token = (await log_in(auth))["access_token"]
        proxy.cut_at(b"auth:families:")
        await assert_problem(await auth.post("/auth/login", json=ANN), 503)
        assert proxy.cuts == 1
        answer = await auth.get("/auth/sessions", headers={"Authorization": f"Bearer {token}"})
        assert len((await answer.json())["sessions"]) == 2


# Bad input

LOGIN, USERS, CHECK, TOKEN, REVOKE = "/auth/login", "/auth/users", "/auth/password/check", "/auth/token", "/auth/revoke"
JSON_TYPE, FORM_TYPE = "application/json", "application/x-www-form-urlencoded"


@pytest.mark.parametrize("path", [LOGIN, USERS, CHECK])
@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        pytest.param(b"", JSON_TYPE, 400, id="no body"),
        pytest.param(b"{", JSON_TYPE, 400, id="not JSON"),
        pytest.param(b"[]", JSON_TYPE, 400, id="not an object"),
        pytest.param(b'{"username": "bob"}', JSON_TYPE, 400, id="a field is missing"),
        pytest.param(b'{"username": "bob", "password": 12345678}', JSON_TYPE, 400, id="a number as password"),
        pytest.param(b'{"username": null, "password": "12345678"}', JSON_TYPE, 400, id="null as name"),
        pytest.param(b'{"username": "bob", "password": "12345678", "role": "admin"}', JSON_TYPE, 400, id="unknown"),
        pytest.param(b'{"username": "bob", "password": "1234567\xff"}', JSON_TYPE, 400, id="S17 not UTF-8"),
        pytest.param(b'{"username": "bob", "password": "\\ud8001234567"}', JSON_TYPE, 400, id="half a surrogate pair"),
        pytest.param(b"[" * 10_000, JSON_TYPE, 400, id="deep"),
        pytest.param(b" " * 20_000, JSON_TYPE, 413, id="too long"),
        pytest.param(b"username=bob", FORM_TYPE, 415, id="a form"),
        pytest.param(b"{}", "text/plain", 415, id="plain text"),
    ],
)
async def test_bad_bodies(auth: Client, path: str, body: bytes, content_type: str, status: int) -> None:
    headers = APP | {"Content-Type": content_type}
    await assert_problem(await auth.post(path, data=body, headers=headers), status)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ann\n", "\x00", "é", "x" * 65])
async def test_invalid_names_are_refused(auth: Client, name: str) -> None:
    await assert_problem(await auth.post(USERS, json={"username": name, "password": "12345678"}), 400, "bad-request")


@pytest.mark.parametrize("path", [TOKEN, REVOKE])
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        pytest.param(b"", FORM_TYPE, id="nothing"),
        pytest.param(b"grant_type=refresh_token", FORM_TYPE, id="no token"),
        pytest.param(b"grant_type=refresh_token&refresh_token=&token=", FORM_TYPE, id="an empty token"),
        pytest.param(b"grant_type=refresh_token&token=a&token=b&refresh_token=a", FORM_TYPE, id="a field twice"),
        pytest.param(b"grant_type=refresh_token&token=%ff&refresh_token=%ff", FORM_TYPE, id="S17 not UTF-8, quoted"),
        pytest.param(b"grant_type=refresh_token&token=\xff&refresh_token=\xff", FORM_TYPE, id="S17 not UTF-8, raw"),
        pytest.param(b"&".join(b"f%d=1" % i for i in range(100)), FORM_TYPE, id="many fields"),
        pytest.param(b"{}", JSON_TYPE, id="JSON"),
        pytest.param(b"", "multipart/form-data", id="multipart without a boundary"),
    ],
)
async def test_bad_forms(auth: Client, path: str, body: bytes, content_type: str) -> None:
    answer = await auth.post(path, data=body, headers={"Content-Type": content_type})
    assert answer.status == 400
    assert (await answer.json())["error"] == "invalid_request"
    assert answer.headers["Cache-Control"] == "no-store"


async def test_an_unknown_charset_is_not_a_5xx(auth: Client) -> None:
    headers = {"Content-Type": f"{FORM_TYPE}; charset=no-such-thing"}
    assert (await auth.post(REVOKE, data=b"token=x", headers=headers)).status == 200
    headers = {"Content-Type": f"{JSON_TYPE}; charset=no-such-thing"}
    assert (await auth.post(LOGIN, data=b"{}", headers=headers)).status == 400


@pytest.mark.parametrize("grant", ["password", "client_credentials", "authorization_code", "REFRESH_TOKEN"])
async def test_t1_there_is_no_other_grant(auth: Client, grant: str) -> None:
    answer = await auth.post(TOKEN, data={"grant_type": grant, **ANN})
    assert answer.status == 400
    assert (await answer.json())["error"] == "unsupported_grant_type"


@pytest.mark.parametrize("path", [LOGIN, USERS, CHECK, TOKEN, REVOKE, "/auth/jwks.json", METADATA])
async def test_wrong_methods_are_405_and_list_the_allowed_ones(auth: Client, path: str) -> None:
    answer = await auth.delete(path)
    await assert_problem(answer, 405)
    assert set(answer.headers["Allow"].split(",")) <= {"POST", "GET", "HEAD"}


@pytest.mark.parametrize("name", ["Authorization", "Cookie", "Content-Type", "X-Anything"])
async def test_s17_any_byte_in_a_header_is_never_a_5xx(auth: Client, name: str) -> None:
    for value in (b"\xff", b"Basic \xff", b"Bearer \xff\xfe", b"Basic YXBwOv8=", b"a=\xff; b=\x80"):
        for path in (CHECK, TOKEN, "/auth/jwks.json"):
            method = b"GET" if path.endswith(".json") else b"POST"
            request = b"%s %s HTTP/1.1\r\nHost: x\r\n%s: %s\r\nContent-Length: 2\r\n\r\n{}"
            assert (await raw_status(auth, request % (method, path.encode(), name.encode(), value))) < 500


async def raw_status(client: Client, request: bytes) -> int:
    """Send bytes that no client library would send, and return the status of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    try:
        writer.write(request)
        async with asyncio.timeout(2):
            return int((await reader.readline()).split()[1])
    finally:
        writer.close()
        await writer.wait_closed()


async def test_unknown_paths_are_404(auth: Client) -> None:
    await assert_problem(await auth.get("/auth/nothing"), 404)
