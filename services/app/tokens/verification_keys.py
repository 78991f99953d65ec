"""The auth service's public keys: fetched in the background, kept for a while when it is away (RFC 7517).

A key is known long before its first token, because the auth service publishes it first; a key that the auth service
removed is dead here with the next refresh. When the key set cannot be fetched, the last one stays good, but for keys
that the second way (`RemovedKeys`) tells of, and for a bounded time: what we cannot ask about is not good for ever.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import aiohttp
import jwt
from aiohttp import web

from services.app.tokens.jwks import load_keys
from services.common.http.problems import Unavailable

log = logging.getLogger(__name__)

COOLDOWN_SECONDS = 5.0  # at most one fetch in so long, however many unknown key ids are presented
REFRESH_SECONDS = 30.0  # a key that the auth service withdrew is dead after so long
MAX_STALE_SECONDS = 900.0  # above the life of an access token: an honest one expires first, a thief's need not
RETRY_SECONDS = 0.5  # until the first keys are there
RETRY_STALE_SECONDS = 5.0  # after a failure, when there are keys

Fetch = Callable[[], Awaitable[bytes]]
FetchRemoved = Callable[[], Awaitable[frozenset[str]]]
"""Returns the ids of all keys that were removed in an emergency, as far as it can be known right now."""


async def none_removed() -> frozenset[str]:
    """Know of no second way."""
    return frozenset()


class VerificationKeys:
    """The keys that tokens may be signed with. *fetch* returns the JWK Set's text, *clock* monotonic seconds."""

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
        """Return the key with this id, or None if there is none; `Unavailable` if no key was fetched for too long."""
        if key := self._usable().get(kid):
            return key
        if self._fetching or self._clock() >= self._not_before:
            await self.refresh()
        if kid in self._removed:
            return None
        if not self._usable():
            raise Unavailable("No signing keys: the auth service does not answer.")
        return self._usable().get(kid)

    async def refresh(self) -> None:
        """Fetch the keys now; those who ask meanwhile share one fetch. On failure the old keys stay, for a while."""
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
            log.warning("signing keys not fetched, %d kept: %r", len(self._keys), error)
        finally:
            self._keys = {kid: key for kid, key in self._keys.items() if kid not in self._removed}
            self._fetching = None

    async def missing(self) -> str | None:
        """Return what is missing before tokens can be verified, if anything (a `ReadyCheck`)."""
        return None if self._fetched_at > float("-inf") else "no signing keys yet"

    async def kept_fresh(self, _: web.Application) -> AsyncIterator[None]:
        """Fetch at start and every *refresh_seconds*, in the background (for `cleanup_ctx`)."""
        task = asyncio.create_task(self._refresh_for_ever())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _refresh_for_ever(self) -> None:
        while True:
            await self.refresh()
            await asyncio.sleep(self._pause())

    def _pause(self) -> float:
        if not self._keys:
            return RETRY_SECONDS
        failed = self._age() >= min(self._refresh_seconds, RETRY_STALE_SECONDS)
        return min(self._refresh_seconds, RETRY_STALE_SECONDS) if failed else self._refresh_seconds
