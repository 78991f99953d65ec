"""The processes of a local cluster: what supervisord and the system know of them, and what can be done to one."""

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import cast

import psutil

from loadtest.cluster import processes
from loadtest.cluster.clocks import Processes
from loadtest.cluster.protocol import ClusterError, FaultError, Memory, Process, State, Tier
from loadtest.cluster.supervisor import HALTED, ProcessInfo, Supervisor

START_ORDER = ("redis", "proxy", "auth", "app", "loadbalancer")  # as the priorities in deploy/local have it
AT_ONCE_SECONDS = 5.0
"""How long the kernel may take to deliver a signal that cannot be ignored."""


class Supervised:
    """All processes under the supervisord whose state is in *directory*."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._supervisor = Supervisor(directory / "supervisor.sock")

    def running(self) -> bool:
        """Return whether supervisord answers."""
        return self._supervisor.alive()

    def wake(self) -> None:
        """Let supervisord look at its processes now."""
        self._supervisor.wake()

    def infos(self) -> list[ProcessInfo]:
        """Return supervisord's view of every process. Raises `ClusterError` if supervisord has ended."""
        try:
            return self._supervisor.processes()
        except OSError as error:
            raise ClusterError(
                f"the cluster in {self._directory} is gone: its supervisord does not answer ({error})"
            ) from None

    def named(self, name: str) -> list[ProcessInfo]:
        """Return the process called *name*, or all of that tier. Raises `ClusterError` for an unknown name."""
        infos = self.infos()
        found = [info for info in infos if name in (info["name"], tier_of(info))]
        if not found:
            names = ", ".join(info["name"] for info in infos)
            raise ClusterError(f"there is no process {name!r}: there are {names}")
        return found

    def states(self) -> list[Process]:
        """Return every process and its state."""
        return [Process(info["name"], tier_of(info), _state(info), info["pid"] or None) for info in self.infos()]

    def halted(self) -> list[ProcessInfo]:
        """Return the processes that supervisord has stopped or given up, in the order in which they start."""
        infos = [info for info in self.infos() if info["statename"] in HALTED]
        return sorted(infos, key=lambda info: START_ORDER.index(tier_of(info)))

    def start(self, infos: Collection[ProcessInfo]) -> None:
        """Start those that have halted of *infos*. Raises `ClusterError` with the end of the log of one that fails."""
        for info in infos:
            if info["statename"] in HALTED and (reason := self._supervisor.start(info)):
                raise ClusterError(f"{info['name']} does not start: {reason}\n{self.last_lines(info['name'])}")

    def stop(self, name: str) -> None:
        """Stop *name* with the signal configured for it. Raises `FaultError` if that took SIGKILL in the end."""
        for info in self._alive(name, "stopped"):
            self._supervisor.stop(info)
            (now,) = self.named(info["name"])
            if now["statename"] != "STOPPED" or now["exitstatus"] != 0:
                raise FaultError(
                    f"{info['name']} did not stop gracefully: it is {now['statename']}, exit status "
                    f"{now['exitstatus']}\n{self.last_lines(info['name'])}"
                )

    def kill(self, name: str, *, stay_dead: bool) -> None:
        """End *name* with SIGKILL; supervisord starts it again unless it is to *stay_dead*."""
        for info in self._alive(name, "killed"):
            members = processes.family(info["pid"])
            if stay_dead:  # a paused process dies before it can heed the signal with which supervisord stops it
                self.pause(info["name"])
                self._supervisor.stop(info, wait=False)
            processes.signal_all(members, "KILL")
            _, alive = psutil.wait_procs(members, timeout=AT_ONCE_SECONDS)
            if alive or not members:
                raise FaultError(
                    f"{info['name']} (pid {info['pid']}) did not die within {AT_ONCE_SECONDS:g} s of SIGKILL"
                )
            if stay_dead:
                self._wait_for(info["name"], "dead")

    def pause(self, name: str) -> None:
        """Send SIGSTOP to *name* and return when it has stopped."""
        for info in self._alive(name, "paused"):
            processes.signal_all(processes.family(info["pid"]), "STOP")
            self._wait_for(info["name"], "paused")

    def resume(self, name: str) -> None:
        """Send SIGCONT to *name* and return when it goes on. What is not paused goes on anyway."""
        for info in self.named(name):
            if info["pid"]:
                processes.signal_all(processes.family(info["pid"]), "CONT")
                self._wait_for(info["name"], "alive")

    def signal(self, name: str, signal: str) -> None:
        """Send *signal* (`HUP`, `TERM`, ...) to *name*."""
        for info in self.named(name):
            self._supervisor.signal(info, signal)

    def restart(self, name: str) -> None:
        """Stop *name* and start it again; what is not running is only started."""
        for info in self.named(name):
            if info["statename"] in HALTED:
                self.start([info])
            else:
                self._supervisor.restart(info)

    def add(self, program: str) -> None:
        """Start the *program* whose configuration was written since supervisord last read it."""
        self._supervisor.add(program)

    def remove(self, program: str) -> None:
        """Stop *program* and forget it; its configuration is gone, or about to change."""
        self._supervisor.remove(program)

    def wait_running(self, deadline: float) -> None:
        """Return when every process runs, also those that supervisord is trying again by itself."""
        while missing := [info["name"] for info in self.infos() if info["statename"] != "RUNNING"]:
            if self.halted() or monotonic() > deadline:
                raise ClusterError(f"{missing[0]} does not start\n{self.last_lines(missing[0])}")
            sleep(0.05)

    def members(self) -> Processes:
        """Return every process under supervision; children (nginx' workers) are named after their parent."""
        found: dict[str, tuple[Tier, int]] = {}
        for info in self.infos():
            if not info["pid"]:
                raise ClusterError(f"{info['name']} is not running\n{self.last_lines(info['name'])}")
            family = processes.family(info["pid"])
            if not family:
                raise ProcessLookupError(info["pid"])
            parent, *children = family
            found[info["name"]] = (tier_of(info), parent.pid)
            found |= {f"{info['name']}/{child.pid}": (tier_of(info), child.pid) for child in children}
        return found

    def memory(self) -> dict[str, Memory]:
        """Return the memory that is each process's own (USS); a process that has ended meanwhile has none."""
        found = {}
        for name, (tier, pid) in self.members().items():
            with suppress(psutil.NoSuchProcess):
                found[name] = Memory(tier, psutil.Process(pid).memory_full_info().uss)
        return found

    def last_lines(self, name: str, count: int = 15) -> str:
        """Return the end of the log of process *name*, and where all of it is."""
        return "\n".join([f"The last lines of {self._log_file(name)}:", *self._log(name)[-count:]])

    def last_line(self, name: str) -> str:
        """Return the last line of the log of process *name*."""
        return self._log(name)[-1]

    def _log(self, name: str) -> list[str]:
        file = self._log_file(name)
        return (file.read_text(errors="replace").splitlines() if file.exists() else []) or ["(its log is empty)"]

    def _log_file(self, name: str) -> Path:
        return self._directory / "logs" / f"{name}.log"

    def _alive(self, name: str, done: str) -> list[ProcessInfo]:
        """Return what is called *name*, all of which must be running and not paused to be *done* something to.

        Who has just been started is waited for: supervisord would take an early end for a failed start.
        """
        deadline = monotonic() + AT_ONCE_SECONDS
        while True:
            infos = self.named(name)
            if monotonic() > deadline or all(info["statename"] != "STARTING" for info in infos):
                break
            sleep(0.02)
        for info in infos:
            if (state := _state(info)) != "alive":
                raise FaultError(f"{info['name']} cannot be {done}: it is {state}")
        return infos

    def _wait_for(self, name: str, state: State) -> None:
        deadline = monotonic() + AT_ONCE_SECONDS
        while (now := _state(*self.named(name))) != state:
            if monotonic() > deadline:
                raise FaultError(f"{name} is {now} and not {state} after {AT_ONCE_SECONDS:g} s")
            sleep(0.01)


def tier_of(info: ProcessInfo) -> Tier:
    """Return the tier of a process: programs are called after it, with a number or a purpose."""
    return cast(Tier, info["group"].partition("-")[0])


def _state(info: ProcessInfo) -> State:
    if not info["pid"]:
        return "dead"
    if info["statename"] == "STOPPING":
        return "draining"
    return "paused" if processes.all_paused(info["pid"]) else "alive"
