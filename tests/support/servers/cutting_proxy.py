"""A TCP proxy in front of Redis that loses an answer when told to."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


class CuttingProxy:
    """Forwards everything but loses one answer: that to the first command that contains a given word (`cut_at`).

    Redis has carried out the command by then. *cuts* is 1 as soon as that has happened.
    """

    def __init__(self, redis_url: str) -> None:
        place = urlsplit(redis_url)
        self._host, self._port = place.hostname, place.port
        self._word = b""
        self.cuts = 0
        self.url = ""

    def cut_at(self, word: bytes) -> None:
        """Close the connection that next sends *word*, after Redis has answered."""
        self._word, self.cuts = word, 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        answers, questions = await asyncio.open_connection(self._host, self._port)
        answering = asyncio.create_task(self._pass_on(answers, writer))
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                if self._word and self._word in data:
                    self._word = b""
                    answering.cancel()
                    await asyncio.wait({answering})
                    questions.write(data)
                    await answers.read(65536)  # Redis has done it
                    self.cuts += 1
                    break
                questions.write(data)
        answering.cancel()
        questions.close()
        writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()


@asynccontextmanager
async def cutting_proxy(redis_url: str) -> AsyncIterator[CuttingProxy]:
    """Yield a proxy before the Redis at *redis_url*. Its connections live on until their clients close them."""
    proxy = CuttingProxy(redis_url)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}{urlsplit(redis_url).path}"
    try:
        yield proxy
    finally:
        server.close()
