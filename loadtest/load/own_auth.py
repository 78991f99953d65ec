"""An auth service of an experiment's own, which accepts every password at once.

So that many users can log in within a short time: hashing a password takes 20 ms of CPU, on purpose.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from loadtest.load.client import TIMEOUT


@asynccontextmanager
async def own_auth(keys: str) -> AsyncIterator[str]:
    """Yield the address of an auth service that accepts every password. Its key set is the one at the URL *keys*."""

    async def check(request: web.Request) -> web.Response:
        name = (await request.json())["username"]
        return web.json_response({"user": {"id": name, "name": name, "roles": []}, "checked_at": time.time()})

    async def key_set(_: web.Request) -> web.Response:
        async with aiohttp.ClientSession(timeout=TIMEOUT) as http, http.get(keys) as answer:
            return web.Response(status=answer.status, body=await answer.read(), content_type="application/json")

    application = web.Application()
    application.add_routes([web.post("/auth/password/check", check), web.get("/auth/jwks.json", key_set)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
