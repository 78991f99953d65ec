"""What tests run the auth service with: SQLite in a folder, a real Valkey, a clock that tests set."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from threading import Event
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient
from argon2 import PasswordHasher

from services.auth.settings import AuthSettings
from tests.support.servers.valkey import Valkey

ISSUER = "http://127.0.0.1:8080/auth"

Client = TestClient[web.Request, web.Application]
StartAuth = Callable[..., Awaitable[Client]]


def cheap_hasher() -> PasswordHasher:
    """Return real Argon2id at the lowest possible cost."""
    return PasswordHasher(memory_cost=8, time_cost=1, parallelism=1)


class GatedHasher(PasswordHasher):
    """A hasher that waits for *gate* before it finishes a hash."""

    def __init__(self) -> None:
        super().__init__(memory_cost=8, time_cost=1, parallelism=1)
        self.gate = Event()
        self.gate.set()

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        assert self.gate.wait(10)
        return super().hash(password, salt=salt)


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
