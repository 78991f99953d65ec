"""A running supervisord, asked over its UNIX socket."""

from contextlib import suppress
from pathlib import Path
from socket import AF_UNIX, socket
from typing import Any, Literal, TypedDict, cast
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import Faults, SupervisorTransport

WAKE_SECONDS = 0.1
HALTED = ("FATAL", "EXITED", "STOPPED", "UNKNOWN")
"""States that a process does not leave by itself."""


class ProcessInfo(TypedDict):
    """The part of supervisord's process information that we use."""

    name: str
    group: str
    pid: int
    statename: Literal["STOPPED", "STARTING", "RUNNING", "BACKOFF", "STOPPING", "EXITED", "FATAL", "UNKNOWN"]
    description: str
    exitstatus: int
    stdout_logfile: str


class Supervisor:
    """XML-RPC client for the supervisord that listens on *path*. Raises `OSError` if none does."""

    def __init__(self, path: Path) -> None:
        self._socket = path

    def _call(self, method: str, *arguments: object) -> Any:  # XML-RPC is untyped
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        with ServerProxy("http://localhost", transport=transport) as proxy:
            return getattr(proxy.supervisor, method)(*arguments)

    def processes(self) -> list[ProcessInfo]:
        """Return every process, running or not."""
        return cast(list[ProcessInfo], self._call("getAllProcessInfo"))

    def signal(self, process: ProcessInfo, name: str) -> None:
        """Send signal *name* (`KILL`, `STOP`, ...). Its end is answered with a restart, as configured."""
        self._call("signalProcess", f"{process['group']}:{process['name']}", name)

    def start(self, process: ProcessInfo) -> str | None:
        """Start *process*, which has halted, and wait until it runs. Returns why it does not, or None."""
        try:
            self._call("startProcess", f"{process['group']}:{process['name']}")
        except Fault as fault:
            return None if fault.faultCode == Faults.ALREADY_STARTED else fault.faultString
        return None

    def stop(self, process: ProcessInfo, *, wait: bool = True) -> None:
        """Stop *process* with the signal configured for it, and *wait* for its end. It is not started again."""
        self._call("stopProcess", f"{process['group']}:{process['name']}", wait)

    def restart(self, process: ProcessInfo) -> None:
        """Stop *process* with the signal configured for it, wait for its end, and start it again."""
        self.stop(process)
        self._call("startProcess", f"{process['group']}:{process['name']}", False)

    def add(self, program: str) -> None:
        """Read the configuration again and start *program*, which is new in it."""
        self._call("reloadConfig")
        self._call("addProcessGroup", program)

    def remove(self, program: str) -> None:
        """Stop all processes of *program*, wait for their end, and forget it."""
        self._call("stopProcessGroup", program)
        self._call("removeProcessGroup", program)

    def wake(self) -> None:
        """Let supervisord look at its processes now: by itself it does so once a second, or when one of them writes."""
        with suppress(OSError), socket(AF_UNIX) as connection:
            connection.settimeout(WAKE_SECONDS)
            connection.connect(str(self._socket))

    def alive(self) -> bool:
        """Return whether there is a supervisord at the socket."""
        try:
            self._call("getState")
        except (OSError, Fault):
            return False
        return True
