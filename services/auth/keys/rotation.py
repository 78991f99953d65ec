"""Keeps the keys in memory up to date with the database, and replaces them: as planned, or in an emergency."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from services.auth.clock import Clock
from services.auth.keys.key import RSA_BITS, SigningKey, UnfitKeyError
from services.auth.keys.life import Create, KeyLife, KeyState, Policy, Promote, rotation, states, succession
from services.auth.keys.ring import StoredKey, StoredKeyRing
from services.auth.keys.store import KeyStore, WrongEncryptionSecretError
from services.common.background import repeating
from services.common.http.problems import Problem, Unavailable
from services.common.removed_keys import RemovedKeys
from services.common.settings import Algorithm

log = logging.getLogger(__name__)

ATTEMPTS = 5  # the loser of a race finds it decided at the next attempt
BUSY = "Too many processes are changing keys at once. Please try again."


class KeyRotation:
    """Owns the key ring of a process. New keys are for *algorithm*; RSA keys have *rsa_bits*.

    After `Unavailable`, any call may be repeated.
    """

    def __init__(
        self,
        store: KeyStore,
        removed: RemovedKeys,
        algorithm: Algorithm,
        policy: Policy,
        clock: Clock,
        rsa_bits: int = RSA_BITS,
    ) -> None:
        self._store = store
        self._removed = removed
        self._algorithm = algorithm
        self._rsa_bits = rsa_bits
        self._policy = policy
        self._clock = clock
        self.ring = StoredKeyRing(policy, clock)

    async def start(self) -> None:
        """Load the keys, and plan a rotation if the newest one is for another algorithm or of another size.

        Raises `WrongEncryptionSecretError` or `UnfitKeyError` if they cannot be used.
        """
        for _ in range(ATTEMPTS):
            stored = await self.reload()
            newest = max((key for key in stored if key.key), key=lambda key: (key.life.active_from, key.life.serial))
            if newest.key is None or newest.key.is_for(self._algorithm, self._rsa_bits):
                return
            await self._create(stored, Create(self._clock() + self._policy.publish))
        raise Unavailable(BUSY)

    async def reload(self) -> list[StoredKey]:
        """Read the keys, make sure that one of them signs, and return them."""
        for _ in range(ATTEMPTS):
            stored = await self._store.load()
            match succession(_lives(stored), self._clock()):
                case None:
                    self.ring.replace(stored)
                    return stored
                case Promote(kid=kid, active_from=active_from):
                    await self._store.promote(kid, active_from)
                case Create() as create:
                    await self._create(stored, create)
        raise Unavailable(BUSY)

    async def rotate(self) -> KeyLife:
        """Plan a rotation and return the next key. If one is planned already, nothing changes."""
        for _ in range(ATTEMPTS):
            stored = await self.reload()
            match rotation(_lives(stored), self._clock(), self._policy):
                case KeyLife() as pending:
                    return pending
                case create:
                    await self._forget_retired(stored)
                    await self._create(stored, create)
        raise Unavailable(BUSY)

    async def remove(self, kid: str) -> bool:
        """Make all tokens of a key invalid. If it was the signing key, another one takes over at once.

        Returns False if there is no such key. A removal is safe to repeat, and repeating completes an interrupted one.
        """
        if not await self._store.remove(kid, self._clock()):
            return False
        log.warning("signing key %s was removed", kid)
        await self.reload()
        await self._removed.add(kid)
        return True

    def polling(self, seconds: float) -> AbstractAsyncContextManager[None]:
        """Read the keys again every *seconds*, in the background."""

        async def poll() -> float:
            try:
                await self.reload()
            except (Problem, WrongEncryptionSecretError, UnfitKeyError) as error:
                log.warning("could not read the signing keys, keeping the old ones: %r", error)
            return seconds

        return repeating(poll, first_after=seconds)

    async def _create(self, stored: Sequence[StoredKey], create: Create) -> None:
        key = await asyncio.to_thread(SigningKey.generate, self._algorithm, self._rsa_bits)
        serial = 1 + max((each.life.serial for each in stored), default=0)
        if await self._store.add(serial, key, created_at=self._clock(), active_from=create.active_from):
            log.info("signing key %s created, to be used from %.0f on", key.kid, create.active_from)

    async def _forget_retired(self, stored: Sequence[StoredKey]) -> None:
        state = states(_lives(stored), self._clock(), self._policy)
        await self._store.forget([kid for kid, its in state.items() if its is KeyState.RETIRED])


def _lives(stored: Sequence[StoredKey]) -> list[KeyLife]:
    return [each.life for each in stored]
