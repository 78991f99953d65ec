"""Connections to PostgreSQL that take longer than a caller waits. There is no server: the test sets the pace."""

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


async def test_the_next_caller_takes_over_a_connection_that_took_too_long_for_the_first(server: Server) -> None:
    connector, connection = Connector(), Mock()
    for _ in range(3):
        await given_up(connector, server, 1)
    server.attempts[0].set_result(connection)
    assert await connector() is connection
    assert len(server.attempts) == 1


async def test_a_connection_attempt_that_failed_in_the_meantime_is_not_reused(server: Server) -> None:
    connector, connection = Connector(), Mock()
    await given_up(connector, server, 1)
    server.attempts[0].set_exception(OSError())
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # the attempt ends, and its callback runs
    caller = asyncio.ensure_future(connector())
    while len(server.attempts) < 2:  # noqa: ASYNC110  # as above
        await asyncio.sleep(0)
    server.attempts[1].set_result(connection)
    assert await caller is connection


async def test_connections_that_nobody_took_over_are_closed_at_the_end(server: Server) -> None:
    connector, connection = Connector(), Mock()
    await given_up(connector, server, 1)
    server.attempts[0].set_result(connection)
    while not connector._abandoned[0].done():  # noqa: ASYNC110  # as above
        await asyncio.sleep(0)
    await connector.close()
    connection.terminate.assert_called_once_with()


async def test_connection_attempts_still_under_way_at_the_end_are_cancelled(server: Server) -> None:
    connector = Connector()
    await given_up(connector, server, 1)
    await connector.close()
    assert server.attempts[0].cancelled()
