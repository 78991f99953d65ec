"""Families in a real Valkey: written only if unchanged since they were read, and expired in time."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from services.auth.logins.family_store import FamilyStore
from services.auth.logins.refresh_rotation import Family, Issued, Terms
from services.common.devices import LoginLimit
from services.common.redis_client import open_redis
from tests.support.servers.valkey import Valkey

pytest_plugins = ("tests.support.servers.auth_fixtures",)

NOW = 1000.0
FAMILY = Family("a family", "user", "client", 2000, (Issued(Terms(1, NOW + 0.25, 1060), "digest"),))
NEXT = replace(FAMILY, tokens=(*FAMILY.tokens, Issued(Terms(2, NOW + 30, 1090), "next digest")))


@pytest.fixture
async def redis(auth_valkey: Valkey) -> AsyncIterator[Redis]:
    async with open_redis(auth_valkey.url, auth_valkey.password) as redis:
        yield redis
        await redis.flushdb()


@pytest.fixture
def families(redis: Redis) -> FamilyStore:
    return FamilyStore(redis, token_seconds=310, session_seconds=3600, limit=LoginLimit(50, "end-oldest"))


async def test_a_family_is_read_as_it_was_written(families: FamilyStore) -> None:
    await families.create(FAMILY, b"", NOW)
    stored = await families.load(FAMILY.id)
    assert stored is not None
    assert stored.family == FAMILY


async def test_t4_of_two_writers_that_read_the_same_one_wins(families: FamilyStore) -> None:
    await families.create(FAMILY, b"", NOW)
    stored = await families.load(FAMILY.id)
    assert stored is not None
    assert await families.replace(stored, NEXT, NOW)
    assert not await families.replace(stored, replace(NEXT, ends_at=3000), NOW)
    now_stored = await families.load(FAMILY.id)
    assert now_stored is not None
    assert now_stored.family == NEXT


async def test_t5_a_write_in_flight_does_not_revive_an_ended_family(families: FamilyStore) -> None:
    await families.create(FAMILY, b"", NOW)
    stored = await families.load(FAMILY.id)
    assert stored is not None
    await families.end(FAMILY.id, NOW)
    assert not await families.replace(stored, NEXT, NOW)
    assert await families.load(FAMILY.id) is None


async def test_t6_a_family_is_gone_when_its_token_expires(families: FamilyStore, redis: Redis) -> None:
    await families.create(FAMILY, b"", NOW)
    assert 59 <= await redis.ttl("auth:family:a family") <= 60
    stored = await families.load(FAMILY.id)
    assert stored is not None
    await families.replace(stored, NEXT, NOW)
    assert 89 <= await redis.ttl("auth:family:a family") <= 90
