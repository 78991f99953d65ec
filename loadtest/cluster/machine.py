"""Facts about the machine that the figures were measured on. Figures of two machines are never compared."""

import os
import platform
import subprocess
import sysconfig
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
        "python_build": _python_build(),
        "date": (now or datetime.now(UTC)).isoformat(timespec="seconds"),
    }


def _cpu_model() -> str:
    if CPUINFO.exists():
        for line in CPUINFO.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _python_build() -> str:
    """Return how this Python was compiled: without PGO it is up to a quarter slower."""
    arguments = str(sysconfig.get_config_var("CONFIG_ARGS") or "")
    flags = f"{sysconfig.get_config_var('CFLAGS') or ''} {sysconfig.get_config_var('OPT') or ''}".split()
    level = next((flag for flag in reversed(flags) if flag.startswith("-O")), "unknown optimisation")
    pgo = "PGO" if "--enable-optimizations" in arguments else "no PGO"
    lto = "LTO" if "--with-lto" in arguments and "--with-lto=no" not in arguments else "no LTO"
    return f"{platform.python_compiler()}, {level}, {pgo}, {lto}"


def git_revision(directory: Path) -> str:
    """Return the commit that *directory* is at; with `+changes` if files differ from it; "unknown" without git."""
    try:
        revision = _git(directory, "rev-parse", "HEAD")
        return revision + ("+changes" if _git(directory, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _git(directory: Path, *arguments: str) -> str:
    command = ["git", "-C", str(directory), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()  # noqa: S603


def stolen_seconds() -> float:
    """Return the CPU seconds that this machine's host has given to other guests; 0 where that is unknown."""
    return float(getattr(psutil.cpu_times(), "steal", 0.0))


def busy_seconds() -> float:
    """Return the CPU seconds that this machine has spent on anything since it started, stolen time included."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    # Linux counts a guest's time within user and nice already.
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    return float(sum(times) - idle - guests)
