"""What the operating system says about our processes: which are still there, and who listens where."""

import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from time import monotonic

import psutil

GLANCE_SECONDS = 0.05
RUN_DIR_VARIABLE = "RUN_DIR"  # every process of a local cluster carries it in its environment


def leftovers(state: Path) -> list[psutil.Process]:
    """Return all processes whose cluster keeps its state below *state*, whatever their parent is by now."""
    found = (process for process in psutil.process_iter() if _is_of(process, state))
    return list(dict.fromkeys(member for process in found for member in family(process.pid)))


def family(pid: int) -> list[psutil.Process]:
    """Return the process *pid* and its descendants, or an empty list if it is gone."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _is_of(process: psutil.Process, state: Path) -> bool:
    """Return whether *process* keeps its state below *state*: by its environment or, where a program overwrites that
    with its title, by its working directory (Redis) or that title (nginx)."""
    try:
        named = [process.environ().get(RUN_DIR_VARIABLE), process.cwd()]
        title = " ".join(process.cmdline())
    except (psutil.Error, OSError):  # not ours to look at, or gone meanwhile
        return False
    of_nginx = title.startswith("nginx: master process") and f" {state}/" in title
    return of_nginx or any(Path(directory).is_relative_to(state) for directory in named if directory)


def end(processes: list[psutil.Process], patience: float, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Ask *processes* to end; kill those that are still there after *patience* seconds. Paused ones are resumed first.

    *meanwhile* is called again and again until they have ended.
    """
    signal_all(processes, "TERM")
    signal_all(processes, "CONT")
    stubborn, deadline = processes, monotonic() + patience
    while stubborn and monotonic() < deadline:
        meanwhile()
        _, stubborn = psutil.wait_procs(stubborn, timeout=GLANCE_SECONDS)
    signal_all(stubborn, "KILL")
    psutil.wait_procs(stubborn, timeout=5)


def signal_all(processes: Iterable[psutil.Process], name: str) -> None:
    """Send signal *name* (`STOP`, `KILL`, ...) to all *processes* that are still there."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.Signals[f"SIG{name}"])


def all_paused(pid: int) -> bool:
    """Return whether the process *pid* and its descendants do nothing because they were stopped by a signal."""
    with suppress(psutil.NoSuchProcess):
        if psutil.Process(pid).status() == psutil.STATUS_STOPPED:  # first, because finding descendants takes long
            return all(member.status() == psutil.STATUS_STOPPED for member in family(pid))
    return False


def listener(port: int) -> str:
    """Return who listens on *port*, as far as we may know."""
    try:
        for connection in psutil.net_connections("tcp"):
            here = connection.laddr and connection.laddr.port == port
            if here and connection.status == psutil.CONN_LISTEN and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass
    return "another program"
