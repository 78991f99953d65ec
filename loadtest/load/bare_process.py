"""The bare server as a child process that can be asked for its address and its CPU seconds."""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import aiohttp

from loadtest.cluster.clocks import Meter
from loadtest.cluster.protocol import ClusterError, CpuReading
from loadtest.load.children import end, pipes

NAME = "bare server"  # in figures
START_SECONDS = 15.0
OF_THE_SERVER = {"Date", "Server", "Content-Length"}
"""Headers that aiohttp writes by itself."""


class BareServer:
    """An async context manager: entered, it answers every request with *headers* and *body* at `url`. *log*: stderr."""

    def __init__(self, headers: Mapping[str, str], body: str, log: Path) -> None:
        self.url = ""
        self.body = body
        self._answer = json.dumps({"headers": dict(headers), "body": body})
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._meter = Meter(lambda: {NAME: ("app", self._process.pid)} if self._process else {})

    @classmethod
    async def like(cls, page: str, log: Path) -> Self:
        """Return a server that will answer as *page* (a URL) does now. Raises `ClusterError`."""
        try:
            headers, body = await _get(page)
        except aiohttp.ClientError as error:
            raise ClusterError(f"GET {page}: {error}") from None
        return cls({name: value for name, value in headers.items() if name not in OF_THE_SERVER}, body, log)

    async def __aenter__(self) -> Self:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "loadtest.load.bare_server", "0", self._answer), **pipes(), stderr=log
            )
        try:
            self.url = await self._address(self._process)
        except BaseException:
            await end(self._process)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._meter.forget()
        if self._process is not None:
            await end(self._process)

    async def _address(self, process: asyncio.subprocess.Process) -> str:
        assert process.stdout is not None  # noqa: S101  # a pipe, see above
        try:
            line = await asyncio.wait_for(process.stdout.readline(), START_SECONDS)
        except TimeoutError:
            line = b""
        if not line:
            raise ClusterError(f"the bare server did not start:\n{self._log.read_text(errors='replace')[-2000:]}")
        return line.decode().strip()

    def cpu(self) -> CpuReading:
        """Read its CPU clock, as that of an app tier."""
        return self._meter.read()


async def _get(page: str) -> tuple[Mapping[str, str], str]:
    async with aiohttp.ClientSession() as http, http.get(page, raise_for_status=True) as response:
        return response.headers, await response.text()
