"""Connections to PostgreSQL that take longer to make than one caller waits. No server: its pace is the test's."""

import asyncio
from unittest.mock import Mock

import asyncpg
import pytest

from services.auth.database.engines import Connector


class Server:
    """Stands in for `asyncpg.connect`: answers when it is told to."""

    def __init__(self) -> None:
        self.attempts: list[asyncio.Future[Mock]] = []

    async def connect(self, *_: object, **__: object) -> Mock:
        self.attempts.append(asyncio.get_running_loop().create_future())
        return await self.attempts[-1]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    slow = Server()
    monkeypatch.setattr(asyncpg, "connect", slow.connect)
    return slow


async def given_up(connector: Connector, server: Server, attempts: int) -> None:
    """Ask for a connection, and be cancelled once *attempts* have been made."""
    caller = asyncio.ensure_future(connector())
    while len(server.attempts) < attempts:  # noqa: ASYNC110  # a turn of the loop is what is waited for
        await asyncio.sleep(0)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)


async def test_the_next_caller_gets_the_connection_that_took_too_long_for_the_first(server: Server) -> None:
    connector, connection = Connector(), Mock()
    for _ in range(3):
        await given_up(connector, server, 1)
    server.attempts[0].set_result(connection)
    assert await connector() is connection
    assert len(server.attempts) == 1


async def test_an_attempt_that_failed_meanwhile_is_nobodys(server: Server) -> None:
    connector, connection = Connector(), Mock()
    await given_up(connector, server, 1)
    server.attempts[0].set_exception(OSError())
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # the attempt ends, and what watches it is told
    caller = asyncio.ensure_future(connector())
    while len(server.attempts) < 2:  # noqa: ASYNC110  # as above
        await asyncio.sleep(0)
    server.attempts[1].set_result(connection)
    assert await caller is connection


async def test_what_nobody_fetched_is_closed_in_the_end(server: Server) -> None:
    connector, connection = Connector(), Mock()
    await given_up(connector, server, 1)
    server.attempts[0].set_result(connection)
    while not connector._abandoned[0].done():  # noqa: ASYNC110  # as above
        await asyncio.sleep(0)
    await connector.close()
    connection.terminate.assert_called_once_with()


async def test_what_is_still_connecting_in_the_end_is_cancelled(server: Server) -> None:
    connector = Connector()
    await given_up(connector, server, 1)
    await connector.close()
    assert server.attempts[0].cancelled()
