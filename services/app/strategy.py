"""What a strategy is. Handlers know this and nothing else of any strategy."""

from enum import StrEnum
from typing import NamedTuple, Protocol, runtime_checkable

from aiohttp import web

COOKIE_CHALLENGE = 'Cookie realm="authscale"'  # RFC 9110 §11.6.1 asks for a challenge; cookies have no registered one


class User(NamedTuple):
    """Who asks. *id* is stable and unique, *name* is for people, *roles* decide what is allowed."""

    id: str
    name: str
    roles: tuple[str, ...] = ()


class Kind(StrEnum):
    """Where a client gets its login: nowhere, as a cookie from the strategy, as tokens from the auth service."""

    CONTROL = "control"
    SESSION = "session"
    TOKEN = "token"  # noqa: S105  # a kind, no secret


class Capability(StrEnum):
    """What a strategy can do beyond saying who asks."""

    VISITS = "visits"  # keeps state: POST visits counts
    LOGOUT = "logout"  # after a logout the old credential is dead
    ANY_REPLICA = "any-replica"  # a login made at one replica holds at all of them


class Info(NamedTuple):
    """A strategy as `GET /strategies` tells it. *login* is the URL path to POST username and password to, if any."""

    name: str
    kind: Kind
    login: str | None
    description: str
    capabilities: frozenset[Capability]


class Strategy(Protocol):
    """One way to keep login state."""

    @property
    def info(self) -> Info:
        """What the strategy is called and can do."""

    async def user(self, request: web.Request) -> User:
        """Return who asks. Raises `Unauthenticated` if nobody is logged in, `Unavailable` if it cannot know."""

    async def logout(self, request: web.Request, response: web.Response) -> None:
        """End the request's login wherever that is possible; *response* tells the client. No login is no error."""


@runtime_checkable
class LogsIn(Strategy, Protocol):
    """A strategy that starts logins itself; it gets `POST login`."""

    async def login(self, request: web.Request, response: web.Response, user: User) -> None:
        """Put a new login for *user*, whose password was right, into *response*; the one in *request* is dead."""


@runtime_checkable
class KeepsState(Strategy, Protocol):
    """A strategy that keeps state between requests; it gets `POST visits`."""

    async def visits(self, request: web.Request) -> int:
        """Count one more visit in the login's state and return the count. Raises as `user` does."""
