"""Which passwords are accepted, and how many may be wrong: two processes on one Redis and database."""

import asyncio
from typing import Literal

import pytest
from aiohttp import ClientResponse
from argon2 import PasswordHasher, extract_parameters
from redis.asyncio import Redis

from tests.support.clock import ManualClock
from tests.support.servers.auth import Client, GatedHasher, StartAuth
from tests.support.servers.valkey import Valkey

pytest_plugins = ("tests.support.servers.auth_fixtures",)

ANN = {"username": "ann", "password": "correct horse"}
WRONG = ANN | {"password": "wrong horse"}
APP = {"Authorization": "Basic YXBwOnRoZSBhcHAncyBvd24gc2VjcmV0"}
HOME, ELSEWHERE, GUESSER = "203.0.113.7", "203.0.113.8", "198.51.100.1"
PER_PAIR, PER_ADDRESS, PER_ACCOUNT = 10, 100, 100


@pytest.fixture
async def auth(start_auth: StartAuth) -> Client:
    client = await start_auth()
    assert (await client.post("/auth/users", json=ANN)).status == 201
    return client


async def log_in(
    client: Client, body: dict[str, str] = ANN, address: str = HOME, path: str = "/auth/login"
) -> ClientResponse:
    headers = {"X-Forwarded-For": address} | (APP if path == "/auth/password/check" else {})
    return await client.post(path, json=body, headers=headers)


async def statuses(client: Client, body: dict[str, str], address: str, times: int) -> list[int]:
    return [(await log_in(client, body, address)).status for _ in range(times)]


# T12


@pytest.mark.parametrize("password", ["12345678", "PassWord1", "qwertyuiop", "ANN-of-cleves", "AuthScale"])
async def test_t12_common_passwords_are_refused_and_the_field_is_named(auth: Client, password: str) -> None:
    answer = await auth.post("/auth/users", json={"username": "ann-of-cleves", "password": password})
    assert answer.status == 400
    detail = (await answer.json())["detail"]
    assert detail.startswith("password: ")
    assert password not in detail
    token = (await (await log_in(auth)).json())["access_token"]
    change = {"old_password": ANN["password"], "new_password": password if password != "ANN-of-cleves" else "password"}
    answer = await auth.post("/auth/password", json=change, headers={"Authorization": f"Bearer {token}"})
    assert answer.status == 400
    assert (await answer.json())["detail"].startswith("new_password: ")
    assert (await log_in(auth)).status == 200


@pytest.mark.parametrize("password", ["hunter2hunter3", "12345678 ", "all lower case", "ÄÖÜ日本語🔑🔑"])
async def test_t11_t12_there_are_no_composition_rules(auth: Client, password: str) -> None:
    assert (await auth.post("/auth/users", json={"username": "bob", "password": password})).status == 201
    assert (await log_in(auth, {"username": "bob", "password": password})).status == 200


# T13


@pytest.mark.parametrize("path", ["/auth/login", "/auth/password/check"])
async def test_t13_guessing_one_account_is_limited_across_all_processes(
    start_auth: StartAuth, auth: Client, clock: ManualClock, path: str
) -> None:
    clients = [auth, await start_auth()]
    for i in range(PER_PAIR):
        assert (await log_in(clients[i % 2], WRONG, GUESSER, path)).status == 401
    for client in clients:
        answer = await log_in(client, ANN, GUESSER, path)  # even the right one, or a guesser would learn it
        assert (answer.status, answer.headers["Retry-After"]) == (429, "60")
        assert (await answer.json())["type"] == "urn:authscale:problem:too-many-requests"
    clock.now += 60
    assert (await log_in(clients[1], WRONG, GUESSER, path)).status == 401
    assert (await log_in(clients[0], WRONG, GUESSER, path)).status == 429


