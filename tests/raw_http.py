"""An HTTP client that sends the very bytes it is given: those that no client library would send."""

import asyncio
from types import TracebackType
from typing import NamedTuple, Self

HANG_SECONDS = 2.0


class RawAnswer(NamedTuple):
    """Version and status, headers as sent (names in small letters) and body."""

    version: bytes
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def all_of(self, name: bytes) -> list[bytes]:
        """Return the values of the headers *name*."""
        return [value for one, value in self.headers if one == name]

    @property
    def closes(self) -> bool:
        """Whether the server closes the connection now (RFC 9112 §9.3)."""
        return b"close" in self.all_of(b"connection") or self.version == b"HTTP/1.0"


class RawConnection:
    """A connection to *port* of the loopback address; kept while the server keeps it, and opened again after that."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._close()

    async def ask(self, method: bytes, path: str, *headers: bytes) -> RawAnswer:
        """Send a request without a body and return the answer. TimeoutError after `HANG_SECONDS`."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(b"\r\n".join([b"%s %s HTTP/1.1" % (method, path.encode()), b"Host: x", *headers, b"", b""]))
        async with asyncio.timeout(HANG_SECONDS):
            answer = await _read(reader)
        if answer.closes:
            self._close()
        return answer

    def _close(self) -> None:
        if self._streams:
            self._streams[1].close()
        self._streams = None


async def _read(reader: asyncio.StreamReader) -> RawAnswer:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].split(b"\r\n")
    pairs = (line.partition(b":") for line in lines)
    headers = [(name.lower(), value.strip()) for name, _, value in pairs]
    body = await reader.readexactly(int(dict(headers).get(b"content-length", 0)))
    version, status, *_ = first.split(b" ")
    return RawAnswer(version, int(status), headers, body)
