"""Password hashing with Argon2id in a pool of threads, which is shared fairly and refuses work when it is full."""

import asyncio
import os
import secrets
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from services.auth.accounts.turns import Asker, Turns

NICENESS = 10  # of the hashing threads on Linux


def owasp_hasher() -> PasswordHasher:
    """Return Argon2id with the minimum cost that OWASP recommends: 19 MiB, 2 passes, 1 lane."""
    return PasswordHasher(memory_cost=19 * 1024, time_cost=2, parallelism=1)


def _yield_to_the_event_loop() -> None:
    """Lower this thread's priority, so that a flood of logins does not slow down everything else (T10).

    Only Linux has priorities for single threads. Elsewhere, only the size of the pool limits the load.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


P = ParamSpec("P")
R = TypeVar("R")


class Passwords:
    """Hashes and checks passwords in *threads* threads. At most *queue* checks may wait, and as many registrations.

    The threads run in parallel, because Argon2 releases the GIL. If a caller is cancelled while its password is hashed,
    its thread stays busy until the hash is done.
    """

    def __init__(self, hasher: PasswordHasher, *, threads: int, queue: int) -> None:
        self._hasher = hasher
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="argon2", initializer=_yield_to_the_event_loop)
        self._turns = Turns(threads, queue)
        self._nobodys_hash = hasher.hash(secrets.token_urlsafe())

    def close(self) -> None:
        """Wait until running calls have finished. No calls may be waiting."""
        self._threads.shutdown()

    async def hash(self, asker: Asker, password: str) -> str:
        """Return the hash to store, salt and parameters included."""
        return await self._run(asker, self._hasher.hash, password)

    async def matches(self, asker: Asker, password_hash: str | None, password: str) -> bool:
        """Return whether *password* is right. A hash of None (no such account) costs as much as a wrong password."""
        return await self._run(asker, self._verify, password_hash or self._nobodys_hash, password)

    def is_outdated(self, password_hash: str) -> bool:
        """Return whether *password_hash* was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(password_hash)

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except VerifyMismatchError:
            return False

    async def _run(self, asker: Asker, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        await self._turns.wait(asker)
        running = asyncio.wrap_future(self._threads.submit(call, *args, **kwargs))
        running.add_done_callback(lambda _: self._turns.done())
        return await asyncio.shield(running)  # a thread cannot be cancelled, so its turn ends when it does
