"""The auth service's public keys (RFC 7517): fetched in the background, and kept for a while if it is down.

A key is known long before its first token, because the auth service publishes keys in advance. A key that the auth
service removed is refused after the next refresh. If the key set cannot be fetched, the last one stays valid for a
limited time, except for keys that `RemovedKeys` names.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import aiohttp
import jwt
from aiohttp import web

from services.app.tokens.jwks import load_keys
from services.common.background import repeating
from services.common.http.problems import Unavailable

log = logging.getLogger(__name__)

COOLDOWN_SECONDS = 5.0  # between fetches for unknown key ids, however many are presented
REFRESH_SECONDS = 30.0  # between regular fetches
MAX_STALE_SECONDS = 900.0  # more than an access token's lifetime, so that honest tokens expire first
RETRY_SECONDS = 0.5  # until the first keys have been fetched
RETRY_STALE_SECONDS = 5.0  # after a failure, while there are keys

Fetch = Callable[[], Awaitable[bytes]]
FetchRemoved = Callable[[], Awaitable[frozenset[str]]]
"""Returns the ids of all keys that were removed in an emergency, as far as they are known."""


async def none_removed() -> frozenset[str]:
    """Return no ids."""
    return frozenset()


class VerificationKeys:
    """The keys that tokens may be signed with. *fetch* returns the JWK Set as text, *clock* monotonic seconds."""

    def __init__(
        self,
        fetch: Fetch,
        fetch_removed: FetchRemoved = none_removed,
        *,
        refresh_seconds: float = REFRESH_SECONDS,
        max_stale_seconds: float = MAX_STALE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._fetch_removed = fetch_removed
        self._refresh_seconds = refresh_seconds
        self._max_stale_seconds = max_stale_seconds
        self._clock = clock
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._removed: frozenset[str] = frozenset()
        self._fetching: asyncio.Task[None] | None = None
        self._fetched_at = self._not_before = float("-inf")

    async def find(self, kid: str) -> jwt.PyJWK | None:
        """Return the key with this id, or None. Raises `Unavailable` if the last fetch was too long ago."""
        if key := self._usable().get(kid):
            return key
        if self._fetching or self._clock() >= self._not_before:
            await self.refresh()
        if kid in self._removed:
            return None
        if not self._usable():
            raise Unavailable("Tokens cannot be verified: the auth service is not responding.")
        return self._usable().get(kid)

    async def refresh(self) -> None:
        """Fetch the keys now. Concurrent callers share one fetch. If it fails, the old keys stay for a while."""
        if self._fetching is None:
            self._not_before = self._clock() + COOLDOWN_SECONDS
            self._fetching = asyncio.create_task(self._load())
        await asyncio.shield(self._fetching)

    def _usable(self) -> Mapping[str, jwt.PyJWK]:
        return self._keys if self._age() <= self._max_stale_seconds else {}

    def _age(self) -> float:
        return self._clock() - self._fetched_at

    async def _load(self) -> None:
        asked_at = self._clock()
        try:
            document, removed = await asyncio.gather(self._fetch(), self._fetch_removed(), return_exceptions=True)
            if isinstance(removed, frozenset):
                self._removed |= removed
            if isinstance(document, BaseException):
                raise document
            self._keys, self._fetched_at = load_keys(document), asked_at
        except (aiohttp.ClientError, TimeoutError, ValueError, RecursionError) as error:
            log.warning("could not fetch the signing keys, keeping %d: %r", len(self._keys), error)
        finally:
            self._keys = {kid: key for kid, key in self._keys.items() if kid not in self._removed}
            self._fetching = None

    async def missing(self) -> str | None:
        """Require that the keys have been fetched once (a `ReadyCheck`)."""
        return None if self._fetched_at > float("-inf") else "the signing keys have not been fetched yet"

    async def kept_fresh(self, _: web.Application) -> AsyncIterator[None]:
        """Fetch at start and every *refresh_seconds*, in the background (for `cleanup_ctx`)."""
        async with repeating(self._refresh_regularly):
            yield

    async def _refresh_regularly(self) -> float:
        await self.refresh()
        if not self._keys:
            return RETRY_SECONDS
        failed = self._age() >= min(self._refresh_seconds, RETRY_STALE_SECONDS)
        return min(self._refresh_seconds, RETRY_STALE_SECONDS) if failed else self._refresh_seconds
