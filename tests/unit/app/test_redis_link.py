"""The link to Redis, against a server that answers what and when the test says."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from redis.exceptions import ResponseError

from services.app.redis_link import connection as redis_connection
from services.app.redis_link import link as redis_link
from services.app.redis_link.link import RedisLink
from services.common.http.problems import Unavailable
from services.common.redis_client import TIMEOUT_SECONDS

OK, PONG = b"+OK\r\n", b"+PONG\r\n"


class Server:
    """A server that introduces itself like Redis, answers PING while it *lives*, and lets the test answer the rest."""

    def __init__(self) -> None:
        self.lives = True
        self.reads: list[bytes] = []
        self.connections = 0
        self.port = 0
        self.listener: asyncio.Server
        self.writer: asyncio.StreamWriter | None = None
        self.pong = PONG
        self.hello = b"%1\r\n$5\r\nproto\r\n:3\r\n"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writer = writer
        answers = {b"HELLO": self.hello, b"SELECT": OK}
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                self.reads += [b"*" + part for part in data.split(b"*")[1:]]
                if self.lives:
                    writer.write(b"".join(answer * data.count(word) for word, answer in answers.items()))
                    writer.write(self.pong * data.count(b"PING"))
        writer.close()

    def cut(self) -> None:
        assert self.writer
        self.writer.close()

    def say(self, data: bytes) -> None:
        assert self.writer
        self.writer.write(data)

    async def has(self, word: bytes, count: int = 1) -> None:
        async with asyncio.timeout(5):
            while sum(word in read for read in self.reads) < count:  # noqa: ASYNC110  # the server tells nobody
                await asyncio.sleep(0)


@asynccontextmanager
async def serving(fake: Server) -> AsyncIterator[Server]:
    fake.listener = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    fake.port = fake.listener.sockets[0].getsockname()[1]
    yield fake
    fake.listener.close()
    await asyncio.sleep(0.01)  # the last connections close


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving(Server()) as fake:
        yield fake


@asynccontextmanager
async def linked(server: Server) -> AsyncIterator[RedisLink]:
    link = RedisLink(f"redis://127.0.0.1:{server.port}/2", "secret")
    life = link.kept(web.Application())
    await anext(life)
    try:
        yield link
    finally:
        async for _ in life:
            raise AssertionError


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # what is waited for tells nobody
            await asyncio.sleep(0)


async def at_once(looking_up: Coroutine[Any, Any, Any]) -> Any:
    """Return the result of *looking_up*, which must not wait for anything."""
    looking_up.send(None)
    raise AssertionError("it waits")


def ask(link: RedisLink, *command: str, **options: Any) -> asyncio.Task[Any]:
    """Look up in the background."""
    return asyncio.create_task(link.look_up(*command, **options))


async def test_it_introduces_itself_and_chooses_its_database(server: Server) -> None:
    async with linked(server) as link:
        assert link.up
        assert await link.missing() is None
        assert b"HELLO" in server.reads[0]
        assert b"secret" in server.reads[0]
        assert server.reads[1] == b"*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n"


async def test_questions_of_one_loop_turn_are_written_together_and_answers_come_in_order(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with linked(server) as link:
        before = len(server.reads)
        futures = [ask(link, "GET", f"key{n}") for n in range(5)]
        transport = link._connection._transport  # type: ignore[union-attr]
        assert transport
        written: list[bytes] = []
        send = transport.write

        def write(data: Any) -> None:
            written.append(data)
            send(data)

        monkeypatch.setattr(transport, "write", write)
        await server.has(b"key4")
        assert len(written) == 1
        assert len(server.reads) >= before + 5
        server.say(b"$1\r\n0\r\n$1\r\n1\r\n_\r\n")
        assert [await one for one in futures[:3]] == [b"0", b"1", None]
        server.say(b"$1\r\n")  # half an answer
        server.say(b"3\r\n-WRONGTYPE that is another\r\n")
        assert await futures[3] == b"3"
        with pytest.raises(ResponseError, match="WRONGTYPE"):
            await futures[4]


async def test_an_answer_is_handled_before_later_messages(server: Server) -> None:
    async with linked(server) as link:
        seen: list[Any] = []
        link.on_push = seen.append
        future = ask(link, "GET", "key", on_answer=seen.append)
        await server.has(b"GET")
        server.say(b"$3\r\nold\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$3\r\nkey\r\n")
        assert await future == b"old"
        assert seen == [b"old", [b"invalidate", [b"key"]]]


async def test_a_cancelled_question_keeps_its_place_in_the_order(server: Server) -> None:
    async with linked(server) as link:
        gone, here = ask(link, "GET", "a"), ask(link, "GET", "b")
        await server.has(b"GET", 2)
        gone.cancel()
        server.say(b"$1\r\na\r\n$1\r\nb\r\n")
        assert await here == b"b"


async def test_silence_opens_the_circuit_and_then_nobody_waits(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    lost: list[bool] = []
    async with linked(server) as link:
        link.on_lost = lambda: lost.append(True)
        server.lives = False
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await link.look_up("GET", "key")
        assert time.monotonic() - began > 0.2
        assert not link.up
        assert lost == [True]
        for _ in range(100):
            with pytest.raises(Unavailable):
                await link.look_up("GET", "key")
        server.lives = True
        await until(lambda: link.up)
        assert server.connections >= 2
    assert "no answer within" in caplog.text


async def test_silence_is_noticed_even_if_nobody_asks(server: Server) -> None:
    async with linked(server) as link:
        server.lives = False
        await until(lambda: not link.up)


async def test_a_late_event_loop_is_not_blamed_on_redis(server: Server) -> None:
    async with linked(server) as link:
        future = ask(link, "GET", "key")
        await server.has(b"GET")
        server.say(b"$1\r\n1\r\n")
        time.sleep(TIMEOUT_SECONDS + 0.1)  # noqa: ASYNC251  # the whole process stands still
        assert await future == b"1"
        assert link.up


@pytest.fixture
def one_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a link make one attempt to reconnect, and no other during the test."""
    monkeypatch.setattr(redis_link, "RETRY_SECONDS", 3600)


