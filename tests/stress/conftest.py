"""A cluster with three auth processes for the stress tests, progress that shows without `-s`, and a record.

A run of all stress tests (`make stress`) writes `reports/stress.md`; docs/stress.md is the record of the last one.
"""

import os
import platform
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from loadtest.cluster.local import STATE, LocalCluster
from loadtest.cluster.machine import git_revision
from loadtest.cluster.topology import REPOSITORY, Topology

Progress = Callable[[int], Callable[[int], None]]
Say = Callable[[str], None]


@pytest.fixture(scope="session")
def cluster() -> Iterator[LocalCluster]:
    topology = replace(Topology.from_environment(), auth_replicas=3).on_free_ports()  # two start while one serves
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


SAID = pytest.StashKey[defaultdict[str, list[str]]]()
REPORTS = pytest.StashKey[list[pytest.TestReport]]()
RECORD = REPOSITORY / "reports/stress.md"


def pytest_configure(config: pytest.Config) -> None:
    said: defaultdict[str, list[str]] = defaultdict(list)
    config.stash[SAID] = said
    config.stash[REPORTS] = []


@pytest.fixture
def say(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Say:
    """Print a line now, whatever pytest captures, and keep it for the record."""
    said = request.config.stash[SAID][request.node.nodeid]

    def say(line: str) -> None:
        said.append(line)
        with capsys.disabled():
            _print(line)

    return say


@pytest.fixture
def progress(capsys: pytest.CaptureFixture[str]) -> Progress:
    """Return a factory of progress reports: `progress(of)` prints a line after every tenth."""

    def start(total: int) -> Callable[[int], None]:
        began = time.monotonic()

        def told(done: int) -> None:
            if done * 10 // total > (done - 1) * 10 // total:
                with capsys.disabled():
                    _print(f"{done} of {total} after {time.monotonic() - began:.0f} s")

        return told

    return start


def _print(line: str) -> None:
    sys.stdout.write(f"\n    {line}")
    sys.stdout.flush()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" or not report.passed:
        item.config.stash[REPORTS].append(report)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the record, if this was a run of all stress tests."""
    reports, options = session.config.stash[REPORTS], session.config.option
    everything = [Path(name).resolve() for name in options.file_or_dir] == [Path(__file__).parent]
    if not reports or not everything or options.keyword:
        return
    said = session.config.stash[SAID]
    RECORD.parent.mkdir(exist_ok=True)
    RECORD.write_text("\n".join(_record(reports, said)) + "\n")


def _record(reports: Sequence[pytest.TestReport], said: Mapping[str, Sequence[str]]) -> Iterator[str]:
    passed, took = sum(report.passed for report in reports), sum(report.duration for report in reports) / 60
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    yield f"{passed} of {len(reports)} tests passed in {took:.0f} minutes"
    yield f"({datetime.now(UTC):%Y-%m-%d}, code {git_revision(REPOSITORY)}, {machine})."
    for report in reports:
        yield f"\n### {report.nodeid.rpartition('/')[2]}\n\n{report.outcome} in {report.duration:.0f} s\n"
        yield from (f"- {line}" for line in said.get(report.nodeid, ()))
