"""The auth service's public keys: fetched in the background, kept when it is away (RFC 7517)."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import aiohttp
import jwt
from aiohttp import web

from services.common.problems import Unavailable

log = logging.getLogger(__name__)

ALGORITHMS = frozenset({"EdDSA", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"})
COOLDOWN_SECONDS = 5.0  # at most one fetch in so long, however many unknown key ids are presented
REFRESH_SECONDS = 30.0  # a key that the auth service withdrew is dead after so long
RETRY_SECONDS = 0.5  # until the first keys are there

Fetch = Callable[[], Awaitable[bytes]]


def load_keys(document: bytes) -> dict[str, jwt.PyJWK]:
    """Return the signing keys of a JWK Set by key id, prepared for use.

    Keys for other uses and of unknown algorithms are left out. Raises ValueError if the set is malformed or has private
    keys, weak keys, two keys with one id, or no signing key at all.
    """
    jwks = json.loads(document)
    if not isinstance(jwks, dict) or not isinstance(jwks.get("keys"), list):
        raise ValueError("not a JWK Set")  # noqa: TRY004  # it is the text that is wrong
    keys: dict[str, jwt.PyJWK] = {}
    for jwk in jwks["keys"]:
        if not isinstance(jwk, dict) or jwk.get("use") != "sig" or jwk.get("alg") not in ALGORITHMS:
            continue
        kid, key = _load_key(jwk)
        if kid in keys:
            raise ValueError("two keys have one id")
        keys[kid] = key
    if not keys:
        raise ValueError("no signing key in the set")
    return keys


def _load_key(jwk: dict[str, Any]) -> tuple[str, jwt.PyJWK]:
    kid = jwk.get("kid")
    if not isinstance(kid, str) or not kid:
        raise ValueError("a key without an id")
    if "d" in jwk or "verify" not in jwk.get("key_ops", ["verify"]):
        raise ValueError("a key that is not for verifying")
    try:
        key = jwt.PyJWK(jwk)
    except jwt.PyJWTError as error:
        raise ValueError("a key that cannot be loaded") from error
    if reason := key.Algorithm.check_key_length(key.key):
        raise ValueError(reason)
    return kid, key


class SigningKeys:
    """The keys that tokens may be signed with. *fetch* returns the JWK Set's text, *clock* monotonic seconds."""

    def __init__(self, fetch: Fetch, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._fetching: asyncio.Task[None] | None = None
        self._not_before = float("-inf")

    async def find(self, kid: str) -> jwt.PyJWK | None:
        """Return the key with this id, or None if there is none; raises `Unavailable` if no key was ever fetched."""
        if key := self._keys.get(kid):
            return key
        if self._fetching or self._clock() >= self._not_before:
            await self.refresh()
        if not self._keys:
            raise Unavailable("No signing keys yet.")
        return self._keys.get(kid)

    async def refresh(self) -> None:
        """Fetch the keys now; those who ask meanwhile share one fetch. On failure the old keys stay."""
        if self._fetching is None:
            self._not_before = self._clock() + COOLDOWN_SECONDS
            self._fetching = asyncio.create_task(self._load())
        await asyncio.shield(self._fetching)

    async def _load(self) -> None:
        try:
            self._keys = load_keys(await self._fetch())
        except (aiohttp.ClientError, TimeoutError, ValueError, RecursionError) as error:
            log.warning("signing keys not fetched, %d kept: %r", len(self._keys), error)
        finally:
            self._fetching = None

    async def missing(self) -> str | None:
        """Return what is missing before tokens can be verified, if anything (a `ReadyCheck`)."""
        return None if self._keys else "no signing keys yet"

    async def kept_fresh(self, _: web.Application) -> AsyncIterator[None]:
        """Fetch at start and every `REFRESH_SECONDS`, in the background (for `cleanup_ctx`)."""
        task = asyncio.create_task(self._refresh_for_ever())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _refresh_for_ever(self) -> None:
        while True:
            await self.refresh()
            await asyncio.sleep(REFRESH_SECONDS if self._keys else RETRY_SECONDS)


class JwksUrl:
    """Fetches a JWK Set by HTTP: calling it returns the text, raises `aiohttp.ClientError` or TimeoutError."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http: aiohttp.ClientSession | None = None

    async def opened(self, _: web.Application) -> AsyncIterator[None]:
        """Keep the connection open while the application runs (for `cleanup_ctx`)."""
        timeout = aiohttp.ClientTimeout(total=2)
        async with aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as self._http:
            yield

    async def __call__(self) -> bytes:
        """Fetch it once."""
        assert self._http is not None, "used before start-up"  # noqa: S101  # a mistake of ours, never a request's
        async with self._http.get(self._url) as response:
            return await response.read()
