"""The bare server as a child process that can be asked for its address and its CPU seconds."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import aiohttp

from loadtest.cluster.clocks import Meter
from loadtest.cluster.protocol import ClusterError, CpuReading
from loadtest.load.children import Child

NAME = "bare server"  # in figures
START_SECONDS = 15.0
OF_THE_SERVER = {"Date", "Server", "Content-Length"}
"""Headers that aiohttp writes by itself."""


class BareServer:
    """An async context manager: entered, it answers every request with *headers* and *body* at `url`. *log*: stderr."""

    def __init__(self, headers: Mapping[str, str], body: str, log: Path) -> None:
        self.url = ""
        self.body = body
        answer = json.dumps({"headers": dict(headers), "body": body})
        self._child = Child(NAME, [sys.executable, "-m", "loadtest.load.bare_server", "0", answer], log)
        self._meter = Meter(lambda: {NAME: ("app", self._child.pid)})

    @classmethod
    async def like(cls, page: str, log: Path) -> Self:
        """Return a server that will answer as *page* (a URL) does now. Raises `ClusterError`."""
        try:
            headers, body = await _get(page)
        except aiohttp.ClientError as error:
            raise ClusterError(f"GET {page}: {error}") from None
        return cls({name: value for name, value in headers.items() if name not in OF_THE_SERVER}, body, log)

    async def __aenter__(self) -> Self:
        await self._child.start()
        try:
            self.url = (await self._child.expect("listening", START_SECONDS))["url"]
        except BaseException:
            await self._child.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._meter.forget()
        await self._child.close()

    def cpu(self) -> CpuReading:
        """Read its CPU clock, as that of an app tier."""
        return self._meter.read()


async def _get(page: str) -> tuple[Mapping[str, str], str]:
    async with aiohttp.ClientSession() as http, http.get(page, raise_for_status=True) as response:
        return response.headers, await response.text()
