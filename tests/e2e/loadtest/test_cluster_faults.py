"""What a cluster is asked to break, it breaks, says so, and puts right: on real processes."""

import asyncio
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus

import aiohttp
import psutil
import pytest

from loadtest.cluster import processes
from loadtest.cluster.faults import in_thread, killed, paused, restored, stopped
from loadtest.cluster.local import STATE, LocalCluster
from loadtest.cluster.protocol import ClusterError, FaultError
from loadtest.cluster.topology import Topology
from loadtest.load.client import Client, register, strategies_of

pytestmark = pytest.mark.e2e
FAR = 0.05  # seconds: below what replicas wait for Redis, well above what a page takes


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """One of its own: no other test's users notice what breaks."""
    with LocalCluster(Topology.from_environment().on_free_ports(), STATE / "test-faults") as started:
        yield started
    assert processes.leftovers(STATE / "test-faults") == []


def state(cluster: LocalCluster, name: str) -> set[str]:
    return {one.state for one in cluster.processes() if name in (one.name, one.tier)}


def pid(cluster: LocalCluster, name: str) -> int | None:
    return next(one.pid for one in cluster.processes() if one.name == name)


def serving(cluster: LocalCluster, asks: int = 24) -> set[str]:
    """Which replicas answer, by round robin."""
    seen = set()
    for _ in range(asks):
        with urllib.request.urlopen(f"{cluster.url_no_affinity}/anonymous/mypage") as answer:
            seen.add(answer.headers["X-Replica"])
    return seen


def status(url: str, seconds: float = 1) -> int | None:
    """None: no answer within *seconds*."""
    try:
        with urllib.request.urlopen(url, timeout=seconds) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def test_everything_is_alive_in_the_tiers_that_experiments_know(cluster: LocalCluster) -> None:
    assert {(one.name, one.tier) for one in cluster.processes()} == {
        ("redis", "redis"), ("auth-1", "auth"), ("loadbalancer", "loadbalancer"),
        ("app-1", "app"), ("app-2", "app"), ("app-3", "app"),
    }  # fmt: skip
    assert {one.state for one in cluster.processes()} == {"alive"}


@pytest.mark.parametrize("name", ["redis", "auth", "app-2", "loadbalancer"])
def test_what_is_killed_stays_dead_until_the_block_ends(cluster: LocalCluster, name: str) -> None:
    with killed(cluster, name):
        assert state(cluster, name) == {"dead"}
        with pytest.raises(FaultError, match="cannot be killed: it is dead"):
            cluster.kill(name)
    assert state(cluster, name) == {"alive"}


def test_what_is_killed_is_started_again_by_its_supervisor(cluster: LocalCluster) -> None:
    before = pid(cluster, "app-2")
    cluster.kill("app-2")
    assert before is not None
    assert not psutil.pid_exists(before)
    cluster.wait_ready()
    assert pid(cluster, "app-2") not in (before, None)


@pytest.mark.parametrize("name", ["redis", "auth-1", "app-1", "loadbalancer"])
def test_what_is_paused_does_nothing_until_the_block_ends(cluster: LocalCluster, name: str) -> None:
    before = pid(cluster, name)
    urls = {"app-1": cluster.replica_urls()["app-1"], "loadbalancer": cluster.url}
    with paused(cluster, name):
        assert state(cluster, name) == {"paused"}
        assert name not in urls or status(f"{urls[name]}/healthz", 0.2) is None
    assert state(cluster, name) == {"alive"}
    assert name not in urls or status(f"{urls[name]}/healthz", 5) == HTTPStatus.OK
    assert pid(cluster, name) == before


def test_what_is_stopped_had_the_time_to_drain(cluster: LocalCluster) -> None:
    with stopped(cluster, "app-3"):
        assert state(cluster, "app-3") == {"dead"}
        assert serving(cluster) == {"app-1", "app-2"}
    log = (cluster.directory / "logs/app-3.log").read_text()
    assert "closing with 0 connections open" in log
    cluster.pause("app-3")
    with pytest.raises(FaultError, match="app-3 cannot be stopped: it is paused"), restored(cluster):
        cluster.stop("app-3")
    assert state(cluster, "app-3") == {"alive"}


def test_more_and_fewer_replicas(cluster: LocalCluster) -> None:
    with restored(cluster):
        cluster.scale(5)
        assert cluster.replicas() == [f"app-{number}" for number in range(1, 6)]
        assert serving(cluster) == set(cluster.replicas()) == cluster.replica_urls().keys()
        cluster.scale(2)
        assert serving(cluster) == {"app-1", "app-2"} == set(cluster.replicas())
        assert state(cluster, "app") == {"alive"}
        with pytest.raises(ClusterError, match="0 replicas"):
            cluster.scale(0)
    assert serving(cluster) == {"app-1", "app-2", "app-3"}


def test_a_rolling_restart_restarts_every_replica(cluster: LocalCluster) -> None:
    before = {name: pid(cluster, name) for name in cluster.replicas()}
    cluster.rolling_restart()
    assert all(pid(cluster, name) not in (old, None) for name, old in before.items())
    assert serving(cluster) == {"app-1", "app-2", "app-3"}


