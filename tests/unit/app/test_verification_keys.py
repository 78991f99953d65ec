"""The key cache: what it loads, how often it fetches, and what it does while the auth service is away."""

import asyncio
import hashlib
import json
from typing import Any

import aiohttp
import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.app.tokens.jwks import load_keys
from services.app.tokens.verification_keys import COOLDOWN_SECONDS, VerificationKeys
from services.common.http.problems import Unavailable
from services.common.tokens.jwk import thumbprint


def jwk(name: str = "one", **changes: Any) -> dict[str, Any]:
    """Return the key that *name* stands for."""
    private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
    key: dict[str, Any] = jwt.algorithms.OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
    members = key | {"kid": thumbprint(key), "use": "sig", "alg": "EdDSA"} | changes
    return {name: value for name, value in members.items() if value is not None}


def kid(name: str = "one") -> str:
    return str(jwk(name)["kid"])


def rsa_jwk(bits: int) -> dict[str, Any]:
    key = rsa.generate_private_key(65537, bits).public_key()
    members: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(key, as_dict=True)
    members = {name: members[name] for name in ("kty", "n", "e")}
    return members | {"kid": thumbprint(members), "use": "sig", "alg": "RS256"}


OCT = {"kty": "oct", "k": "A" * 43, "alg": "HS256", "use": "sig", "kid": thumbprint({"kty": "oct", "k": "A" * 43})}


def jwks(*keys: Any) -> bytes:
    return json.dumps({"keys": keys}).encode()


class Source:
    """A key set on a server: counts fetches, fails if *text* is an exception, waits for *gate*."""

    def __init__(self, text: bytes | Exception) -> None:
        self.text = text
        self.fetches = 0
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.now = 0.0
        self.removed: frozenset[str] = frozenset()

    async def __call__(self) -> bytes:
        self.fetches += 1
        self.asked.set()
        await self.gate.wait()
        if isinstance(self.text, Exception):
            raise self.text
        return self.text

    async def fetch_removed(self) -> frozenset[str]:
        return self.removed

    def keys(self) -> VerificationKeys:
        return VerificationKeys(self, self.fetch_removed, max_stale_seconds=900, clock=lambda: self.now)


def test_keys_are_found_by_id_and_unsuitable_ones_are_ignored() -> None:
    big = rsa_jwk(2048)
    keys = load_keys(jwks(jwk("a"), jwk("b"), jwk("c", use="enc"), jwk("d", use=None), jwk("e", alg="XX"), 7, big))
    found = {kid: key.algorithm_name for kid, key in keys.items()}
    assert found == {kid("a"): "EdDSA", kid("b"): "EdDSA", big["kid"]: "RS256"}


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
        jwks(jwk("a", kid=None)),
        jwks(jwk("a", kid=1)),
        jwks(jwk("a", kid="not the thumbprint")),
        jwks(jwk("a", kid=kid("b"))),
        jwks(jwk("a", d="AAAA")),
        jwks(jwk("a"), jwk("b", d="AAAA")),
        jwks(jwk("a"), jwk("b", d="AAAA", use="enc")),
        jwks(jwk("a", key_ops=["sign"])),
        jwks(jwk("a", key_ops=["verify", "sign"])),
        jwks(jwk("a", key_ops="verify")),
        jwks(jwk("a", x="AAAA")),
        jwks(jwk("a", x=None)),
        jwks(jwk("a", x=7)),
        jwks(jwk("a", kty="XX")),
        jwks(jwk("a", kty=[])),
        jwks(jwk("a", alg="ES256")),
        jwks(OCT),
        jwks(jwk("a"), OCT),
        jwks(jwk("a"), OCT | {"use": "enc"}),
    ],
)
def test_j16_an_invalid_key_set_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        load_keys(text)


def test_j13_a_weak_rsa_key_is_refused() -> None:
    with pytest.raises(ValueError, match="1024 bits"):
        load_keys(jwks(rsa_jwk(1024)))


async def test_j15_unknown_ids_share_one_fetch_and_then_wait_for_the_cool_down() -> None:
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


async def test_j17_a_new_key_is_fetched_on_demand_and_a_withdrawn_one_is_dropped() -> None:
    source = Source(jwks(jwk("old")))
    keys = source.keys()
    assert await keys.find(kid("old"))
    source.text = jwks(jwk("new"))
    source.now += COOLDOWN_SECONDS
    assert await keys.find(kid("new"))
    assert await keys.find(kid("old")) is None