async def test_t13_the_account_stays_open_from_other_addresses(auth: Client) -> None:
    await statuses(auth, WRONG, GUESSER, PER_PAIR + 5)
    assert (await log_in(auth, ANN, ELSEWHERE)).status == 200
    assert (await log_in(auth, {"username": "bob", "password": "wrong horse"}, GUESSER)).status == 401


async def test_t13_a_success_clears_only_your_own_failures(auth: Client) -> None:
    for _ in range(3):
        assert await statuses(auth, WRONG, HOME, PER_PAIR - 1) == [401] * (PER_PAIR - 1)
        assert (await log_in(auth)).status == 200
    assert await statuses(auth, WRONG, GUESSER, PER_PAIR + 1) == [401] * PER_PAIR + [429]
    assert (await log_in(auth)).status == 200
    assert (await log_in(auth, WRONG, GUESSER)).status == 429


async def test_t13_trying_many_accounts_is_limited_but_not_at_familiar_addresses(auth: Client) -> None:
    assert (
        await log_in(auth, ANN, GUESSER)
    ).status == 200  # Ann shares an address with other customers of her provider
    for i in range(PER_ADDRESS):
        assert (await log_in(auth, {"username": f"user-{i}", "password": "wrong horse"}, GUESSER)).status == 401
    answer = await log_in(auth, {"username": "one-more", "password": "wrong horse"}, GUESSER)
    assert (answer.status, answer.headers["Retry-After"]) == (429, "6")
    assert (await log_in(auth, ANN, GUESSER)).status == 200
    assert (await log_in(auth, WRONG, ELSEWHERE)).status == 401


async def test_t13_the_address_of_a_registration_is_familiar(auth: Client) -> None:
    bob = {"username": "bob", "password": "correct horse"}
    assert (await auth.post("/auth/users", json=bob, headers={"X-Forwarded-For": HOME})).status == 201
    for i in range(PER_ACCOUNT):
        await log_in(auth, bob | {"password": "wrong horse"}, f"198.51.100.{i}")
    assert (await log_in(auth, bob, ELSEWHERE)).status == 429
    assert (await log_in(auth, bob, HOME)).status == 200


async def test_t13_guessing_from_everywhere_is_slowed_down_and_locks_nobody_out(
    auth: Client, clock: ManualClock
) -> None:
    assert (await log_in(auth, ANN, HOME)).status == 200
    for i in range(PER_ACCOUNT):
        assert (await log_in(auth, WRONG, f"198.51.100.{i}")).status == 401
    answer = await log_in(auth, WRONG, "198.51.100.200")
    assert (answer.status, answer.headers["Retry-After"]) == (429, "10")
    assert (await log_in(auth, ANN, HOME)).status == 200
    clock.now += 10
    assert (await log_in(auth, ANN, ELSEWHERE)).status == 200


async def test_t13_an_ipv6_64_is_one_address(auth: Client) -> None:
    for i in range(PER_PAIR):
        assert (await log_in(auth, WRONG, f"2001:db8::{i:x}:1")).status == 401
    assert (await log_in(auth, WRONG, "2001:db8:0:0:ffff::1")).status == 429
    assert (await log_in(auth, WRONG, "2001:db8:0:1::1")).status == 401


async def guessed_at_once(client: Client, body: dict[str, str], address: str, times: int) -> int:
    """Try *times* wrong passwords in parallel and return how many were checked (a 503 means that a busy machine was
    late).
    """
    answers = await asyncio.gather(*(log_in(client, body, address) for _ in range(times)))
    assert {answer.status for answer in answers} <= {401, 429, 503}
    return sum(answer.status == 401 for answer in answers)


@pytest.fixture
async def warm(auth: Client) -> Client:
    """An auth service whose connections to Redis are open: opening them all at once takes a busy machine too long."""
    await asyncio.gather(*(log_in_patiently(auth, "192.0.2.1") for _ in range(40)))
    return auth


