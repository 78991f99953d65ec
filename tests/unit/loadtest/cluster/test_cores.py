"""Processes share a core for a while, then get their own cores back."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.cluster.cores import cores, on_last_core

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no CPU affinity elsewhere")


@pytest.fixture
def pid() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        yield child.pid
        child.kill()


def test_processes_share_the_last_core_and_get_their_own_cores_back(pid: int) -> None:
    before = os.sched_getaffinity(pid), os.sched_getscheduler(pid)
    with on_last_core([pid]):
        assert os.sched_getaffinity(pid) == {cores()[-1]}
        assert os.sched_getscheduler(pid) == os.SCHED_BATCH
    assert (os.sched_getaffinity(pid), os.sched_getscheduler(pid)) == before
    with pytest.raises(KeyError), on_last_core([pid]):
        raise KeyError
    assert (os.sched_getaffinity(pid), os.sched_getscheduler(pid)) == before


def test_all_threads_of_a_process_are_moved() -> None:
    code = "import threading; threading.Thread(target=input, daemon=True).start(); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        threads = [int(thread.name) for thread in Path(f"/proc/{child.pid}/task").iterdir()]
        assert len(threads) == 2
        with on_last_core([child.pid]):
            assert {frozenset(os.sched_getaffinity(thread)) for thread in threads} == {frozenset({cores()[-1]})}
            assert {os.sched_getscheduler(thread) for thread in threads} == {os.SCHED_BATCH}
        assert {os.sched_getscheduler(thread) for thread in threads} == {os.SCHED_OTHER}
        child.kill()


def test_a_process_that_ends_meanwhile_is_no_error() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child, on_last_core([child.pid]):
        child.kill()
        child.wait()


def test_a_process_that_has_ended_before_is_no_error() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    with on_last_core([child.pid]):
        pass


def test_without_affinity_nothing_happens(pid: int, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.sched_getaffinity(pid)
    monkeypatch.setattr("loadtest.cluster.cores.cores", list)
    with on_last_core([pid]):
        assert os.sched_getaffinity(pid) == before
