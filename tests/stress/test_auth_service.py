"""The auth service's promises in full numbers (`make stress`). Drills: drills/auth_service.py; samples: tests/e2e."""

import asyncio
import time

import aiohttp
import pytest

from loadtest.cluster.local import LocalCluster
from tests.drills.auth_service import (
    answers_while_redis_hangs,
    auth_kills,
    login_flood,
    refresh_races,
    revoke_races,
    rotations_under_load,
)
from tests.stress.conftest import Progress, Say

pytestmark = [pytest.mark.stress, pytest.mark.timeout(1800)]

RACES = 1000
KILLS = 200
FLOOD_SECONDS = 20.0
ROTATIONS, ROTATION_SECONDS = 6, 5.0


async def test_t4_parallel_refreshes_are_one_lineage(cluster: LocalCluster, progress: Progress, say: Say) -> None:
    seen = await refresh_races(cluster, RACES, progress(RACES), ways=20)
    say(str(dict(seen)))
    assert seen == {"one lineage": RACES, "afterwards 200": 1}


async def test_t5_nothing_survives_a_revocation(cluster: LocalCluster, progress: Progress, say: Say) -> None:
    seen = await revoke_races(cluster, RACES, progress(RACES))
    say(str(dict(seen)))
    assert set(seen) == {"dead", "won"}
    assert seen["dead"] >= RACES
    assert seen["won"] > 0, "no refresh was ever faster: these were no races"


async def test_t4_a_refresh_that_a_crash_left_unanswered_can_be_repeated(
    cluster: LocalCluster, progress: Progress, say: Say
) -> None:
    seen = await auth_kills(cluster, KILLS, progress(KILLS))
    say(str(dict(seen)))
    assert seen.pop("hit") >= KILLS
    assert set(seen) == {"200"}


async def test_t10_healthz_answers_at_once_during_a_login_flood(cluster: LocalCluster, say: Say) -> None:
    flood = await login_flood(cluster, FLOOD_SECONDS)
    say(f"logins: {dict(flood.logins)}; /healthz: n={len(flood.health)}, p50 {flood.percentile(0.5):.1f} ms, ")
    say(f"p99 {flood.percentile(0.99):.1f} ms, slowest {flood.percentile(1):.1f} ms")
    assert flood.logins["429"] > 0, "whoever fills the queue is told so"
    assert set(flood.logins) <= {"200", "429", "503"}, "503: a slow machine made them wait too long"
    assert flood.percentile(0.99) < 100


async def test_j17_rotating_keys_under_load_refuses_nobody(
    rotating_cluster: LocalCluster, progress: Progress, say: Say
) -> None:
    async def pause() -> None:
        await asyncio.sleep(ROTATION_SECONDS)

    seen = await rotations_under_load(rotating_cluster, ROTATIONS, pause, progress(ROTATIONS))
    say(str(dict(seen)))
    assert seen["signers"] == 1 + ROTATIONS
    assert set(seen) == {"rotated", "signers", "my page 200", "refresh 200"}


async def test_without_redis_the_answer_comes_within_a_second(cluster: LocalCluster, say: Say) -> None:
    began = time.perf_counter()
    async with aiohttp.ClientSession() as http:
        answers = await answers_while_redis_hangs(cluster, http)
    slowest = max(answer.seconds for answer in answers.values())
    say(f"{ {name: f'{answer.status} in {1000 * answer.seconds:.0f} ms' for name, answer in answers.items()} }")
    assert slowest < 1
    assert time.perf_counter() - began < 30
