"""The least that aiohttp can do for a page: no application, no router, no middleware, one answer made in advance.

    python -m loadtest.load.bare_server PORT [ANSWER]

ANSWER is JSON, `{"headers": {...}, "body": "..."}`; by default it is the page of a control on a replica. Port 0 is a
free one. The first line on stdout is `{"event": "listening", "url"}`. The end of stdin ends the server: it does not
outlive its parent.
"""

import asyncio
import json
import os
import sys
import threading

import uvloop
from aiohttp import web

PAGE = {"user": {"id": "anonymous", "name": "anonymous"}, "strategy": "anonymous", "replica": "app-1"}
ANSWER = {
    "headers": {"Content-Type": "application/json", "Cache-Control": "no-store", "X-Replica": "app-1"},
    "body": json.dumps(PAGE),
}


async def serve(port: int, headers: dict[str, str], body: str) -> None:
    """Answer every request on *port* of the loopback address alike, until stdin ends."""
    content = body.encode()

    async def handler(_: web.BaseRequest) -> web.Response:
        return web.Response(body=content, headers=headers)

    server = await asyncio.get_running_loop().create_server(web.Server(handler, access_log=None), "127.0.0.1", port)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    print(json.dumps({"event": "listening", "url": url}), flush=True)  # noqa: T201  # the parent's to read
    await _end_of_stdin()


async def _end_of_stdin() -> None:
    ended, loop = asyncio.Event(), asyncio.get_running_loop()

    def wait() -> None:
        while os.read(0, 4096):
            pass
        loop.call_soon_threadsafe(ended.set)

    # A thread, because uvloop reads pipes only; a daemon, so that Ctrl-C need not wait for it.
    threading.Thread(target=wait, daemon=True).start()
    await ended.wait()


if __name__ == "__main__":
    chosen = json.loads(sys.argv[2]) if len(sys.argv) > 2 else ANSWER
    uvloop.run(serve(int(sys.argv[1]), **chosen))
