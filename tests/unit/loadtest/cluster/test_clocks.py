"""CPU clocks: what they count, and that no process is mistaken for another."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import pytest

from loadtest.cluster import clocks
from loadtest.cluster.clocks import LinuxClock, Meter, Processes, PsutilClock, open_clock
from loadtest.cluster.protocol import ClusterError

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux' own clocks")
SPIN = "import time\nwhile time.process_time() < {}: pass\nprint('done', flush=True)\ninput()"


@contextmanager
def child(program: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("kind", [pytest.param(LinuxClock, marks=on_linux), PsutilClock])
def test_a_clock_counts_what_its_process_has_spun(kind: Callable[[int], clocks.Clock]) -> None:
    with child(SPIN.format(0.3)) as process:
        assert said(process) == "done"
        clock = kind(process.pid)
        spun = clock.seconds()
        assert 0.29 <= spun < 1.0
        time.sleep(0.1)
        assert clock.seconds() - spun < 0.05  # it waits for input
        assert not clock.ended()
        process.kill()
        process.wait()
        assert clock.ended()
        clock.close()


@on_linux
def test_threads_that_have_ended_are_counted() -> None:
    def spin() -> None:
        while time.thread_time() < 0.1:
            pass

    clock = LinuxClock(os.getpid())
    before = clock.seconds()
    thread = threading.Thread(target=spin)
    thread.start()
    thread.join()
    assert clock.seconds() - before >= 0.1
    clock.close()


@on_linux
def test_a_process_that_has_ended_but_was_not_waited_for_has_ended() -> None:
    """Its CPU clock can still be read; only the process's own state shows that it has ended."""
    with child("input()") as process:
        clock = LinuxClock(process.pid)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert clock.seconds() > 0
        assert clock.ended()
        clock.close()


@on_linux
def test_psutil_is_used_where_the_kernel_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> float:
        raise PermissionError

    monkeypatch.setattr(time, "clock_gettime", refuse)
    clock = open_clock(os.getpid())
    assert isinstance(clock, PsutilClock)
    assert clock.seconds() > 0


def test_a_missing_process_has_no_clock() -> None:
    with child("") as process:
        process.wait()
        with pytest.raises(ProcessLookupError):
            open_clock(process.pid)


class Cluster:
    """One process under the name `one`, which can be replaced."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.looked_up = 0

    def members(self) -> Processes:
        self.looked_up += 1
        return {"one": ("app", self.pid)}


def test_processes_are_looked_up_once() -> None:
    cluster = Cluster(os.getpid())
    meter = Meter(cluster.members)
    before = meter.read()
    while time.process_time() < before.processes["one"].seconds + 0.05:
        pass
    used = meter.read().since(before)["one"]
    assert used.tier == "app"
    assert 0.03 < used.seconds <= used.elapsed + 0.02  # psutil's clock has steps of 10 ms
    assert cluster.looked_up == 1
    meter.forget()


def test_a_restart_between_two_readings_invalidates_them() -> None:
    with child("input()") as first, child("input()") as second:
        cluster = Cluster(first.pid)
        meter = Meter(cluster.members)
        before = meter.read()
        first.kill()
        first.wait()
        cluster.pid = second.pid
        after = meter.read()
        assert after.processes["one"].pid == second.pid
        with pytest.raises(ClusterError, match="restarted while their CPU time was measured: one"):
            after.since(before)
        meter.forget()


def test_a_process_that_stays_away_is_an_error() -> None:
    with child("") as process:
        process.wait()
        with pytest.raises(ClusterError, match="keep ending"):
            Meter(Cluster(process.pid).members).read()


@on_linux
def test_a_meter_closes_what_it_has_opened() -> None:
    ours = psutil.Process()
    before = ours.num_fds()
    meter = Meter(Cluster(os.getpid()).members)
    for _ in range(5):
        meter.read()
        meter.forget()
    assert ours.num_fds() == before
