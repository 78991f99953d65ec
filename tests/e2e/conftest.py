"""One real cluster for all end-to-end tests: nginx, Redis, two auth processes and the replicas, on ports of its own."""

import json
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace

import aiohttp
import pytest

from loadtest.cluster.local import STATE, LocalCluster
from loadtest.cluster.topology import Topology
from tests.support.clients.browsers import Browsers


@dataclass
class RunningCluster:
    """A cluster that was started by other means on the ports in .env, such as `docker compose up`."""

    url: str
    url_no_affinity: str

    def replicas(self) -> list[str]:
        """Round robin shows every replica within a few requests."""
        pages = (urllib.request.urlopen(f"{self.url}/anonymous/mypage") for _ in range(40))
        return sorted({json.loads(page.read())["replica"] for page in pages})


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[LocalCluster | RunningCluster]:
    topology = Topology.from_environment()
    if request.config.getoption("--running"):
        yield RunningCluster(f"http://127.0.0.1:{topology.lb_port}", f"http://127.0.0.1:{topology.lb_port_no_affinity}")
        return
    with LocalCluster(replace(topology, auth_replicas=2).on_free_ports(), STATE / "test") as started:
        yield started


# The proportions of the defaults, but quick: a key signs 4 s after its publication. Nothing limits who fuzzes logins.
HURRIED = {
    "KEY_PUBLISH_SECONDS": "4",
    "KEY_POLL_SECONDS": "0.5",
    "JWKS_MAX_AGE_SECONDS": "0",
    "JWKS_REFRESH_SECONDS": "1",
    "FAILURES_PER_PAIR": "1000000",
    "FAILURES_PER_ADDRESS": "1000000",
    "FAILURES_PER_ACCOUNT": "1000000",
}


@pytest.fixture(scope="session")
def spare_cluster() -> Iterator[LocalCluster]:
    """A cluster that a test may fuzz, and whose keys it may rotate."""
    topology = replace(Topology.from_environment(), auth_replicas=2)
    topology = replace(topology, settings=(*topology.settings, *HURRIED.items()))
    with LocalCluster(topology.on_free_ports(), STATE / "test-spare") as started:
        yield started


@pytest.fixture
async def browsers(cluster: LocalCluster) -> AsyncIterator[Browsers]:
    opened = Browsers(cluster.url)
    yield opened
    await opened.close()


@pytest.fixture
async def strategies(cluster: LocalCluster) -> list[dict[str, object]]:
    async with aiohttp.ClientSession(cluster.url) as http, http.get("/strategies") as answer:
        listed: list[dict[str, object]] = await answer.json()
        return listed
