"""A cluster with two auth processes for the stress tests, and progress that shows without `-s`."""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from loadtest.cluster.local import STATE, LocalCluster
from loadtest.cluster.topology import Topology

Progress = Callable[[int], Callable[[int], None]]
Say = Callable[[str], None]


@pytest.fixture(scope="session")
def cluster() -> Iterator[LocalCluster]:
    topology = replace(Topology.from_environment(), auth_replicas=2).on_free_ports()
    with LocalCluster(topology, STATE / "stress") as started:
        yield started


# A rotation every 5 s, in the same proportions as by default: fetched every second, published 4 s before the first use.
FAST_KEYS = {
    "KEY_PUBLISH_SECONDS": "4",
    "KEY_POLL_SECONDS": "0.5",
    "JWKS_MAX_AGE_SECONDS": "0",
    "JWKS_REFRESH_SECONDS": "1",
}


@pytest.fixture
def rotating_cluster() -> Iterator[LocalCluster]:
    topology = replace(Topology.from_environment(), auth_replicas=2).on_free_ports()
    topology = replace(topology, settings=(*topology.settings, *FAST_KEYS.items()))
    with LocalCluster(topology, STATE / "stress-keys") as started:
        yield started


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Print a line now, whatever pytest captures."""

    def say(line: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n    {line}")
            sys.stdout.flush()

    return say


@pytest.fixture
def progress(say: Say) -> Progress:
    """Return a factory of progress reports: `progress(of)` prints a line after every tenth."""

    def start(total: int) -> Callable[[int], None]:
        began = time.monotonic()

        def told(done: int) -> None:
            if done * 10 // total > (done - 1) * 10 // total:
                say(f"{done} of {total} after {time.monotonic() - began:.0f} s")

        return told

    return start
