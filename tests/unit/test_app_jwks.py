"""The key cache: what it loads, how often it fetches, what it does while the auth service is away."""

import asyncio
import json
from typing import Any

import aiohttp
import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.app.jwks import COOLDOWN_SECONDS, SigningKeys, load_keys
from services.common.problems import Unavailable


def jwk(kid: object = "one", **changes: Any) -> dict[str, Any]:
    key = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(Ed25519PrivateKey.generate().public_key()))
    members = key | {"kid": kid, "use": "sig", "alg": "EdDSA"} | changes
    return {name: value for name, value in members.items() if value is not None}


def rsa_jwk(bits: int) -> dict[str, Any]:
    key = rsa.generate_private_key(65537, bits).public_key()
    members: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key))
    return members | {"kid": "rsa", "use": "sig", "alg": "RS256"}


def jwks(*keys: Any) -> bytes:
    return json.dumps({"keys": keys}).encode()


class Source:
    """A JWK Set somewhere: counts fetches, fails when *text* is an exception, waits for *gate*."""

    def __init__(self, text: bytes | Exception) -> None:
        self.text = text
        self.fetches = 0
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.now = 0.0

    async def __call__(self) -> bytes:
        self.fetches += 1
        self.asked.set()
        await self.gate.wait()
        if isinstance(self.text, Exception):
            raise self.text
        return self.text

    def keys(self) -> SigningKeys:
        return SigningKeys(self, clock=lambda: self.now)


def test_keys_are_found_by_id_and_others_left_out() -> None:
    keys = load_keys(
        jwks(jwk("a"), jwk("b"), jwk("c", use="enc"), jwk("d", use=None), jwk("e", alg="XX"), 7, rsa_jwk(2048))
    )
    assert {kid: key.algorithm_name for kid, key in keys.items()} == {"a": "EdDSA", "b": "EdDSA", "rsa": "RS256"}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b"\xff",
        jwks(),
        jwks(jwk("a"), jwk("a")),
        jwks(jwk(None)),
        jwks(jwk(1)),
        jwks(jwk("a", d="AAAA")),
        jwks(jwk("a", key_ops=["sign"])),
        jwks(jwk("a", x="AAAA")),
        jwks(jwk("a", x=None)),
        jwks(jwk("a", kty="oct", k="AAAA", alg="HS256")),
    ],
)
def test_j16_a_set_that_is_not_strictly_right_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        load_keys(text)


def test_j13_a_weak_rsa_key_is_refused() -> None:
    with pytest.raises(ValueError, match="1024 bits"):
        load_keys(jwks(rsa_jwk(1024)))


async def test_j15_unknown_ids_share_one_fetch_and_then_wait_for_the_cooldown() -> None:
    source = Source(jwks(jwk()))
    keys = source.keys()
    source.gate.clear()
    asking = [asyncio.ensure_future(keys.find(f"unknown-{n}")) for n in range(50)]
    await source.asked.wait()
    source.gate.set()
    assert await asyncio.gather(*asking) == [None] * 50
    assert [await keys.find(f"unknown-{n}") for n in range(50)] == [None] * 50
    assert source.fetches == 1
    source.now += COOLDOWN_SECONDS
    assert await keys.find("unknown") is None
    assert source.fetches == 2


async def test_j17_a_new_key_is_fetched_when_asked_for_and_a_withdrawn_one_is_gone() -> None:
    source = Source(jwks(jwk("old")))
    keys = source.keys()
    assert await keys.find("old")
    source.text = jwks(jwk("new"))
    source.now += COOLDOWN_SECONDS
    assert await keys.find("new")
    assert await keys.find("old") is None


@pytest.mark.parametrize("error", [aiohttp.ClientError(), TimeoutError(), b"nonsense", b"[" * 10**6])
async def test_keys_stay_when_the_auth_service_is_away(error: Any) -> None:
    source = Source(jwks(jwk()))
    keys = source.keys()
    assert await keys.find("one")
    source.text = error
    await keys.refresh()
    assert await keys.find("one")
    assert await keys.missing() is None


async def test_before_the_first_keys_we_cannot_know() -> None:
    keys = Source(aiohttp.ClientError()).keys()
    assert await keys.missing() == "no signing keys yet"
    with pytest.raises(Unavailable):
        await keys.find("one")


async def test_a_client_that_gives_up_does_not_end_the_fetch_of_others() -> None:
    source = Source(jwks(jwk()))
    keys = source.keys()
    source.gate.clear()
    impatient, patient = asyncio.ensure_future(keys.find("one")), asyncio.ensure_future(keys.find("one"))
    await source.asked.wait()
    impatient.cancel()
    source.gate.set()
    assert await patient
    assert source.fetches == 1


async def test_keys_are_fetched_at_start_without_anybody_asking() -> None:
    source = Source(jwks(jwk()))
    keys = source.keys()
    running = keys.kept_fresh(web.Application())
    await anext(running)
    async with asyncio.timeout(5):
        while await keys.missing():  # noqa: ASYNC110  # what is waited for tells nobody
            await asyncio.sleep(0)
    assert [one async for one in running] == []
