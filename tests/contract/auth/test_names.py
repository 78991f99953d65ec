"""All spellings of a name or a password are the same (RFC 8265): two processes on one Redis and database."""

import asyncio

import pytest
from aiohttp import ClientResponse

from tests.support.servers.auth import Client, StartAuth

pytest_plugins = ("tests.support.servers.auth_fixtures",)

ANN = {"username": "Ann", "password": "caf\u00e9 au lait"}
SPELLINGS = ["Ann", "ann", "ANN", "\uff21\uff4e\uff4e"]  # the last one is in full width
DECOMPOSED = "cafe\u0301 au lait"
APP = {"Authorization": "Basic YXBwOnRoZSBhcHAncyBvd24gc2VjcmV0"}
CALLS = ["/auth/login", "/auth/password/check"]
PER_PAIR = 10


@pytest.fixture
async def auth(start_auth: StartAuth) -> Client:
    """A service that knows Ann."""
    client = await start_auth()
    assert (await client.post("/auth/users", json=ANN)).status == 201
    return client


async def log_in(client: Client, path: str = CALLS[0], **changes: str) -> ClientResponse:
    return await client.post(path, json=ANN | changes, headers=APP if path == CALLS[1] else {})


async def change_password(client: Client, token: str, old: str, new: str) -> ClientResponse:
    body = {"old_password": old, "new_password": new}
    return await client.post("/auth/password", json=body, headers={"Authorization": f"Bearer {token}"})


async def detail(answer: ClientResponse) -> str:
    return str((await answer.json())["detail"])


# Names


@pytest.mark.parametrize("path", CALLS)
async def test_a_name_is_accepted_in_any_spelling_and_shown_as_registered(auth: Client, path: str) -> None:
    users = [(await (await log_in(auth, path, username=name)).json())["user"] for name in SPELLINGS]
    assert {user["name"] for user in users} == {"Ann"}
    assert len({user["id"] for user in users}) == 1


@pytest.mark.parametrize("name", ["ann", "ANN", "aNN"])
async def test_a_name_is_registered_only_once_regardless_of_case(auth: Client, name: str) -> None:
    answer = await auth.post("/auth/users", json={"username": name, "password": "another person's"})
    assert answer.status == 409
    assert (await log_in(auth, username=name)).status == 200


@pytest.mark.parametrize("name", ["Admin", "ADMIN"])
async def test_nobody_registers_the_administrators_name(auth: Client, name: str) -> None:
    answer = await auth.post("/auth/users", json={"username": name, "password": "another person's"})
    assert answer.status == 409


async def test_concurrent_spellings_of_a_name_are_registered_only_once(start_auth: StartAuth) -> None:
    clients = [await start_auth(), await start_auth()]
    bodies = [{"username": name, "password": f"the one of {name}"} for name in ("bob", "Bob", "BOB", "boB") * 3]
    answers = await asyncio.gather(*(clients[i % 2].post("/auth/users", json=body) for i, body in enumerate(bodies)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 11


@pytest.mark.parametrize("path", CALLS)
async def test_t13_all_spellings_share_their_guesses(auth: Client, path: str) -> None:
    names = (SPELLINGS * PER_PAIR)[:PER_PAIR]
    answers = [await log_in(auth, path, username=name, password="a wrong one") for name in names]
    assert {answer.status for answer in answers} == {401}
    assert {(await log_in(auth, path, username=name)).status for name in SPELLINGS} == {429}


async def test_t13_password_changes_share_them_too(auth: Client) -> None:
    token = (await (await log_in(auth)).json())["access_token"]
    for _ in range(PER_PAIR):
        assert (await log_in(auth, username="ann", password="a wrong one")).status == 401
    assert (await change_password(auth, token, ANN["password"], "another one altogether")).status == 429


async def test_t12_a_password_that_is_the_name_is_refused_in_any_case(auth: Client) -> None:
    answer = await auth.post("/auth/users", json={"username": "Bob-of-Kent", "password": "BOB-of-kent"})
    assert answer.status == 400


# Passwords


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize("registered", [ANN["password"], DECOMPOSED, "caf\u00e9\u00a0au\u3000lait"])
async def test_t11_a_password_is_accepted_in_any_spelling(start_auth: StartAuth, path: str, registered: str) -> None:
    auth = await start_auth()
    assert (await auth.post("/auth/users", json=ANN | {"password": registered})).status == 201
    for typed in (ANN["password"], DECOMPOSED, "cafe\u0301\u00a0au lait"):
        assert (await log_in(auth, path, password=typed)).status == 200
    for wrong in ("cafe au lait", "CAF\u00c9 au lait", "caf\u00e9 au lait ", ""):
        assert (await log_in(auth, path, password=wrong)).status == 401


async def test_t11_a_changed_password_is_accepted_in_any_spelling(auth: Client) -> None:
    token = (await (await log_in(auth)).json())["access_token"]
    new, decomposed = "cr\u00e8me br\u00fbl\u00e9e", "cre\u0300me bru\u0302le\u0301e"
    assert (await change_password(auth, token, DECOMPOSED, decomposed)).status == 204
    assert (await log_in(auth, password=new)).status == 200
    assert (await change_password(auth, token, new, ANN["password"])).status == 204


@pytest.mark.parametrize("password", ["bell\x07bell", "delete\x7fdelete", "soft\u00adhyphen", "e\u0301" * 7, ""])
async def test_t11_an_invalid_password_is_refused_with_a_reason(auth: Client, password: str) -> None:
    answer = await auth.post("/auth/users", json={"username": "bob", "password": password})
    assert (answer.status, (await detail(answer)).partition(" ")[0]) == (400, "password:")
    token = (await (await log_in(auth)).json())["access_token"]
    answer = await change_password(auth, token, ANN["password"], password)
    assert (answer.status, (await detail(answer)).partition(" ")[0]) == (400, "new_password:")
    assert not password or password not in await detail(answer)


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize("password", ["bell\x07bell", "soft\u00adhyphen", "", "x" * 10_000])
async def test_t14_an_invalid_password_is_merely_wrong_at_a_login(auth: Client, path: str, password: str) -> None:
    answers = [await log_in(auth, path, username=name, password=password) for name in ("ann", "nobody")]
    assert [answer.status for answer in answers] == [401, 401]
    assert await answers[0].read() == await answers[1].read()
    token = (await (await log_in(auth)).json())["access_token"]
    assert (await change_password(auth, token, password, "another one altogether")).status == 403
