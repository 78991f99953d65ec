"""Which core processes run on. Where the system has no CPU affinity, nothing here has any effect."""

import ctypes
import os
import platform
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path

SLICE_SECONDS = 0.1
"""Longer than any process needs for all that has been left for it: 32 of the dearest requests take 10 ms."""
SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
"""The number of the system call, for which there is neither a function of Python's nor one of the C library's."""


def cores() -> list[int]:
    """Return the cores that this process may use; none where the system does not tell."""
    return sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []


@contextmanager
def on_last_core(pids: Iterable[int]) -> Iterator[None]:
    """Let processes share our last core for the block, each running until it has nothing left to do.

    `SCHED_BATCH` keeps a process that was woken from interrupting the one that woke it, and a long time slice (Linux
    6.12 and later) keeps the kernel from it. Otherwise dear requests leave fewer answers at a time for nginx and the
    client, and so cost more wakings besides their own work. All threads of a process are moved: Linux treats each on
    its own. A process that has ended, or that we may not move, stays as it is.
    """
    moved = []
    try:
        for thread in chain.from_iterable(map(_threads, pids if cores() else ())):
            with suppress(OSError):
                moved.append((thread, os.sched_getaffinity(thread), os.sched_getscheduler(thread)))
                _put(thread, {cores()[-1]}, os.SCHED_BATCH)
        yield
    finally:
        for thread, own, policy in reversed(moved):  # a process may have been named twice
            with suppress(OSError):
                _put(thread, own, policy)


def _threads(pid: int) -> list[int]:
    """Return the ids of a process's threads; none if it has ended."""
    try:
        return [int(thread.name) for thread in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return []


def _put(thread: int, on: set[int], policy: int) -> None:
    os.sched_setaffinity(thread, on)
    os.sched_setscheduler(thread, policy, os.sched_param(0))
    _set_slice(thread, policy, SLICE_SECONDS if policy == os.SCHED_BATCH else 0)


class _Attributes(ctypes.Structure):
    """`struct sched_attr` of sched_setattr(2). *runtime* is the time slice in nanoseconds; 0 is the kernel's own."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )


def _set_slice(thread: int, policy: int, seconds: float) -> None:
    """Ask for a time slice. Kernels before 6.12 and other architectures keep theirs."""
    number = SCHED_SETATTR.get(platform.machine())
    if number:
        nice = os.getpriority(os.PRIO_PROCESS, thread)
        wanted = _Attributes(ctypes.sizeof(_Attributes), policy, 0, nice, 0, round(1e9 * seconds), 0, 0)
        ctypes.CDLL(None).syscall(number, thread, ctypes.byref(wanted), 0)
