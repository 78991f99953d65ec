"""What every token strategy promises, over HTTP."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestServer, unused_port

from loadtest.attacks.weak_verifier import Flaw, RefusedError, WeakVerifier
from services.app.strategy import Info, Kind
from tests.contract.app.calls import call, page
from tests.support.attacks.forgeries import FORGERIES, MALFORMED, Attacker
from tests.support.attacks.mutants import mutants
from tests.support.servers.app import AUDIENCE, ISSUER, Client, StartReplica, World
from tests.support.strategies import each


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
async def test_j15_unknown_key_ids_cost_one_fetch_per_cool_down(replica: Client, world: World, info: Info) -> None:
    assert await bearer(replica, info, world.auth.token()) == 200
    fetched = world.auth.jwks_fetches
    tokens = [world.auth.token({"kid": f"unknown-{n}"}) for n in range(100)]
    assert set(await asyncio.gather(*(bearer(replica, info, token) for token in tokens))) == {401}
    assert world.auth.jwks_fetches - fetched <= 1


@each(Kind.TOKEN)
async def test_tokens_are_verified_while_auth_is_away_and_503_before_the_first_keys(
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
    """Proves that the listener above would have counted fetches."""
    forgery = FORGERIES["J14 kid is a URL" if name == "kid" else f"J3 {name}"].forge(world.auth, attacker)
    weak = WeakVerifier(world.auth.public_jwk, ISSUER, AUDIENCE, world.clock.now, Flaw.KEY_IN_HEADER)
    await asyncio.to_thread(weak.verify, forgery)
    assert attacker.fetches == 1


@each(Kind.TOKEN)
async def test_j3_keys_in_the_header_of_a_valid_token_are_ignored(
    replica: Client, world: World, info: Info, attacker: Attacker
) -> None:
    urls = {"jku": f"{attacker.url}/jwks", "x5u": f"{attacker.url}/certificate"}
    for headers in ({"jwk": attacker.own.public_jwk}, {"x5c": attacker.x5c()}, urls):
        assert await bearer(replica, info, world.auth.token(headers)) == 200
    assert attacker.fetches == 0


@each(Kind.TOKEN)
@pytest.mark.parametrize("attack", MALFORMED)
async def test_malformed_tokens_are_401(replica: Client, world: World, info: Info, attack: str) -> None:
    assert await bearer(replica, info, MALFORMED[attack](world.auth)) == 401


@each(Kind.TOKEN)
async def test_s17_mutated_tokens_are_401(replica: Client, world: World, info: Info) -> None:
    """A sample; `tests/stress` has 100,000."""
    for mutant in mutants(world.auth.token(), 2000, seed=1):
        assert await bearer(replica, info, mutant) == 401, mutant
