"""Keeps the keys in memory in step with the database, and changes them: planned, or in an emergency."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence

from services.auth.clock import Clock
from services.auth.keys.key import SigningKey, UnfitKeyError
from services.auth.keys.life import Create, KeyLife, KeyState, Policy, Promote, rotation, states, succession
from services.auth.keys.ring import StoredKey, StoredKeyRing
from services.auth.keys.store import KeyStore, WrongEncryptionSecretError
from services.common.http.problems import Problem, Unavailable
from services.common.removed_keys import RemovedKeys
from services.common.settings import Algorithm

log = logging.getLogger(__name__)

ATTEMPTS = 5  # whoever loses a race finds it decided at the next attempt


class KeyRotation:
    """Owns the key ring of a process. New keys are for *algorithm*. Calls raise `Unavailable`, and may be repeated."""

    def __init__(
        self, store: KeyStore, removed: RemovedKeys, algorithm: Algorithm, policy: Policy, clock: Clock
    ) -> None:
        self._store = store
        self._removed = removed
        self._algorithm = algorithm
        self._policy = policy
        self._clock = clock
        self.ring = StoredKeyRing(policy, clock)

    async def start(self) -> None:
        """Load the keys; plan a rotation if the newest one is for another algorithm.

        `WrongEncryptionSecretError` or `UnfitKeyError` if they cannot be used.
        """
        for _ in range(ATTEMPTS):
            stored = await self.reload()
            newest = max((key for key in stored if key.key), key=lambda key: (key.life.active_from, key.life.serial))
            if newest.key is None or newest.key.algorithm == self._algorithm:
                return
            await self._create(stored, Create(self._clock() + self._policy.publish))
        raise Unavailable("Too many processes change keys at once.")

    async def reload(self) -> list[StoredKey]:
        """Read the keys and return them, after seeing to it that one signs."""
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
        raise Unavailable("Too many processes change keys at once.")

    async def rotate(self) -> KeyLife:
        """Plan that another key signs, and return it. If that is planned already, nothing changes."""
        for _ in range(ATTEMPTS):
            stored = await self.reload()
            match rotation(_lives(stored), self._clock(), self._policy):
                case KeyLife() as pending:
                    return pending
                case create:
                    await self._forget_retired(stored)
                    await self._create(stored, create)
        raise Unavailable("Too many processes change keys at once.")

    async def remove(self, kid: str) -> bool:
        """Make the tokens of a key invalid, whenever they expire; if it was the signer, another one signs at once.

        Returns False if there is no such key. Repeating it is harmless, and completes it if it was interrupted.
        """
        if not await self._store.remove(kid, self._clock()):
            return False
        log.warning("signing key %s is removed", kid)
        await self.reload()
        await self._removed.add(kid)
        return True

    @contextlib.asynccontextmanager
    async def polling(self, seconds: float) -> AsyncIterator[None]:
        """Read the keys again every few seconds, in the background."""
        task = asyncio.create_task(self._poll(seconds))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _poll(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.reload()
            except (Problem, WrongEncryptionSecretError, UnfitKeyError) as error:
                log.warning("signing keys not read, the old ones kept: %r", error)
            except Exception:
                log.exception("signing keys not read, the old ones kept")

    async def _create(self, stored: Sequence[StoredKey], create: Create) -> None:
        key = await asyncio.to_thread(SigningKey.generate, self._algorithm)
        serial = 1 + max((each.life.serial for each in stored), default=0)
        if await self._store.add(serial, key, created_at=self._clock(), active_from=create.active_from):
            log.info("signing key %s made, in use from %.0f on", key.kid, create.active_from)

    async def _forget_retired(self, stored: Sequence[StoredKey]) -> None:
        state = states(_lives(stored), self._clock(), self._policy)
        await self._store.forget([kid for kid, its in state.items() if its is KeyState.RETIRED])


def _lives(stored: Sequence[StoredKey]) -> list[KeyLife]:
    return [each.life for each in stored]
