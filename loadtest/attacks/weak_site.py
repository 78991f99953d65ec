"""Pages for a browser: an attacker's, which is empty, and a site that takes no care, the control of `cross_origin`."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

COOKIE = "weak-session"


class WeakSite:
    """Sets a cookie without any attributes, and does not check where a request comes from."""

    def __init__(self) -> None:
        self._sessions: set[str] = set()

    def application(self) -> web.Application:
        """Return the site; `/` is a page that does nothing."""
        app = web.Application()
        app.router.add_get("/", self._empty)
        app.router.add_post("/weak/login", self._login)
        app.router.add_get("/weak/mypage", self._mypage)
        app.router.add_post("/weak/visits", self._mypage)
        return app

    async def _empty(self, _: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>A page</title>", content_type="text/html")

    async def _login(self, _: web.Request) -> web.Response:
        self._sessions.add(cookie := secrets.token_urlsafe(16))
        response = web.json_response({})
        response.set_cookie(COOKIE, cookie)
        return response

    async def _mypage(self, request: web.Request) -> web.Response:
        return web.json_response({}, status=200 if request.cookies.get(COOKIE) in self._sessions else 401)


@asynccontextmanager
async def weak_site() -> AsyncIterator[int]:
    """Serve both on a free port of the loopback address, and yield the port."""
    runner = web.AppRunner(WeakSite().application(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
