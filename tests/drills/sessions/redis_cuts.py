"""A drill in which Redis works, but its connections are closed again and again, as by a failover or a proxy."""

import asyncio
import time
from collections import Counter
from itertools import cycle, islice

import redis.asyncio

from tests.drills.sessions.crowd import Crowd
from tests.support.cluster import redis_of
from tests.support.history import Act, Operation, Span

CUTS = 16
AT_WORK_SECONDS = 0.1  # between two cuts
BACK_SECONDS = 5.0


async def cut_connections(crowd: Crowd) -> Counter[str]:
    """Close all connections to Redis from its side, `CUTS` times, while everybody is busy.

    No page fails, nor any visit that was not in flight at that moment; no visit is counted twice.
    """
    cuts: list[Span] = []

    async def cut_again_and_again() -> None:
        async with redis_of(crowd.cluster) as store:
            before = await _links(store)
            for cut in islice(cycle((_cut_by_type, _cut_by_id)), CUTS):
                began = time.monotonic()
                crowd.seen["connections cut"] += await cut(store)
                cuts.append((began, time.monotonic()))
                async with asyncio.timeout(BACK_SECONDS):
                    while await _links(store) < before:  # noqa: ASYNC110  # Redis tells nobody
                        await asyncio.sleep(0.01)
                await asyncio.sleep(AT_WORK_SECONDS)

    await crowd.while_busy(cut_again_and_again)
    for group in crowd.groups:
        crowd.judge(group, visits=(200, 503) if group.needs_redis else (200,))
        failed = [visit for visit in group.answers(Act.VISIT, crowd.since) if not visit.succeeded]
        crowd.seen.update(f"FAULT not in flight: {visit}" for visit in failed if not _in_flight(visit, cuts))
    return crowd.seen


def _in_flight(visit: Operation, cuts: list[Span]) -> bool:
    return any(visit.began <= ended and visit.ended >= began for began, ended in cuts)


async def _links(store: redis.asyncio.Redis) -> int:
    """Return how many connections look up sessions or follow revocations."""
    return sum(one["cmd"] in ("hget", "ping", "xread") for one in await store.client_list())


async def _cut_by_type(store: redis.asyncio.Redis) -> int:
    return sum([int(await store.client_kill_filter(_type=kind)) for kind in ("normal", "pubsub")])


async def _cut_by_id(store: redis.asyncio.Redis) -> int:
    own = str(await store.client_id())
    others = [one["id"] for one in await store.client_list() if one["id"] != own]
    return sum([int(await store.client_kill_filter(_id=other)) for other in others])
