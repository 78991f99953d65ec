"""What breaks when a replica or Redis is killed, stopped gracefully, or hangs.

The drills are in tests/drills/sessions/faults.py. They record every answer, and the history checks them afterwards
(tests/support/history.py).
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import aiohttp
import pytest

from loadtest.cluster.local import LocalCluster
from services.app.strategy import Kind
from tests.drills.sessions.crowd import Crowd
from tests.drills.sessions.faults import (
    fill_redis,
    hang_replica,
    kill_redis,
    kill_replica,
    restart_replicas,
    stop_redis,
)
from tests.drills.sessions.redis_cuts import CUTS, cut_connections
from tests.support.clients.strategy import http_session
from tests.support.strategies import INFOS

pytestmark = pytest.mark.e2e
PEOPLE = 6  # of each strategy


@pytest.fixture
async def crowd(cluster: LocalCluster) -> AsyncIterator[Crowd]:
    """People of every strategy that has a login; they are logged in."""
    async with http_session() as http:
        crowd = Crowd(http, cluster, [info for info in INFOS if info.login])
        await crowd.log_in(PEOPLE)
        yield crowd


def faulty(seen: Counter[str]) -> list[str]:
    return [what for what in seen if what.startswith("FAULT")]


async def test_a_kill_loses_only_what_the_replica_alone_knew(crowd: Crowd) -> None:
    seen = await kill_replica(crowd)
    assert faulty(seen) == []
    assert {group.name for group in crowd.groups if seen[f"{group.name}: lost"]} == {
        group.name for group in crowd.groups if not group.shared
    }


async def test_a_graceful_stop_of_every_replica_fails_no_request(crowd: Crowd) -> None:
    seen = await restart_replicas(crowd)
    assert faulty(seen) == []


async def test_a_killed_redis_is_503_and_never_a_logout(crowd: Crowd) -> None:
    """S4 too: what was logged out before stays logged out when Redis restarts from its file."""
    seen = await kill_redis(crowd)
    assert faulty(seen) == []
    assert all(seen[f"{group.name}: page 503"] for group in crowd.groups if group.needs_redis), "control: it was away"


async def test_a_hanging_redis_is_503_and_loses_nothing(crowd: Crowd) -> None:
    seen = await stop_redis(crowd)
    assert faulty(seen) == []
    assert all(seen[f"{group.name}: page 503"] for group in crowd.groups if group.needs_redis), "control: it hung"


async def test_lost_redis_connections_fail_only_the_writes_in_flight(crowd: Crowd) -> None:
    seen = await cut_connections(crowd)
    assert faulty(seen) == []
    assert seen["connections cut"] >= CUTS, "control: there were connections to cut"


async def test_a_hanging_replica_leaves_the_rotation(crowd: Crowd) -> None:
    seen, hang = await hang_replica(crowd, 2.0)
    assert faulty(seen) == []
    assert hang.later > 100, "control: others were asked meanwhile"
    assert hang.waited < hang.later // 10


async def test_a_full_redis_refuses_new_logins_only(crowd: Crowd) -> None:
    seen = await fill_redis(crowd, 0.5)
    assert faulty(seen) == []
    for group in crowd.groups:
        refused = group.needs_redis or group.site.info.kind is Kind.TOKEN
        assert seen[f"{group.name}: login while full {503 if refused else 200}"] == 1


async def test_a_draining_replica_says_so(cluster: LocalCluster) -> None:
    port = cluster.topology.app_ports()[0]
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as direct:
        assert (await direct.get("/readyz")).status == 200  # the connection stays open and is used again
        await asyncio.to_thread(cluster.signal, "app-1", "TERM")
        async with asyncio.timeout(5):
            while (answer := await direct.get("/readyz")).status == 200:
                pass
        assert (answer.status, answer.headers["Connection"]) == (503, "close")
    await asyncio.to_thread(cluster.kill, "app-1")  # it would wait until nginx closes its idle connections
    await asyncio.to_thread(cluster.wait_ready)
