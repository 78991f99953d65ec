"""What a replica needs in the contract suite: a real Valkey, a small auth service, a clock that tests set."""

import base64
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import jwt
import redis.asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.app.application import create_app
from services.app.settings import AppSettings
from services.app.strategy import Info, Kind
from services.common.revocations import STREAM
from services.common.settings import S
from services.common.tokens.jwk import thumbprint
from tests.support.clock import ManualClock
from tests.support.servers.valkey import REDIS_PASSWORD, Valkey

ISSUER, AUDIENCE, CLIENT_SECRET = "http://localhost:8080/auth", "authscale", "app-pass"
PRIVATE_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
KID = thumbprint(jwt.algorithms.OKPAlgorithm.to_jwk(PRIVATE_KEY.public_key(), as_dict=True))
USERS = {"alice": "correct horse", "bob": "battery staple", "root": "of all evil"}
COOKIE_KEY = base64.urlsafe_b64encode(bytes(32)).decode()


Client = TestClient[web.Request, web.Application]


StartReplica = Callable[..., Awaitable[Client]]


class FakeAuth:
    """A small auth service: checks passwords, publishes keys and mints tokens. A test may set its next answer."""

    def __init__(self, clock: ManualClock, private_key: Ed25519PrivateKey | None = None) -> None:
        self.clock = clock
        self.revoke: Callable[[str, str], Awaitable[None]] | None = None
        self.private_key = private_key or Ed25519PrivateKey.generate()  # an attacker's own, under the same name
        self.public_jwk: dict[str, Any] = json.loads(
            jwt.algorithms.OKPAlgorithm.to_jwk(self.private_key.public_key())
        ) | {"kid": KID, "use": "sig", "alg": "EdDSA"}
        self.refusal: web.Response | None = None
        self.late = 0.0
        """so many seconds pass between its answer and what it looked at"""
        self.jwks_fetches = 0

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/auth/password/check", self.check)
        app.router.add_post("/auth/login", self.login)
        app.router.add_post("/auth/revoke", self.end)
        app.router.add_get("/auth/jwks.json", self.jwks)
        return app

    async def check(self, request: web.Request) -> web.Response:
        if self.refusal:
            return self.refusal
        if request.headers["Authorization"] != aiohttp.encode_basic_auth("app", CLIENT_SECRET):
            return self.problem(401, "invalid-client")
        body = await request.json()
        if USERS.get(body["username"]) != body["password"]:
            return self.problem(401, "unauthenticated")
        roles = ["admin"] if body["username"] == "root" else []
        user = {"id": f"id-of-{body['username']}", "name": body["username"], "roles": roles}
        return web.json_response({"user": user, "checked_at": self.clock() - self.late})

    async def login(self, request: web.Request) -> web.Response:
        name = (await request.json())["username"]
        return web.json_response({"access_token": self.token(sub=f"id-of-{name}", preferred_username=name)})

    async def end(self, request: web.Request) -> web.Response:
        if self.refusal:
            return self.refusal
        claims = jwt.decode(str((await request.post())["token"]), options={"verify_signature": False})
        assert self.revoke is not None
        await self.revoke("family", claims["sid"])
        return web.json_response({})

    async def jwks(self, request: web.Request) -> web.Response:
        self.jwks_fetches += 1
        return web.json_response({"keys": [self.public_jwk]})

    @staticmethod
    def problem(status: int, kind: str, headers: dict[str, str] | None = None) -> web.Response:
        body = {"type": f"urn:authscale:problem:{kind}", "status": status}
        return web.json_response(body, status=status, content_type="application/problem+json", headers=headers)

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Return the claims of a valid token with *changes*; claims set to None are left out."""
        now = int(self.clock())
        claims = {
            "iss": ISSUER,
            "sub": "id-of-alice",
            "aud": AUDIENCE,
            "exp": now + 300,
            "iat": now,
            "jti": uuid.uuid4().hex,
            "client_id": "web",
            "sid": uuid.uuid4().hex,
            "preferred_username": "alice",
            "roles": ["user"],
        }
        return {name: value for name, value in (claims | changes).items() if value is not None}

    def token(self, headers: dict[str, Any] | None = None, **changes: Any) -> str:
        """Return a token signed with the right key."""
        return self.sign(self.claims(**changes), **(headers or {}))

    def sign(self, claims: dict[str, Any], **headers: Any) -> str:
        return jwt.encode(claims, self.private_key, "EdDSA", {"typ": "at+jwt", "kid": KID} | headers)


def replica(values: dict[str, Any], clock: Callable[[], float] = time.time) -> web.Application:
    """Return a replica whose settings, those of strategies' own included, are *values* by their names."""

    def read(kind: type[S]) -> S:
        return kind(**values)

    return create_app(read(AppSettings), clock=clock, read=read)


class World:
    """Everything that a contract test can use."""

    def __init__(self, clock: ManualClock, auth: FakeAuth, auth_url: str, valkey: Valkey) -> None:
        self.clock, self.auth, self.auth_url, self.valkey = clock, auth, auth_url, valkey
        auth.revoke = self.revoke

    def replica(self, name: str = "a", **changes: Any) -> web.Application:
        """Return a replica, not started yet, with other values of some settings."""
        values: dict[str, Any] = {
            "port": 0,
            "replica": name,
            "issuer": ISSUER,
            "redis_url": self.valkey.url,
            "redis_password": REDIS_PASSWORD,
            "app_client_secret": CLIENT_SECRET,
            "auth_urls": self.auth_url,
            "session_idle_seconds": 600,
            "session_absolute_seconds": 3600,
            "secure_cookies": False,
            "cookie_keys": COOKIE_KEY,
        }
        return replica(values | changes, self.clock)

    @asynccontextmanager
    async def redis(self) -> AsyncIterator[redis.asyncio.Redis]:
        """Yield a client of the shared Valkey."""
        async with redis.asyncio.Redis.from_url(self.valkey.url, password=REDIS_PASSWORD, protocol=2) as client:
            yield client

    async def keys_in_redis(self) -> list[bytes | str]:
        """Return all keys but the stream of revocations."""
        async with self.redis() as client:
            return [key for key in await client.keys("*") if key != STREAM.encode()]

    async def revoke(self, kind: str, subject: str) -> None:
        """Revoke something as the auth service does."""
        now = self.clock()
        async with self.redis() as client:
            fields = {"kind": kind, "subject": subject, "before": now, "expires": int(now) + 4000}
            await client.xadd(STREAM, fields)  # type: ignore[arg-type]  # its types are too narrow

    async def login(self, client: Client, info: Info, username: str = "alice") -> dict[str, str]:
        """Log in as *info* says and return the headers that carry the login."""
        body = {"username": username, "password": USERS[username]}
        if info.kind is Kind.CONTROL:
            return {}
        if info.kind is Kind.SESSION:
            async with client.post(info.login or "", json=body) as response:
                assert response.status == 200, await response.text()
                return {"Cookie": response.headers["Set-Cookie"].partition(";")[0]}
        async with aiohttp.ClientSession() as http, http.post(f"{self.auth_url}{info.login}", json=body) as response:
            return {"Authorization": f"Bearer {(await response.json())['access_token']}"}


async def trackers(world: World) -> list[str]:
    """Return the ids of the connections that Redis announces changes to."""
    async with world.redis() as client:
        return [one["id"] for one in await client.client_list() if "t" in one["flags"]]


async def cut(world: World, ids: list[str]) -> None:
    """Close these connections from Redis' side."""
    async with world.redis() as client:
        for one in ids:
            await client.client_kill_filter(_id=one)