async def test_t13_a_burst_of_guesses_delays_the_owner_behind_the_same_address_by_a_minute_at_most(
    warm: Client, clock: ManualClock
) -> None:
    assert await guessed_at_once(warm, WRONG, HOME, 50) > 2 * PER_PAIR, "control: they were under way together"
    answer = await log_in(warm)
    assert (answer.status, answer.headers["Retry-After"]) == (429, "60")
    clock.now += 60
    assert (await log_in(warm)).status == 200
    assert (await log_in(warm)).status == 200


async def test_t13_a_burst_of_guesses_is_paid_for_in_full(warm: Client, clock: ManualClock) -> None:
    """Over any period, one address gets at most one guess a minute, apart from the first burst."""
    burst = await guessed_at_once(warm, WRONG, GUESSER, 50)
    assert burst > 2 * PER_PAIR, "control: they were under way together"
    for _ in range(3):
        clock.now += 60
        assert await guessed_at_once(warm, WRONG, GUESSER, 20) == 1
    clock.now += 60 * (burst - PER_PAIR)  # the bucket is still full
    assert await guessed_at_once(warm, WRONG, GUESSER, 20) == 1
    clock.now += 60 * PER_PAIR
    assert await guessed_at_once(warm, WRONG, GUESSER, 20) > 1


async def test_t13_a_burst_from_everywhere_delays_the_owner_at_a_new_address_by_ten_seconds_at_most(
    warm: Client, clock: ManualClock
) -> None:
    guesses = [guessed_at_once(warm, WRONG, f"198.51.100.{i}", 1) for i in range(PER_ACCOUNT - 1)]
    assert sum([await guess for guess in guesses]) == PER_ACCOUNT - 1
    more = await asyncio.gather(*(guessed_at_once(warm, WRONG, f"192.0.2.{i}", 1) for i in range(2, 40)))
    assert sum(more) > 2, "control: they were under way together"
    answer = await log_in(warm, ANN, ELSEWHERE)
    assert (answer.status, answer.headers["Retry-After"]) == (429, "10")
    clock.now += 10
    assert (await log_in(warm, ANN, ELSEWHERE)).status == 200


async def test_t13_a_load_test_that_logs_in_is_never_limited(start_auth: StartAuth, auth: Client) -> None:
    clients = [auth, await start_auth()]
    for _ in range(4):
        answers = await asyncio.gather(*(log_in_patiently(clients[i % 2]) for i in range(60)))
        assert {answer.status for answer in answers} == {200}


async def log_in_patiently(client: Client, address: str = HOME) -> ClientResponse:
    """Log in; try again while a busy machine answers 503."""
    while (answer := await log_in(client, ANN, address)).status == 503:
        pass
    return answer


async def test_t13_unknown_names_are_limited_in_the_same_way(auth: Client) -> None:
    for name in ("nobody", "no\x00body", "x" * 10_000):
        body = {"username": name, "password": "wrong horse"}
        assert await statuses(auth, body, GUESSER, PER_PAIR + 1) == [401] * PER_PAIR + [429]


async def test_t13_the_old_password_cannot_be_guessed_with_a_stolen_token(auth: Client) -> None:
    token = (await (await log_in(auth)).json())["access_token"]
    headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": HOME}
    change = {"old_password": "wrong horse", "new_password": "another correct horse"}
    answers = [await auth.post("/auth/password", json=change, headers=headers) for _ in range(PER_PAIR + 1)]
    assert [answer.status for answer in answers] == [403] * PER_PAIR + [429]


async def test_t13_only_the_app_may_name_the_clients_address(auth: Client) -> None:
    for _ in range(PER_PAIR + 1):
        headers = {"X-Forwarded-For": HOME, "Authorization": "Basic YXBwOng="}
        assert (await auth.post("/auth/password/check", json=WRONG, headers=headers)).status == 401
    assert (await log_in(auth, WRONG, HOME, "/auth/password/check")).status == 401
    assert (await log_in(auth)).status == 200


