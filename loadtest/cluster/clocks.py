"""CPU clocks of processes: looked up once, then read in microseconds.

On Linux every process has a CPU clock that anybody may read (`clock_getcpuclockid(3)`). It counts all threads, those
that have ended included, in nanoseconds. Elsewhere psutil is asked.
"""

import os
import select
import sys
import time
from collections.abc import Callable, Mapping
from typing import Protocol

import psutil

from loadtest.cluster.protocol import ClusterError, CpuReading, ProcessCpu, Tier

ATTEMPTS = 3

Processes = Mapping[str, tuple[Tier, int]]
"""Tier and process id, by name."""


class Clock(Protocol):
    """The CPU clock of one process. It never reads the clock of a later process that was given the same id."""

    def seconds(self) -> float:
        """Return the CPU seconds used since the process started; meaningless if it has ended."""

    def ended(self) -> bool:
        """Return whether the process has ended. If not, everything read so far was its own."""

    def close(self) -> None:
        """Give back what the clock holds."""


class LinuxClock:
    """Reads the clock by process id, and holds a file descriptor of the process that tells when it ends.

    Raises `OSError` where the kernel offers or permits neither, `ProcessLookupError` if there is no such process.
    """

    def __init__(self, pid: int) -> None:
        self._clock = (~pid << 3) | 2  # CPUCLOCK_SCHED of a process, see clock_getcpuclockid(3)
        self._process = os.pidfd_open(pid)
        self._poll = select.poll()
        self._poll.register(self._process, select.POLLIN)
        try:
            time.clock_gettime(self._clock)
        except OSError:
            self.close()
            raise

    def seconds(self) -> float:
        """Return the CPU seconds used since the process started. Raises `ProcessLookupError` if it is gone."""
        try:
            return time.clock_gettime(self._clock)
        except OSError:  # it was permitted before
            raise ProcessLookupError("the process has ended") from None

    def ended(self) -> bool:
        """Return whether the process has ended."""
        return bool(self._poll.poll(0))

    def close(self) -> None:
        """Close the file descriptor."""
        os.close(self._process)


class PsutilClock:
    """Asks psutil, whose resolution is often 10 ms."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)

    def seconds(self) -> float:
        """Return the CPU seconds used since the process started."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def ended(self) -> bool:
        """Return whether the process has ended."""
        return not self._process.is_running() or self._process.status() == psutil.STATUS_ZOMBIE

    def close(self) -> None:
        """There is nothing to give back."""


def open_clock(pid: int) -> Clock:
    """Return the best clock there is for process *pid*. Raises `ProcessLookupError` if there is no such process."""
    if sys.platform == "linux":
        try:
            return LinuxClock(pid)
        except ProcessLookupError:
            raise
        except OSError:  # an old kernel, or a sandbox that refuses the call
            pass
    try:
        return PsutilClock(pid)
    except psutil.NoSuchProcess:
        raise ProcessLookupError(f"there is no process {pid}") from None


class Meter:
    """Reads the CPU clocks of the processes that *look_up* finds.

    They are looked up at the first reading, and again when one of them has ended since. `CpuReading.since` refuses two
    readings between which that happened.
    """

    def __init__(self, look_up: Callable[[], Processes]) -> None:
        self._look_up = look_up
        self._clocks: dict[str, tuple[Tier, int, Clock]] = {}

    def read(self) -> CpuReading:
        """Return the CPU seconds of every process. Raises `ClusterError` if processes end as fast as we look."""
        for _ in range(ATTEMPTS):
            try:
                return self._read()
            except (ProcessLookupError, psutil.NoSuchProcess):
                self.forget()
        raise ClusterError("processes of the cluster keep ending while their CPU clocks are read: see its logs")

    def forget(self) -> None:
        """Look the processes up again at the next reading."""
        for _, _, clock in self._clocks.values():
            clock.close()
        self._clocks = {}

    def _read(self) -> CpuReading:
        if not self._clocks:
            self._open()
        read = {
            name: ProcessCpu(tier, pid, time.monotonic(), clock.seconds())
            for name, (tier, pid, clock) in self._clocks.items()
        }
        for _, pid, clock in self._clocks.values():  # now that all are read: none of the readings is a successor's
            if clock.ended():
                raise ProcessLookupError(pid)
        return CpuReading(read)

    def _open(self) -> None:
        for name, (tier, pid) in self._look_up().items():
            self._clocks[name] = (tier, pid, open_clock(pid))
