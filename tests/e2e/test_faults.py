"""What breaks when a replica goes: killed without warning, or stopped with grace."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import count

import aiohttp
import pytest

from loadtest.cluster.local import LocalCluster
from tests.e2e.conftest import Browser, Browsers
from tests.e2e.test_contract import logged_in

pytestmark = pytest.mark.e2e
PEOPLE = 12


async def visit(browsers: list[Browser], path: str, until: asyncio.Event, send: str = "get") -> Counter[int]:
    """Let every browser ask again and again until the event is set, then once more; count the statuses."""
    statuses: Counter[int] = Counter()

    async def one(browser: Browser) -> None:
        for _ in count():
            last = until.is_set()
            statuses[(await getattr(browser, send)(path)).status] += 1
            if last:
                return

    await asyncio.gather(*map(one, browsers))
    return statuses


async def during(visiting: Awaitable[Counter[int]], over: asyncio.Event, fault: Callable[[], object]) -> Counter[int]:
    """Run *fault* and wait until the cluster has recovered while the visits go on."""
    running = asyncio.ensure_future(visiting)
    try:
        await asyncio.to_thread(fault)
    finally:
        over.set()
    return await running


@pytest.mark.parametrize("name", ["redis", "jwt", "memory"])
async def test_kill_loses_only_what_the_replica_alone_knew(
    cluster: LocalCluster, browsers: Browsers, strategies: list[dict[str, object]], name: str
) -> None:
    people = [await logged_in(browsers, strategies, name) for _ in range(PEOPLE)]
    homes = [(await person.get(f"/{name}/mypage")).headers["X-Replica"] for person in people]
    victim, over = homes[0], asyncio.Event()

    def kill() -> None:
        cluster.kill(victim)
        cluster.wait_ready()

    statuses = await during(visit(people, f"/{name}/mypage", over), over, kill)
    assert set(statuses) <= {200, 401}, "nobody gets a 5xx on a GET"
    lost = {number for number, person in enumerate(people) if (await person.get(f"/{name}/mypage")).status == 401}
    expected = {number for number, home in enumerate(homes) if home == victim} if name == "memory" else set()
    assert lost == expected


async def test_a_graceful_stop_of_every_replica_fails_no_request(
    cluster: LocalCluster, browsers: Browsers, strategies: list[dict[str, object]]
) -> None:
    people = [await logged_in(browsers, strategies, "redis") for _ in range(PEOPLE)]
    over = asyncio.Event()

    def rolling_restart() -> None:
        for replica in cluster.replicas():
            cluster.restart(replica)

    gets, posts = people[::2], people[1::2]
    reading = asyncio.ensure_future(visit(gets, "/redis/mypage", over))
    writing = await during(visit(posts, "/redis/visits", over, "post"), over, rolling_restart)
    assert set(await reading) == {200}
    assert set(writing) == {200}
    finals = [(await (await person.post("/redis/visits")).json())["visits"] for person in posts]
    assert sum(finals) == writing[200] + len(posts), "no write was lost and none applied twice"


async def test_a_draining_replica_says_so(cluster: LocalCluster) -> None:
    port = cluster.topology.app_ports()[0]
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as direct:
        assert (await direct.get("/readyz")).status == 200  # the connection stays open and is used again
        await asyncio.to_thread(cluster.signal, "app-1", "TERM")
        async with asyncio.timeout(5):
            while (answer := await direct.get("/readyz")).status == 200:
                pass
        assert (answer.status, answer.headers["Connection"]) == (503, "close")
    await asyncio.to_thread(cluster.wait_ready)
