"""An HTTP client that sends the given bytes, including those that no client library would send."""

import asyncio
from types import TracebackType
from typing import NamedTuple, Self

HANG_SECONDS = 2.0
APART_SECONDS = 0.005  # between pieces that are to reach the server one by one


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
        kept = self.version == b"HTTP/1.1" or b"keep-alive" in self.all_of(b"connection")
        return b"close" in self.all_of(b"connection") or not kept


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
        sent = b"\r\n".join([b"%s %s HTTP/1.1" % (method, path.encode()), b"Host: x", *headers, b"", b""])
        answer = await self.exchange(sent)
        if answer is None:
            raise ConnectionResetError("closed without an answer")
        return answer

    async def exchange(self, *pieces: bytes) -> RawAnswer | None:
        """Send *pieces* and return the first answer; None if the server closes without one. TimeoutError as `ask`."""
        reader = await self.send(*pieces)
        async with asyncio.timeout(HANG_SECONDS):
            answer = await _read(reader, bodiless=pieces[0].startswith(b"HEAD "))
        if answer is None or answer.closes:
            self._close()
        return answer

    async def send(self, *pieces: bytes) -> asyncio.StreamReader:
        """Send *pieces* and return the stream of the answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        for number, piece in enumerate(pieces):
            if number:
                await asyncio.sleep(APART_SECONDS)
            writer.write(piece)
        return reader

    def _close(self) -> None:
        if self._streams:
            self._streams[1].close()
        self._streams = None


async def _read(reader: asyncio.StreamReader, *, bodiless: bool = False) -> RawAnswer | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial.startswith(b"HTTP/"):
            raise
        return None  # nothing, or what HTTP/0.9 gets: a body without a head
    first, *lines = head[:-4].split(b"\r\n")
    version, status, *_ = first.split(b" ")
    if status.startswith(b"1"):  # interim (RFC 9110 §15.2)
        return await _read(reader, bodiless=bodiless)
    pairs = (line.partition(b":") for line in lines)
    headers = [(name.lower(), value.strip()) for name, _, value in pairs]
    length = 0 if bodiless else int(dict(headers).get(b"content-length", 0))
    return RawAnswer(version, int(status), headers, await reader.readexactly(length))
