"""Connections of the pool that the other side closes while they are idle."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator

import pytest
import uvloop
from redis.asyncio import Connection
from redis.exceptions import ConnectionError as LostConnectionError

from services.common.redis_client import open_redis

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER


class Server:
    """Answers OK to everything."""

    def __init__(self) -> None:
        self.writers: list[asyncio.StreamWriter] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(b"+OK\r\n" * data.count(b"*"))
        writer.close()

    def close_last(self, *, reset: bool) -> None:
        writer = self.writers[-1]
        if reset:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        writer.close()


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    server = Server()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}/0"
    try:
        yield server
    finally:
        listener.close()


async def ping_after_a_close(*, reset: bool) -> None:
    async with serving() as server, open_redis(server.url, "secret") as redis:
        for number in (1, 2, 3):
            await redis.ping()
            assert len(server.writers) == number
            server.close_last(reset=reset)
            await asyncio.sleep(0.01)  # that the close arrives


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_connection_closed_while_idle_does_not_fail_the_next_command(loop: object, reset: bool) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:  # type: ignore[arg-type]
        runner.run(ping_after_a_close(reset=reset))


async def test_a_connection_that_is_lost_just_before_a_command_is_a_lost_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def closed(*_: object) -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")

    monkeypatch.setattr(Connection, "_send_packed_command", closed)
    async with serving() as server, open_redis(server.url, "secret") as redis:
        with pytest.raises(LostConnectionError, match="the handler is closed"):
            await redis.ping()
