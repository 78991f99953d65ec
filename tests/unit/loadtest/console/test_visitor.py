"""Whose login a request belongs to when somebody logs in again."""

import asyncio
from unittest.mock import AsyncMock, Mock

from loadtest.cluster.protocol import CpuReading
from loadtest.console.beat import Beat
from loadtest.console.history import Act, Happening, History, Operation
from loadtest.console.visitor import Visitor
from loadtest.load.client import Account, Answer, Client, Strategy
from tests.unit.loadtest.console.conftest import Served

MEMORY = Strategy("memory", "session", "/memory/login", frozenset())


async def test_what_is_sent_during_a_login_is_sent_with_the_login_before() -> None:
    told: list[Happening] = []
    answered, client = asyncio.Event(), Mock(spec=Client)
    client.mypage.return_value = Answer(401)

    async def login(_: Account) -> Answer:
        await answered.wait()
        return Answer(200)

    client.login.side_effect = login
    visitor = Visitor(MEMORY, 0, Account("somebody", "secret"), client, History(["memory"], told.append))
    for _ in range(2):
        answered.clear()
        logging_in = asyncio.create_task(visitor.log_in(1.0))
        await asyncio.sleep(0)
        await visitor.look()
        answered.set()
        assert await logging_in
        await visitor.look()
    asked = [(one.act, one.login) for one in told if isinstance(one, Operation)]
    assert asked[3:] == [  # the second time
        (Act.PAGE, "memory/0/1"),
        (Act.LOGIN, "memory/0/2"),
        (Act.PAGE, "memory/0/2"),
    ]


async def test_a_login_that_fails_begins_no_new_one() -> None:
    client = Mock(spec=Client)
    client.login.return_value = Answer(503)
    visitor = Visitor(MEMORY, 0, Account("somebody", "secret"), client, History(["memory"]))
    assert not await visitor.log_in(1.0)
    assert visitor.login == "memory/0/0"


async def test_who_begins_to_log_in_while_the_clocks_are_read_is_not_asked(served: Served) -> None:
    crowd = served.console.stage.crowd
    (strategy,) = [one for one in crowd.strategies if one.name == "memory"]
    first, second = crowd.rows[strategy.name]
    first.look, second.look = AsyncMock(), AsyncMock(return_value=Answer(200))  # type: ignore[method-assign]

    async def read() -> CpuReading | None:
        first.busy = 1
        return None

    await Beat(crowd, read).turn(strategy)
    first.look.assert_not_awaited()
    second.look.assert_awaited_once()
