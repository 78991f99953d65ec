"""Which core processes run on. Where the system has no CPU affinity, nothing here has any effect."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress


def cores() -> list[int]:
    """Return the cores that this process may use; none where the system does not tell."""
    return sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []


@contextmanager
def on_last_core(pids: Iterable[int]) -> Iterator[None]:
    """Let processes share our last core for the block, each running until it has nothing left to do.

    `SCHED_BATCH` keeps a process that was woken from interrupting the one that woke it. One that has ended, or that
    the system does not let us move, stays where it is.
    """
    moved = []
    try:
        for pid in pids if cores() else ():
            with suppress(OSError):
                moved.append((pid, os.sched_getaffinity(pid), os.sched_getscheduler(pid)))
                _put(pid, {cores()[-1]}, os.SCHED_BATCH)
        yield
    finally:
        for pid, own, policy in moved:
            with suppress(OSError):
                _put(pid, own, policy)


def _put(pid: int, on: set[int], policy: int) -> None:
    os.sched_setaffinity(pid, on)
    os.sched_setscheduler(pid, policy, os.sched_param(0))
