"""A server that falls for every forgery: the control of the experiment `forgery`. It listens on the loopback address.

`/FLAW/mypage` has the flaw of that name; `/strict/mypage` has none, and accepts only what it issued.
"""

import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from loadtest.attacks.thief import cookies
from loadtest.attacks.weak_sessions import SessionFlaw, WeakSessions
from loadtest.attacks.weak_verifier import Flaw, RefusedError, WeakVerifier

ISSUER, AUDIENCE, KID, COOKIE = "weak", "weak", "weak-1", "weak-session"


class WeakServer:
    """Issues tokens and sessions, and accepts too many."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.sessions = WeakSessions()
        public: dict[str, Any] = jwt.algorithms.OKPAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        self.jwk = public | {"kid": KID}
        self.url = ""

    def token(self, typ: str = "at+jwt") -> str:
        """Return a token of a new user."""
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "exp": now + 300, "iat": now, "client_id": "weak"}
        claims |= {"sub": uuid.uuid4().hex, "jti": uuid.uuid4().hex}
        return jwt.encode(claims, self._key, "EdDSA", {"typ": typ, "kid": KID})

    async def mypage(self, request: web.Request) -> web.Response:
        """Accept a token or a cookie by the flaw that the path names."""
        name = request.match_info["flaw"]
        header = request.headers.get("Authorization", "")
        if header.startswith("Bearer "):
            accepted = self._accepts_token(header.removeprefix("Bearer "), Flaw.__members__.get(name))
        else:
            cookie = cookies(request.headers.get("Cookie", "")).get(COOKIE, "")
            accepted = self.sessions.accepts(cookie, SessionFlaw.__members__.get(name))
        return web.json_response({"accepted": accepted}, status=200 if accepted else 401)

    def _accepts_token(self, token: str, flaw: Flaw | None) -> bool:
        try:
            WeakVerifier(self.jwk, ISSUER, AUDIENCE, time.time(), flaw).verify(token)
        except RefusedError:
            return False
        return True


@asynccontextmanager
async def weak_server() -> AsyncIterator[WeakServer]:
    """Serve a `WeakServer` on a free port."""
    weak = WeakServer()
    app = web.Application()
    app.router.add_get("/{flaw}/mypage", weak.mypage)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        weak.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield weak
    finally:
        await runner.cleanup()
