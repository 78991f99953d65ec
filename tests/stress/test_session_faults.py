"""What logged-in users see of faults, in full numbers (`make stress`). Drills: tests/drills/sessions/faults.py."""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Literal

import pytest

from loadtest.cluster.local import LocalCluster
from services.app.strategy import Capability, Kind
from tests.drills.overload import overload
from tests.drills.sessions.crowd import Crowd
from tests.drills.sessions.faults import (
    fill_redis,
    hang_replica,
    kill_redis,
    kill_replica,
    refusal_times,
    restart_replicas,
    stop_redis,
)
from tests.stress.conftest import Progress, Say
from tests.support.clients.strategy import http_session
from tests.support.strategies import INFOS

pytestmark = [pytest.mark.stress, pytest.mark.timeout(1200)]

PEOPLE = 4  # of each strategy
TIMES = {"kill_replica": 20, "restart_replicas": 10, "kill_redis": 10, "stop_redis": 10}
HANGS = 20
HANG_SECONDS, FULL_SECONDS, OVERLOAD_SECONDS = 30.0, 5.0, 60.0
# Every 5 s (3 s of waiting and 2 s of fail_timeout), each of the two upstreams tries the replica with one request;
# those that were already waiting when it began to wait are counted, too.
PROBES = 2 * 8
PROMISED_SECONDS = 0.3
IN_REDIS = [info for info in INFOS if {Capability.ATOMIC, Capability.ANY_REPLICA} <= info.capabilities]


@pytest.mark.parametrize(
    "drill", [kill_replica, restart_replicas, kill_redis, stop_redis], ids=lambda one: one.__name__
)
async def test_s4_s16_no_answer_contradicts_the_history(
    cluster: LocalCluster, drill: Callable[[Crowd], Awaitable[Counter[str]]], progress: Progress, say: Say
) -> None:
    """With new people each time: no false logout, no revived login, no write lost or applied twice."""
    seen: Counter[str] = Counter()
    recovered: list[float] = []
    times = TIMES[drill.__name__]
    told = progress(times)
    for number in range(times):
        async with http_session() as http:
            crowd = Crowd(http, cluster, [info for info in INFOS if info.login])
            await crowd.log_in(PEOPLE)
            seen += await drill(crowd)
            recovered += crowd.recovered
        told(number + 1)
    say(str(dict(seen)))
    if recovered:
        say(f"until all strategies served again: {max(recovered):.2f} s at most")
    assert [what for what in seen if what.startswith("FAULT")] == []


async def test_a_hanging_replica_leaves_the_rotation_and_slows_nobody_down(cluster: LocalCluster, say: Say) -> None:
    async with http_session() as http:
        crowd = Crowd(http, cluster, [info for info in INFOS if info.login])
        await crowd.log_in(PEOPLE)
        seen, hang = await hang_replica(crowd, HANG_SECONDS)
    say(f"{dict(seen)}")
    say(f"from 3 s after the hang, {hang.waited} of {hang.later} requests waited for it; ")
    say(f"p99 {1000 * hang.p99_before:.0f} ms before the hang, {1000 * hang.p99_later:.0f} ms from 3 s after it")
    assert [what for what in seen if what.startswith("FAULT")] == []
    assert hang.waited <= PROBES
    assert hang.p99_later <= 2 * hang.p99_before


async def test_a_full_redis_refuses_logins_and_keeps_what_it_has(cluster: LocalCluster, say: Say) -> None:
    async with http_session() as http:
        crowd = Crowd(http, cluster, [info for info in INFOS if info.login])
        await crowd.log_in(PEOPLE)
        seen = await fill_redis(crowd, FULL_SECONDS)
    say(str(dict(seen)))
    assert [what for what in seen if what.startswith("FAULT")] == []
    for group in crowd.groups:
        wanted = 503 if group.needs_redis or group.site.info.kind is Kind.TOKEN else 200
        assert seen[f"{group.name}: login while full {wanted}"] == 1


@pytest.mark.parametrize("strategy", ["redis", "jwt"])
async def test_twice_the_load_is_refused_in_part_and_leaves_nothing_behind(
    cluster: LocalCluster, strategy: str, say: Say
) -> None:
    seen = await overload(cluster, strategy, OVERLOAD_SECONDS)
    say(f"{seen.capacity:.0f} requests/s are answered, {seen.offered:.0f} were offered; ")
    say(f"{seen.unsent} found no free connection, and the others got {dict(seen.during)}")
    back = "never" if seen.recovered is None else f"within {seen.recovered:.0f} s"
    say(f"p99 {1000 * seen.p99_before:.0f} ms before, {1000 * seen.p99_during:.0f} ms during; normal again {back}")
    assert seen.unsent > 0, "control: it was too much"
    assert set(seen.during) <= {200, 429, 503}
    assert seen.recovered is not None
    assert seen.recovered <= 10


@pytest.mark.parametrize("fault", ["STOP", "KILL"])
async def test_without_redis_the_answer_is_503_within_300_ms(
    cluster: LocalCluster, fault: Literal["STOP", "KILL"], progress: Progress, say: Say
) -> None:
    answers = await refusal_times(cluster, IN_REDIS, fault, HANGS, progress(HANGS))
    took = sorted(answer.ended - answer.began for answer in answers)
    shares = {"p50": 0.5, "p99": 0.99, "slowest": 1.0}
    figures = {name: took[min(len(took) - 1, int(share * len(took)))] for name, share in shares.items()}
    say(f"{len(took)} answers of 503: " + ", ".join(f"{name} {1000 * value:.0f} ms" for name, value in figures.items()))
    assert all(answer.retry_after >= 1 for answer in answers)
    assert figures["slowest"] <= PROMISED_SECONDS
