"""What logged-in users see of faults, in full numbers (`make stress`). Drills: tests/drills/sessions/faults.py."""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Literal

import pytest

from loadtest.cluster.local import LocalCluster
from services.app.strategy import Capability
from tests.drills.sessions.crowd import Crowd
from tests.drills.sessions.faults import kill_redis, kill_replica, refusal_times, restart_replicas, stop_redis
from tests.stress.conftest import Progress, Say
from tests.support.clients.strategy import http_session
from tests.support.strategies import INFOS

pytestmark = [pytest.mark.stress, pytest.mark.timeout(1200)]

PEOPLE = 4  # of each strategy
TIMES = {"kill_replica": 20, "restart_replicas": 10, "kill_redis": 10, "stop_redis": 10}
HANGS = 20
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
