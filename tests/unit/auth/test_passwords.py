"""Password hashing: its cost, its limits, and that no password is cut off."""

import asyncio
import os
import sys
import threading
from collections.abc import Iterator
from typing import Literal

import pytest
from argon2 import PasswordHasher, Type, extract_parameters

from services.auth.accounts.passwords import NICENESS, Passwords, owasp_hasher
from services.auth.accounts.precis import MAX_LENGTH
from services.auth.accounts.turns import Asker
from services.common.http.problems import TooManyRequests, Unavailable
from tests.support.servers.auth import GatedHasher, cheap_hasher

ANN, BOB = Asker("203.0.113.7", "ann"), Asker("203.0.113.8", "bob")
EVE = Asker("203.0.113.9", "eve")


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    passwords = Passwords(cheap_hasher(), threads=2, queue=8)
    yield passwords
    passwords.close()


def test_t10_the_parameters_are_those_that_owasp_recommends() -> None:
    parameters = extract_parameters(owasp_hasher().hash("any password"))
    assert parameters.type is Type.ID
    assert (parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (19 * 1024, 2, 1)


async def test_only_the_right_password_matches(passwords: Passwords) -> None:
    stored = await passwords.hash(ANN, "correct horse")
    assert await passwords.matches(ANN, stored, "correct horse")
    assert not await passwords.matches(ANN, stored, "correct horsf")


async def test_t11_no_character_is_cut_off(passwords: Passwords) -> None:
    stored = await passwords.hash(ANN, "é" * MAX_LENGTH)
    assert not await passwords.matches(ANN, stored, "é" * (MAX_LENGTH - 1))
    assert not await passwords.matches(ANN, stored, "é" * (MAX_LENGTH - 1) + "e")


async def test_t14_an_unknown_user_costs_a_verification_with_the_same_parameters() -> None:
    verified: list[str] = []

    class Recording(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002  # the base's name
            verified.append(str(hash))
            return super().verify(hash, password)

    passwords = Passwords(Recording(memory_cost=16, time_cost=1, parallelism=1), threads=1, queue=1)
    assert not await passwords.matches(ANN, None, "some password")
    passwords.close()
    assert [extract_parameters(each).memory_cost for each in verified] == [16]


async def test_t10_when_the_queue_is_full_the_next_call_is_told_to_retry_later() -> None:
    hasher = GatedHasher()
    passwords = Passwords(hasher, threads=1, queue=2)
    hasher.gate.clear()
    accepted = [asyncio.ensure_future(passwords.hash(asker, "some password")) for asker in (ANN, ANN, BOB)]
    await asyncio.wait(accepted, timeout=0)  # each gets as far as the pool
    for asker, refused in ((ANN, TooManyRequests), (EVE, Unavailable)):
        with pytest.raises(refused) as refusal:
            await passwords.hash(asker, "some password")
        assert refusal.value.headers == {"Retry-After": "1"}
    hasher.gate.set()
    assert len(await asyncio.gather(*accepted)) == 3
    assert await passwords.hash(ANN, "some password")  # the places are free again
    passwords.close()


async def test_t10_a_caller_that_disconnects_keeps_its_place_until_its_hash_is_done() -> None:
    hasher = GatedHasher()
    passwords = Passwords(hasher, threads=1, queue=0)
    hasher.gate.clear()
    gone = asyncio.ensure_future(passwords.hash(ANN, "some password"))
    await asyncio.wait([gone], timeout=0.05)
    gone.cancel()
    await asyncio.wait([gone])
    with pytest.raises(Unavailable):
        await passwords.hash(ANN, "some password")
    hasher.gate.set()
    passwords.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority of single threads")
async def test_t10_hashing_threads_yield_to_the_event_loop() -> None:
    priorities: list[int] = []

    class Noting(PasswordHasher):
        def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
            priorities.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
            return super().hash(password, salt=salt)

    ours = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    passwords = Passwords(Noting(memory_cost=8, time_cost=1, parallelism=1), threads=1, queue=1)
    await passwords.hash(ANN, "some password")
    passwords.close()
    assert priorities[0] == ours  # the one that is made at the start, by this thread
    assert priorities[1] == NICENESS > ours
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == ours