@pytest.mark.usefixtures("one_attempt")
async def test_a_lost_connection_is_replaced_at_once_and_every_question_is_answered(server: Server) -> None:
    async with linked(server) as link:
        in_flight = ask(link, "GET", "key")
        await server.has(b"GET")
        server.cut()
        await until(lambda: not link.up)
        later = ask(link, "GET", "another")
        await server.has(b"another")
        assert sum(b"GET" in read for read in server.reads) == 3
        server.say(b"$1\r\n1\r\n$1\r\n2\r\n")
        assert [await in_flight, await later] == [b"1", b"2"]
        assert server.connections == 2


@pytest.mark.usefixtures("one_attempt")
async def test_a_question_whose_connection_is_lost_twice_is_asked_again(server: Server) -> None:
    async with linked(server) as link:
        future = ask(link, "GET", "key")
        for attempt in (1, 2):
            await server.has(b"GET", attempt)
            server.cut()
        await server.has(b"GET", 3)
        server.say(b"$1\r\n1\r\n")
        assert await future == b"1"


@pytest.mark.usefixtures("one_attempt")
async def test_nobody_waits_for_more_than_the_first_attempt(server: Server) -> None:
    async with linked(server) as link:
        in_flight = ask(link, "GET", "key")
        await server.has(b"GET")
        server.listener.close()
        server.cut()
        await until(lambda: not link.up)
        later = ask(link, "GET", "key")
        for waiting in (in_flight, later):
            with pytest.raises(Unavailable):
                await waiting
        for _ in range(100):
            with pytest.raises(Unavailable):
                await at_once(link.look_up("GET", "key"))


async def test_a_question_in_flight_waits_no_longer_than_any_other(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time counts from when it was asked, not from when its connection was cut."""
    for module in (redis_link, redis_connection):
        monkeypatch.setattr(module, "TIMEOUT_SECONDS", 1.0)
    async with linked(server) as link:
        in_flight = ask(link, "GET", "key")
        await server.has(b"GET")
        server.lives = False
        await asyncio.sleep(0.8)
        server.cut()
        await server.has(b"HELLO", 2)
        later = ask(link, "GET", "key")
        with pytest.raises(TimeoutError):
            await in_flight
        assert not later.done()
        with pytest.raises((TimeoutError, Unavailable)):  # its own end, or the attempt's, which come together
            await later


async def test_a_connection_that_is_lost_as_soon_as_it_is_made_does_not_count(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive = redis_connection.RedisConnection.data_received

    def receive_the_last(self: redis_connection.RedisConnection, data: bytes) -> None:
        receive(self, data)
        if not self._waiting:
            self.connection_lost(None)

    with monkeypatch.context() as patched:
        patched.setattr(redis_connection.RedisConnection, "data_received", receive_the_last)
        async with linked(server) as link:
            assert not link.up
            patched.undo()
            await until(lambda: link.up)


@pytest.mark.parametrize("nonsense", [b"HTTP/1.1 400 Bad Request\r\n", b"+nobody asked\r\n"])
async def test_a_protocol_error_ends_the_connection(
    server: Server, nonsense: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with linked(server):
        first = server.connections
        server.say(nonsense)
        await until(lambda: server.connections > first)
    assert "unusable answer" in caplog.text


async def test_a_wrong_password_is_logged_once_and_the_link_stays_down(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    fake = Server()
    fake.hello = b"-WRONGPASS invalid username-password pair\r\n"
    async with serving(fake), linked(fake) as link:
        assert not link.up
        assert await link.missing() == "Redis has not answered yet"
        await fake.has(b"HELLO", 3)
    assert caplog.text.count("WRONGPASS") == 1
    assert "secret" not in caplog.text


async def test_a_redis_that_is_loading_its_log_is_not_ready_and_is_asked_again(server: Server) -> None:
    async with linked(server) as link:
        server.pong = b"-LOADING Redis is loading the dataset in memory\r\n"
        await until(lambda: not link.up)
        first = server.connections
        await until(lambda: link.up or server.connections >= first + 2)
        assert not link.up
        server.pong = PONG
        await until(lambda: link.up)
        future = ask(link, "GET", "key")
        await server.has(b"GET")
        server.say(b"$1\r\n1\r\n")
        assert await future == b"1"