async def test_t13_names_and_addresses_are_not_readable_in_redis(auth: Client, auth_valkey: Valkey) -> None:
    await log_in(auth, WRONG, GUESSER)
    await log_in(auth, ANN, GUESSER)
    await log_in(auth, WRONG, HOME)
    async with Redis.from_url(auth_valkey.url, password=auth_valkey.password, decode_responses=True) as redis:
        keys = [key async for key in redis.scan_iter(match="auth:guesses:*")]
        known = [member async for key in redis.scan_iter("auth:known:*") for member in await redis.zrange(key, 0, -1)]
        assert {0 < await redis.ttl(key) <= 2 * PER_PAIR * 60 for key in keys} == {True}
    assert len(keys) == 4  # HOME's pair, two addresses, one account
    assert len(known) == 2  # where she registered and where she logged in
    assert not any(text in "".join(keys + known) for text in ("ann", GUESSER, HOME, "127.0.0.1"))


# T14


class Counting(PasswordHasher):
    """A hasher that records the parameters of every hash."""

    def __init__(self) -> None:
        super().__init__(memory_cost=16, time_cost=1, parallelism=1)
        self.costs: list[int] = []

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self.costs.append(self.memory_cost)
        return super().hash(password, salt=salt)

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002  # the base's name
        self.costs.append(extract_parameters(str(hash)).memory_cost)
        return super().verify(hash, password)


@pytest.mark.parametrize("path", ["/auth/login", "/auth/password/check"])
async def test_t14_every_wrong_login_costs_one_hash_with_the_same_parameters(start_auth: StartAuth, path: str) -> None:
    hasher = Counting()
    auth = await start_auth(hasher=hasher)
    await auth.post("/auth/users", json=ANN)
    for wrong in (
        {"username": "ann"},
        {"username": "ANN"},
        {"username": "nobody"},
        {"username": "no\x00body"},
        {"password": "no\x00 password"},
        {"password": "x" * 10_000},
    ):
        hasher.costs.clear()
        assert (await log_in(auth, WRONG | wrong, path=path)).status == 401
        assert hasher.costs == [16]


async def test_t10_t13_a_limited_guess_costs_no_hash(start_auth: StartAuth) -> None:
    hasher = Counting()
    auth = await start_auth(hasher=hasher)
    await statuses(auth, WRONG, GUESSER, PER_PAIR)
    hasher.costs.clear()
    assert await statuses(auth, WRONG, GUESSER, 3) == [429] * 3
    assert hasher.costs == []


# Redis away


async def test_t10_a_client_with_too_many_places_gets_429(start_auth: StartAuth) -> None:
    hasher = GatedHasher()
    auth = await start_auth(hasher=hasher, PASSWORD_THREADS=1, PASSWORD_QUEUE=1)
    hasher.gate.clear()
    people = [{"username": f"person-{number}", "password": "a quiet afternoon"} for number in range(4)]
    waiting = {asyncio.create_task(auth.post("/auth/users", json=person)) for person in people}
    refused: set[asyncio.Task[ClientResponse]] = set()
    while len(refused) < 2:  # one password is being hashed, and one may wait
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        refused |= done
    hasher.gate.set()
    assert [(one.result().status, one.result().headers["Retry-After"]) for one in refused] == [(429, "1")] * 2
    assert [answer.status for answer in await asyncio.gather(*waiting)] == [201, 201]


async def test_t13_without_redis_an_account_can_be_registered(start_auth: StartAuth, frail_valkey: Valkey) -> None:
    auth = await start_auth(frail_valkey)
    frail_valkey.kill()
    assert (await auth.post("/auth/users", json=ANN)).status == 201


async def test_t13_without_redis_password_checks_work_and_token_logins_do_not(
    start_auth: StartAuth, frail_valkey: Valkey
) -> None:
    auth = await start_auth(frail_valkey)
    await auth.post("/auth/users", json=ANN)
    frail_valkey.kill()
    assert (await log_in(auth, ANN, path="/auth/password/check")).status == 200
    for body in (ANN, WRONG):
        assert (await log_in(auth, body)).status == 503
