"""Facts about the machine that the figures were measured on. Figures of two machines are never compared."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

CPUINFO = Path("/proc/cpuinfo")


def host_facts(now: datetime | None = None) -> dict[str, Any]:
    """Return what a reader must know of this machine: CPU, cores, memory, kernel, Python, and when it was."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "date": (now or datetime.now(UTC)).isoformat(timespec="seconds"),
    }


def _cpu_model() -> str:
    if CPUINFO.exists():
        for line in CPUINFO.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def busy_seconds() -> float:
    """Return the CPU seconds that this machine has spent on anything since it started, stolen time included."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    # Linux counts a guest's time within user and nice already.
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    return float(sum(times) - idle - guests)
