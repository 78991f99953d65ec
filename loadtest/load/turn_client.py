"""A client that costs less per request than any server of ours: a fixed number of requests, every answer compared."""

import asyncio
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple, cast

from loadtest.load.answers import Answer, read_answer

PATIENCE_SECONDS = 20.0
SHOWN = 300


class TurnError(Exception):
    """An answer was wrong or did not come. The message shows no request: requests hold credentials."""


class Turn(NamedTuple):
    """The number of *requests*, all answered correctly, the *seconds* they took, and the bytes of all of them."""

    requests: int
    seconds: float
    bytes_sent: int
    bytes_received: int


class Login:
    """The request of one login, made once, and what must come back.

    *page* is the content of the answer (JSON). The first answer must have that content, all later ones the same bytes.
    If its `replica` is a list of names, any of them may answer, each with bytes of its own.
    """

    def __init__(self, host: str, target: str, headers: Mapping[str, str], page: object) -> None:
        others = {name: value for name, value in headers.items() if name != "Cookie"}
        fields = "".join(f"{name}: {value}\r\n" for name, value in {"Host": host, **others}.items())
        self._head = f"GET {target} HTTP/1.1\r\n{fields}"
        self._cookies = _pairs(headers.get("Cookie", "").split("; "))
        self._page = page
        self._expected = _one_each(page)
        self._bodies: set[bytes] = set()
        self.request = self._made()

    def check(self, answer: Answer) -> None:
        """Raise `TurnError` unless *answer* is the page. Cookies that it sets are sent from now on."""
        if answer.status != HTTPStatus.OK or answer.body not in self._bodies:
            self._check_content(answer)
        if b"\r\nSet-Cookie:" in answer.head:
            self._keep(answer.values("set-cookie"))

    def _check_content(self, answer: Answer) -> None:
        try:
            content = json.loads(answer.body)
        except ValueError:
            content = None
        if answer.status != HTTPStatus.OK or content not in self._expected:
            received = answer.body[:SHOWN].decode(errors="replace")
            raise TurnError(f"expected 200 {json.dumps(self._page)}, received {answer.status} {received}")
        self._expected.remove(content)
        self._bodies.add(answer.body)

    def _keep(self, lines: Iterable[str]) -> None:
        new = self._cookies | _pairs(line.partition(";")[0] for line in lines)
        if new != self._cookies:
            self._cookies = new
            self.request = self._made()

    def _made(self) -> bytes:
        cookie = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        return (self._head + (f"Cookie: {cookie}\r\n" if cookie else "") + "\r\n").encode("latin-1")


def _one_each(page: object) -> list[object]:
    """Return what may answer: *page*, or if its `replica` is a list, one page for each name."""
    if isinstance(page, dict) and isinstance(page.get("replica"), list):
        return [page | {"replica": name} for name in page["replica"]]
    return [page]


def _pairs(texts: Iterable[str]) -> dict[str, str]:
    return {name: value for name, _, value in (text.partition("=") for text in texts) if name}


class Connection(asyncio.Protocol):
    """One kept-alive connection of *client*, which sends the requests of *login*, one at a time."""

    def __init__(self, client: "TurnClient", login: Login) -> None:
        self._client = client
        self._login = login
        self._received = b""
        self._transport: asyncio.Transport | None = None
        self.waiting = False
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's class is another one with the same methods

    def send(self) -> None:
        """Send the next request."""
        assert self._transport is not None  # noqa: S101  # connected
        self.waiting = True
        self._client.bytes_sent += len(self._login.request)
        self._transport.write(self._login.request)

    def data_received(self, data: bytes) -> None:
        """Compare the answer when it is complete, and go on."""
        received = self._received + data if self._received else data
        try:
            answer = read_answer(received)
            if answer is None:
                self._received = received
                return
            self._login.check(answer)
        except (TurnError, ValueError) as error:
            self._client.fail(error)
            return
        if not self.waiting or answer.size != len(received):
            self._client.fail(TurnError(f"more than one answer to a request: {received[answer.size :][:SHOWN]!r}"))
            return
        self._received, self.waiting = b"", False
        self._client.bytes_received += answer.size
        self._client.answered(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        """It is an error unless we closed it."""
        if not self.closed:
            self.closed = True
            self._client.fail(
                TurnError(f"a connection was closed {'under a request' if self.waiting else 'while idle'}")
            )

    def close(self) -> None:
        """Close the connection."""
        self.closed = True
        if self._transport is not None:
            self._transport.abort()


class TurnClient:
    """Several connections to one address, over which turns are sent in a closed loop."""

    def __init__(self) -> None:
        self._connections: list[Connection] = []
        self._unsent = self._unanswered = 0
        self.bytes_sent = self.bytes_received = 0
        self._failure: TurnError | None = None
        self._over: asyncio.Future[None] | None = None

    async def connect(self, host: str, port: int, logins: Sequence[Login], connections: int) -> None:
        """Open that many new connections, spread over *logins*, and ask each for one page. Raises `TurnError`.

        Connections that were open before are closed.
        """
        self.close()
        loop = asyncio.get_running_loop()
        for number in range(connections):
            login = logins[number % len(logins)]
            try:
                _, connection = await loop.create_connection(lambda: Connection(self, login), host, port)  # noqa: B023
            except OSError as error:
                raise TurnError(f"cannot connect to {host}:{port}: {error}") from None
            self._connections.append(connection)
        await self.turn(connections)

    async def turn(self, requests: int, patience: float = PATIENCE_SECONDS) -> Turn:
        """Send *requests* and return when all answers are in. Raises `TurnError` at the first one that is wrong."""
        if self._failure:
            raise self._failure
        self._over = asyncio.get_running_loop().create_future()
        first = self._connections[:requests]
        self._unsent, self._unanswered = requests - len(first), requests
        self.bytes_sent = self.bytes_received = 0
        began = time.perf_counter()
        for connection in first:
            connection.send()
        try:
            async with asyncio.timeout(patience):
                await self._over
        except TimeoutError:
            self.fail(TurnError(f"{self._unanswered} of {requests} answers did not come within {patience:g} s"))
            raise self._failure or TurnError from None
        return Turn(requests, time.perf_counter() - began, self.bytes_sent, self.bytes_received)

    def answered(self, connection: Connection) -> None:
        """Send the next request over *connection*, unless all have been sent."""
        self._unanswered -= 1
        if self._unsent:
            self._unsent -= 1
            connection.send()
        elif not self._unanswered and self._over is not None and not self._over.done():
            self._over.set_result(None)

    def fail(self, error: Exception) -> None:
        """End the turn, and all later ones, with *error*."""
        if self._failure is None:
            self._failure = error if isinstance(error, TurnError) else TurnError(f"no proper answer: {error}")
        if self._over is not None and not self._over.done():
            self._over.set_exception(self._failure)

    def close(self) -> None:
        """Close all connections, and forget what went wrong with them."""
        for connection in self._connections:
            connection.close()
        self._connections, self._failure = [], None