def test_a_reload_renews_the_workers(cluster: LocalCluster) -> None:
    (nginx,) = (one.pid for one in cluster.processes() if one.name == "loadbalancer")
    before = set(psutil.Process(nginx).children())
    cluster.reload_load_balancer()
    assert before.isdisjoint(psutil.Process(nginx).children())
    assert pid(cluster, "loadbalancer") == nginx


def test_a_reload_lets_the_load_balancer_forget_failures(cluster: LocalCluster) -> None:
    def attempts() -> int:
        return (cluster.directory / "logs/loadbalancer.log").read_text().count("connect() failed")

    with killed(cluster, "app-3"):
        assert serving(cluster) == {"app-1", "app-2"}
        before = attempts()
        cluster.reload_load_balancer()
        assert serving(cluster) == {"app-1", "app-2"}
        assert attempts() > before, "app-3 was tried again"


def redis_seconds(cluster: LocalCluster) -> float:
    with cluster._redis.pinging() as ping:
        began = time.perf_counter()
        ping()
        return time.perf_counter() - began


def page_seconds(cluster: LocalCluster) -> float:
    """How long my page takes, once logged in to sessions in Redis."""

    async def measure() -> float:
        (strategy,) = (one for one in await strategies_of(cluster.url) if one.name == "redis")
        async with aiohttp.TCPConnector() as connector, Client(cluster.url, strategy, connector) as client:
            account = await register(client)
            async with asyncio.timeout(10):
                while (await client.login(account)).status == HTTPStatus.SERVICE_UNAVAILABLE:
                    pass  # until the replicas have connected again
                while True:
                    began = time.perf_counter()
                    answer = await client.mypage()
                    if answer.status != HTTPStatus.SERVICE_UNAVAILABLE:
                        assert answer.status == HTTPStatus.OK
                        return time.perf_counter() - began

    return asyncio.run(measure())


def test_redis_is_further_away_and_nobody_is_restarted(cluster: LocalCluster) -> None:
    before = {one.name: one.pid for one in cluster.processes()}
    with cluster.delay(FAR) as round_trip:
        assert min(round_trip, redis_seconds(cluster)) >= FAR
        assert {name: pid(cluster, name) for name in before} == before
        assert "proxy" in {use.tier for use in cluster.cpu().processes.values()}
        assert page_seconds(cluster) >= FAR, "replicas ask through the proxy"
    assert redis_seconds(cluster) < FAR
    cluster.wait_ready()
    assert page_seconds(cluster) < FAR
    assert {one.name: one.pid for one in cluster.processes()} == before


def test_auth_is_further_away(cluster: LocalCluster) -> None:
    def seconds() -> float:
        began = time.perf_counter()
        assert status(f"{cluster.url}/auth/jwks.json", 5) == HTTPStatus.OK
        return time.perf_counter() - began

    with cluster.delay(0.1, "auth") as round_trip:
        assert min(round_trip, seconds()) >= 0.1
    assert min(seconds() for _ in range(5)) < 0.1  # any: the machine may be busy
    with pytest.raises(ClusterError, match="loadbalancer cannot be delayed"), cluster.delay(0.1, "loadbalancer"):
        pass


def test_a_full_redis_refuses_what_is_new(cluster: LocalCluster) -> None:
    with cluster.fill(), pytest.raises(ClusterError, match="used memory"), cluster._redis._client() as client:
        client.set("one more", "x")
    with cluster._redis._client() as client:
        assert client.set("one more", "x", ex=1)


def test_memory_and_store_operations(cluster: LocalCluster) -> None:
    before = cluster.store_operations()["redis"].get("set", 0)
    with cluster._redis._client() as client:
        client.set("something", "x", ex=1)
    assert cluster.store_operations()["redis"]["set"] == before + 1
    assert "ping" not in cluster.store_operations()["redis"]
    memory = cluster.memory()
    assert {memory[name].tier for name in cluster.replicas()} == {"app"}
    assert all(1e6 < memory[name].bytes < 1e9 for name in ("redis", "auth-1", *cluster.replicas()))


@pytest.mark.parametrize("cancelled", ["while it is entered", "in the block"])
async def test_a_cancelled_fault_ends(cluster: LocalCluster, cancelled: str) -> None:
    """Ctrl-C cancels what an experiment is doing."""
    inside = asyncio.Event()

    async def experiment() -> None:
        async with in_thread(paused(cluster, "redis")):
            inside.set()
            await asyncio.Event().wait()

    running = asyncio.create_task(experiment())
    if cancelled == "in the block":
        await inside.wait()
        assert state(cluster, "redis") == {"paused"}
    else:
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert state(cluster, "redis") == {"alive"}


def test_a_cluster_with_paused_and_dead_processes_goes_down(cluster: LocalCluster) -> None:
    cluster.pause("app-1")
    cluster.pause("redis")
    cluster.kill("auth", stay_dead=True)
    began = time.monotonic()
    cluster.down()
    assert processes.leftovers(cluster.directory) == []
    assert time.monotonic() - began < 20, "nobody had to be killed for not listening"
