"""What the operating system says about our processes: which are still there, and who listens where."""

from collections.abc import Callable
from pathlib import Path
from time import monotonic

import psutil

GLANCE_SECONDS = 0.05
RUN_DIR_VARIABLE = "RUN_DIR"  # every process of a local cluster carries it in its environment


def leftovers(state: Path) -> list[psutil.Process]:
    """Return all processes whose cluster keeps its state below *state*, whoever their parent is by now."""
    found = (process for process in psutil.process_iter() if _is_of(process, state))
    return list(dict.fromkeys(member for process in found for member in family(process.pid)))


def family(pid: int) -> list[psutil.Process]:
    """Return the process *pid* and its descendants; nobody if it is gone."""
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
    """Ask *processes* to end; kill those that are still there after *patience* seconds.

    *meanwhile* is called again and again until they have ended.
    """
    for process in processes:
        _signal(process, kill=False)
    stubborn, deadline = processes, monotonic() + patience
    while stubborn and monotonic() < deadline:
        meanwhile()
        _, stubborn = psutil.wait_procs(stubborn, timeout=GLANCE_SECONDS)
    for process in stubborn:
        _signal(process, kill=True)
    psutil.wait_procs(stubborn, timeout=5)


def _signal(process: psutil.Process, *, kill: bool) -> None:
    try:
        process.kill() if kill else process.terminate()
    except psutil.NoSuchProcess:
        return


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
