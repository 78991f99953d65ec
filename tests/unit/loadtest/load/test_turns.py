"""The client that takes turns, and its process, against a server that follows the test's instructions."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from loadtest.load.answers import read_answer
from loadtest.load.children import GeneratorError
from loadtest.load.turn_client import Login, TurnClient, TurnError
from loadtest.load.turns import Page, Turns

PAGE = {"user": {"name": "ada"}, "replica": "app-1"}
GOOD = json.dumps(PAGE).encode()


def whole(body: bytes, status: int = 200, *fields: str) -> bytes:
    head = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


class Server:
    """Answers request n (from 1) with the pieces *answer(n)*, sent one by one; no pieces: the connection is closed."""

    def __init__(self, answer: Callable[[int], list[bytes]]) -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        self.connections = 0
        self.writers: list[asyncio.StreamWriter] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                self.requests.append(request)
                pieces = self.answer(len(self.requests))
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                if not pieces:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()


@asynccontextmanager
async def serving(answer: Callable[[int], list[bytes]]) -> AsyncIterator[Server]:
    server = Server(answer)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        for writer in server.writers:
            writer.close()
        listener.close()


def login(**cookies: str) -> Login:
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return Login("127.0.0.1", "/memory/mypage", {"Cookie": cookie} if cookie else {}, PAGE)


@asynccontextmanager
async def connected(server: Server, *logins: Login, connections: int = 4) -> AsyncIterator[TurnClient]:
    client = TurnClient()
    try:
        await client.connect("127.0.0.1", server.port, logins or [login()], connections)
        yield client
    finally:
        client.close()
        await asyncio.sleep(0)


async def test_a_turn_sends_the_given_number_of_requests_over_the_same_connections() -> None:
    async with serving(lambda _: [whole(GOOD)]) as server, connected(server) as client:
        for requests in (50, 3, 50):
            before = len(server.requests)
            turn = await client.turn(requests)
            assert turn.requests == len(server.requests) - before == requests
            assert turn.bytes_received == requests * len(whole(GOOD))
            assert turn.bytes_sent == requests * len(server.requests[0])
            assert turn.seconds > 0
        assert server.connections == 4


async def test_logins_are_spread_over_the_connections() -> None:
    async with (
        serving(lambda _: [whole(GOOD)]) as server,
        connected(server, login(session="one"), login(session="two")),
    ):
        pass
    assert sorted(b"session=two" in request for request in server.requests) == [False, False, True, True]


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "pieces",
    [
        [bytes([byte]) for byte in whole(GOOD)],
        [CHUNKED, b"5\r\n" + GOOD[:5] + b"\r\n", b"%x\r\n" % len(GOOD[5:]), GOOD[5:] + b"\r\n0\r\n", b"\r\n"],
    ],
    ids=["byte by byte", "in chunks"],
)
async def test_answers_that_arrive_in_pieces_are_joined(pieces: list[bytes]) -> None:
    async with serving(lambda _: pieces) as server, connected(server, connections=2) as client:
        assert (await client.turn(6)).requests == 6


BAD = {
    "another status": ([whole(b'{"status": 503}', 503)], 'expected 200 .*ada.*, received 503 {"status": 503}'),
    "another body": ([whole(GOOD.replace(b"ada", b"bob"))], 'expected 200 .*ada.*, received 200 .*"bob"'),
    "the same content in other bytes": ([whole(GOOD + b" ")], "expected 200"),
    "another replica": ([whole(GOOD.replace(b"app-1", b"app-2"))], "app-2"),
    "no JSON": ([whole(b"<html>")], "received 200 <html>"),
    "a closed connection": ([], "a connection was closed under a request"),
    "two answers": ([whole(GOOD) * 2], "more than one answer to a request"),
    "no length": ([b"HTTP/1.1 200 OK\r\n\r\n"], "neither a Content-Length nor chunks"),
    "no HTTP": ([b"SSH-2.0\r\n\r\n"], "no answer in HTTP/1.1"),
}


@pytest.mark.parametrize(("pieces", "message"), BAD.values(), ids=BAD)
async def test_one_wrong_answer_among_many_ends_the_turn(pieces: list[bytes], message: str) -> None:
    def answer(number: int) -> list[bytes]:
        return pieces if number == 30 else [whole(GOOD)]

    async with serving(answer) as server, connected(server, login(session="s3cret")) as client:
        with pytest.raises(TurnError, match=message) as error:
            await client.turn(100)
        assert "s3cret" not in str(error.value)
        with pytest.raises(TurnError, match=message):  # and later answers are not accepted either
            await client.turn(1)


async def test_a_wrong_first_answer_does_not_become_the_expected_one() -> None:
    async with serving(lambda _: [whole(GOOD.replace(b"ada", b"bob"))]) as server:
        with pytest.raises(TurnError, match="expected 200"):
            async with connected(server):
                pass


async def test_a_hanging_server_is_an_error_that_says_how_many_answers_came() -> None:
    def answer(number: int) -> list[bytes]:
        return [whole(GOOD)] if number <= 10 else [b"HTTP/1.1 "]

    async with serving(answer) as server, connected(server) as client:
        with pytest.raises(TurnError, match=r"14 of 20 answers did not come within 0\.1 s"):
            await client.turn(20, patience=0.1)


async def test_a_connection_that_is_closed_between_turns_is_an_error() -> None:
    async with serving(lambda _: [whole(GOOD)]) as server, connected(server) as client:
        server.writers[0].close()
        await asyncio.sleep(0.05)
        with pytest.raises(TurnError, match="closed while idle"):
            await client.turn(4)


async def test_cookies_set_by_an_answer_are_sent_from_then_on() -> None:
    def answer(number: int) -> list[bytes]:
        return [whole(GOOD, 200, "Set-Cookie: affinity=x; Path=/", f"Set-Cookie: session={number}; HttpOnly")]

    async with serving(answer) as server, connected(server, login(session="0", other="o"), connections=1) as client:
        await client.turn(2)
    sent = [request.partition(b"Cookie: ")[2].strip().decode() for request in server.requests]
    assert sent == ["session=0; other=o", "session=1; other=o; affinity=x", "session=2; other=o; affinity=x"]


def test_incomplete_answers_do_not_count() -> None:
    content = whole(GOOD, 200, "X-Replica: app-1", "x-replica: b")
    assert [end for end in range(len(content) + 1) if read_answer(content[:end])] == [len(content)]
    answer = read_answer(content + b"rest")
    assert answer is not None
    assert (answer.status, answer.body, answer.size) == (200, GOOD, len(content))
    assert answer.values("x-replica") == ["app-1", "b"]


def test_a_head_without_an_end_is_refused() -> None:
    with pytest.raises(ValueError, match="no end"):
        read_answer(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000)


async def test_a_process_takes_turns(tmp_path: Path) -> None:
    page = Page("/memory/mypage", {"Cookie": "session=1"}, PAGE)
    async with serving(lambda _: [whole(GOOD)]) as server, Turns("memory", tmp_path / "log") as turns:
        await turns.connect(f"http://127.0.0.1:{server.port}", [page], 4)
        done = await turns.turn(40)
        assert (done["requests"], len(server.requests)) == (40, 44)
        assert done["client_cpu"] > 0
        await turns.disconnect()
        await turns.connect(f"http://127.0.0.1:{server.port}", [page], 2)
        assert server.connections == 6


async def test_a_process_reports_what_was_wrong_without_credentials(tmp_path: Path) -> None:
    page = Page("/jwt/mypage", {"Authorization": "Bearer s3cret"}, PAGE)
    assert "s3cret" not in repr(page)

    def answer(number: int) -> list[bytes]:
        return [whole(b"no", 401) if number > 9 else whole(GOOD)]

    async with serving(answer) as server, Turns("jwt", tmp_path / "log") as turns:
        await turns.connect(f"http://127.0.0.1:{server.port}", [page], 4)
        with pytest.raises(GeneratorError, match=r"client for jwt: expected 200 .*ada.*, received 401 no") as error:
            await turns.turn(40)
    assert "s3cret" not in str(error.value)


async def test_a_refused_connection_is_an_error(tmp_path: Path) -> None:
    async with Turns("jwt", tmp_path / "log") as turns:
        with pytest.raises(GeneratorError, match=r"cannot connect to 127\.0\.0\.1:1"):
            await turns.connect("http://127.0.0.1:1", [Page("/", {}, PAGE)], 1)


async def test_the_end_of_stdin_ends_the_process(tmp_path: Path) -> None:
    async with Turns("jwt", tmp_path / "log") as turns:
        process = turns._child._process
        assert process is not None
        assert process.stdin is not None
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), 20) == 0