@pytest.mark.parametrize("error", [aiohttp.ClientError(), TimeoutError(), b"nonsense", b"[" * 10**6])
async def test_keys_stay_when_the_auth_service_is_away(error: Any) -> None:
    source = Source(jwks(jwk()))
    keys = source.keys()
    assert await keys.find(kid())
    source.text = error
    await keys.refresh()
    assert await keys.find(kid())
    assert await keys.missing() is None


async def test_before_the_first_fetch_tokens_cannot_be_judged() -> None:
    keys = Source(aiohttp.ClientError()).keys()
    assert await keys.missing() == "the signing keys have not been fetched yet"
    with pytest.raises(Unavailable):
        await keys.find(kid())


async def test_a_client_that_gives_up_does_not_cancel_a_shared_fetch() -> None:
    source = Source(jwks(jwk()))
    keys = source.keys()
    source.gate.clear()
    impatient, patient = asyncio.ensure_future(keys.find(kid())), asyncio.ensure_future(keys.find(kid()))
    await source.asked.wait()
    impatient.cancel()
    source.gate.set()
    assert await patient
    assert source.fetches == 1


async def test_keys_are_fetched_at_start_without_a_request() -> None:
    source = Source(jwks(jwk()))
    keys = source.keys()
    running = keys.kept_fresh(web.Application())
    await anext(running)
    async with asyncio.timeout(5):
        while await keys.missing():  # noqa: ASYNC110  # what is waited for tells nobody
            await asyncio.sleep(0)
    assert [one async for one in running] == []


async def test_j17_a_key_removed_through_redis_is_refused_even_if_the_key_set_cannot_be_fetched() -> None:
    source = Source(jwks(jwk("stolen"), jwk("good")))
    keys = source.keys()
    assert await keys.find(kid("stolen"))
    source.text, source.removed = aiohttp.ClientError(), frozenset({kid("stolen")})
    await keys.refresh()
    assert await keys.find(kid("stolen")) is None
    assert await keys.find(kid("good"))
    source.removed = frozenset()  # Redis is away too
    await keys.refresh()
    assert await keys.find(kid("stolen")) is None


async def test_j17_a_removed_key_does_not_return_with_a_stale_key_set() -> None:
    source = Source(jwks(jwk("stolen"), jwk("good")))
    source.removed = frozenset({kid("stolen")})
    keys = source.keys()
    await keys.refresh()
    assert await keys.find(kid("stolen")) is None
    assert await keys.find(kid("good"))


async def test_j17_when_the_only_key_is_removed_its_tokens_are_refused_and_others_cannot_be_judged() -> None:
    source = Source(jwks(jwk("stolen")))
    source.removed = frozenset({kid("stolen")})
    keys = source.keys()
    assert await keys.find(kid("stolen")) is None
    with pytest.raises(Unavailable):
        await keys.find(kid("successor"))


async def test_j17_keys_are_not_trusted_for_ever_when_auth_and_redis_are_away() -> None:
    source = Source(jwks(jwk()))
    keys = source.keys()
    assert await keys.find(kid())
    source.text = aiohttp.ClientError()
    source.now += 900
    assert await keys.find(kid())
    source.now += 1
    with pytest.raises(Unavailable):
        await keys.find(kid())
    assert await keys.missing() is None  # other strategies still serve
    source.text = jwks(jwk())
    source.now += COOLDOWN_SECONDS
    assert await keys.find(kid())


async def test_j15_a_failed_fetch_starts_the_cool_down_and_known_keys_do_not_wait() -> None:
    source = Source(jwks(jwk()))
    keys = source.keys()
    assert await keys.find(kid())
    source.text = aiohttp.ClientError()
    source.now += COOLDOWN_SECONDS
    for n in range(1000):
        assert await keys.find(f"unknown-{n}") is None
    assert source.fetches == 2
    source.now += COOLDOWN_SECONDS
    source.gate.clear()
    source.asked.clear()
    waiting = asyncio.ensure_future(keys.find("unknown"))
    await source.asked.wait()
    assert await keys.find(kid())  # while the fetch hangs
    source.gate.set()
    assert await waiting is None


def test_a_key_that_is_fetched_again_is_the_same_object() -> None:
    """Caches of tokens by key stay valid after each refresh."""
    document = jwks(jwk())
    again = bytes(bytearray(document))
    assert again is not document
    assert load_keys(document)[kid()] is load_keys(again)[kid()]
