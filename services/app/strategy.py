"""What a strategy is. Handlers know this and nothing else of any strategy."""

from enum import StrEnum
from typing import NamedTuple, Protocol, runtime_checkable

from aiohttp import web

COOKIE_CHALLENGE = 'Cookie realm="authscale"'  # RFC 9110 §11.6.1 asks for a challenge; cookies have no registered one
ADMIN_ROLE = "admin"


class User(NamedTuple):
    """Who asks. *id* is stable and unique, *name* is for people, *roles* decide what is allowed."""

    id: str
    name: str
    roles: tuple[str, ...] = ()


class Authenticated(NamedTuple):
    """A user whose password was right *at* that Unix time, or was read then: the auth service's clock says so.

    What ended the user's logins later than that ended this one, too.
    """

    user: User
    at: float


class ListedDevice(NamedTuple):
    """One of a user's logins, for him to recognize. Unix times; *current*: the one that asks."""

    id: str
    created_at: float
    last_seen_at: float
    address: str
    user_agent: str
    current: bool


class Kind(StrEnum):
    """Where a client gets its login: nowhere, as a cookie from the strategy, as tokens from the auth service."""

    CONTROL = "control"
    SESSION = "session"
    TOKEN = "token"  # noqa: S105  # a kind, no secret


class Reach(StrEnum):
    """Whose logins are listed and ended."""

    REPLICA = "replica"
    CLUSTER = "cluster"


class Capability(StrEnum):
    """What a strategy can do beyond saying who asks."""

    VISITS = "visits"  # keeps state: POST visits counts
    ATOMIC = "atomic-writes"  # of writes at once none is lost, and no old credential brings an old state back
    LOGOUT = "logout"  # after a logout the old credential is dead
    ANY_REPLICA = "any-replica"  # a login made at one replica holds at all of them
    DEVICES = "devices"  # a user can list and end own logins
    FORCED_LOGOUT = "forced-logout"  # somebody else can end a user's logins, here or at the auth service


class Facts(NamedTuple):
    """What readers compare strategies by: a few words each, for the tables in the documentation.

    *state* is where the login state lives, *request* what a request costs. *without_replica*, *without_redis* and
    *without_auth* say what is lost when one of them dies. *staleness* is how long a replica may continue with something
    that was changed or ended elsewhere.
    """

    state: str
    request: str
    without_replica: str = "nothing"
    without_redis: str = "nothing"
    without_auth: str = "new logins"
    forced_logout: str = "no"
    staleness: str = "none"


class Info(NamedTuple):
    """What a strategy says about itself; `GET /strategies` serves it, without *facts*.

    *choose_when* is one sentence, "Choose it when ...": the strategy's own advice to whoever compares strategies.
    """

    name: str
    kind: Kind
    description: str
    capabilities: frozenset[Capability]
    choose_when: str
    facts: Facts

    @property
    def login(self) -> str | None:
        """The URL path to POST username and password to, if any."""
        return {Kind.CONTROL: None, Kind.SESSION: f"/{self.name}/login", Kind.TOKEN: "/auth/login"}[self.kind]


class Strategy(Protocol):
    """One way to keep login state."""

    @property
    def info(self) -> Info:
        """What the strategy is called and can do."""

    async def user(self, request: web.Request) -> User:
        """Return who asks. Raises `Unauthenticated` if nobody is logged in, `Unavailable` if it cannot know."""

    async def logout(self, request: web.Request, response: web.Response) -> None:
        """End the request's login wherever that is possible; *response* tells the client. No login is no error.

        Raises a `Problem` if the login may go on although the strategy promises that a logout ends it.
        """


@runtime_checkable
class LogsIn(Strategy, Protocol):
    """A strategy that starts logins itself; it gets `POST login`."""

    async def login(self, request: web.Request, response: web.Response, login: Authenticated) -> None:
        """Put a new login into *response*; the one in *request* is dead. Raises `Conflict` if it would be too many."""


@runtime_checkable
class KeepsState(Strategy, Protocol):
    """A strategy that keeps state between requests; it gets `POST visits`."""

    async def visits(self, request: web.Request, response: web.Response) -> int:
        """Count one more visit in the login's state and return the count. Raises as `user` does."""


@runtime_checkable
class Renews(Strategy, Protocol):
    """A strategy whose credential has to be given to the client anew from time to time."""

    async def renew(self, request: web.Request, response: web.Response) -> None:
        """Put a new credential into *response* if `user`, just asked for *request*, found that it is time."""


@runtime_checkable
class ListsDevices(Strategy, Protocol):
    """A strategy that knows a user's logins; it gets `GET` and `DELETE sessions`. Raises as `user` does."""

    @property
    def reach(self) -> Reach:
        """Whether it knows those of this replica or of all."""

    async def devices(self, request: web.Request) -> list[ListedDevice]:
        """Return the user's logins, the one used last first."""

    async def end_device(self, request: web.Request, device_id: str) -> bool:
        """End one of the user's logins; False if it is not one."""

    async def end_devices(self, request: web.Request, *, others: bool) -> int:
        """End the user's logins, this one included unless *others*; return how many."""


@runtime_checkable
class ForcesLogout(Strategy, Protocol):
    """A strategy that can end anybody's logins; it gets `POST admin/users/{id}/logout`."""

    @property
    def reach(self) -> Reach:
        """Whether it ends those of this replica or of all."""

    async def force_logout(self, user_id: str) -> int:
        """End the user's logins and return how many there were."""
