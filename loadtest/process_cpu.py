"""The operating system's accounting of processes: the CPU seconds that they have used."""

from collections.abc import Iterable
from pathlib import Path

import psutil


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU seconds that *pids* and their descendants have used since they started."""
    return sum(_own_cpu_seconds(process) for pid in pids for process in family(pid))


def family(pid: int) -> list[psutil.Process]:
    """Return the process *pid* and its descendants; nobody if it is gone."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _own_cpu_seconds(process: psutil.Process) -> float:
    """Return one process' CPU seconds: in nanoseconds' resolution on Linux (psutil's is 10 ms), else psutil's."""
    tasks = Path(f"/proc/{process.pid}/task")
    try:
        nanoseconds = sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir())
    except OSError:
        times = process.cpu_times()
        return float(times.user + times.system)
    return nanoseconds / 1e9
