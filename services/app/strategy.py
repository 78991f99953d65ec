"""The protocol of strategies. Handlers know nothing else about them."""

from enum import StrEnum
from typing import Any, NamedTuple, Protocol, runtime_checkable

from aiohttp import web

COOKIE_CHALLENGE = 'Cookie realm="authscale"'  # RFC 9110 §11.6.1 requires one; none is registered for cookies


class User(NamedTuple):
    """The logged-in user. *id* is stable and unique, *name* is for display, *roles* grant permissions."""

    id: str
    name: str
    roles: tuple[str, ...] = ()


class Authenticated(NamedTuple):
    """A user whose password was checked. *at* is a Unix time just before the check, by the auth service's clock.

    If the user's logins were ended after that time, this login has ended, too.
    """

    user: User
    at: float


class ListedDevice(NamedTuple):
    """One of a user's logins, as shown in their device list, with Unix times. *current*: it sent the request."""

    id: str
    created_at: float
    last_seen_at: float
    address: str
    user_agent: str
    current: bool


class Kind(StrEnum):
    """Where clients log in: nowhere, at the strategy (for a cookie), or at the auth service (for tokens)."""

    CONTROL = "control"
    SESSION = "session"
    TOKEN = "token"  # noqa: S105  # a kind, not a secret


class Reach(StrEnum):
    """Whether a call acts on the logins at one replica or in the whole cluster."""

    REPLICA = "replica"
    CLUSTER = "cluster"


class Capability(StrEnum):
    """What a strategy can do besides naming the user."""

    VISITS = "visits"  # keeps state: serves POST visits
    ATOMIC = "atomic-writes"  # loses no concurrent write, and no old credential restores an old state
    LOGOUT = "logout"  # a logout invalidates the credential
    ANY_REPLICA = "any-replica"  # a login at one replica is valid at all of them
    AFFINITY = "affinity"  # the load balancer keeps each user at one replica: a line of loadbalancer/nginx.conf
    DEVICES = "devices"  # users can list and end their own logins
    FORCED_LOGOUT = "forced-logout"  # administrators can end a user's logins, here or at the auth service


class Facts(NamedTuple):
    """A few words on each point of comparison, for the tables in the documentation.

    *state* is where the login state is kept, *request* what a request costs. *without_replica*, *without_redis* and
    *without_auth* tell what fails without them. *staleness* is how long a replica may not notice a change or a
    revocation that happened elsewhere.
    """

    state: str
    request: str
    without_replica: str = "nothing"
    without_redis: str = "nothing"
    without_auth: str = "new logins"
    forced_logout: str = "no"
    staleness: str = "none"


class Info(NamedTuple):
    """A strategy as `GET /strategies` lists it.

    *choose_when* is a sentence of advice: "Choose it when ...".
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

    def entry(self) -> dict[str, Any]:
        """Return the strategy's entry in `GET /strategies`."""
        return {
            "name": self.name,
            "kind": self.kind,
            "login": self.login,
            "description": self.description,
            "capabilities": sorted(self.capabilities),
            "choose_when": self.choose_when,
        }


class Strategy(Protocol):
    """One way to keep login state."""

    @property
    def info(self) -> Info:
        """The strategy's name, description and capabilities."""

    async def user(self, request: web.Request) -> User:
        """Return the logged-in user. Raises `Unauthenticated` if there is none, `Unavailable` if it cannot know."""

    async def logout(self, request: web.Request, response: web.Response) -> None:
        """End the request's login as far as possible, and delete its credential in *response*.

        It is not an error if nobody is logged in. Raises a `Problem` if the login may still be valid although the
        strategy has the capability `LOGOUT`.
        """


@runtime_checkable
class LogsIn(Strategy, Protocol):
    """A strategy that logs users in itself. It serves `POST login`."""

    async def login(self, request: web.Request, response: web.Response, login: Authenticated) -> None:
        """Start a login, put its credential into *response*, and end the login of *request*.

        Raises `Conflict` if the user has too many logins.
        """


@runtime_checkable
class KeepsState(Strategy, Protocol):
    """A strategy that keeps state between requests. It serves `POST visits`."""

    async def visits(self, request: web.Request, response: web.Response) -> int:
        """Increment the counter in the login's state and return it. Raises the same errors as `user`."""


@runtime_checkable
class Renews(Strategy, Protocol):
    """A strategy that issues new credentials from time to time."""

    async def renew(self, request: web.Request, response: web.Response) -> None:
        """Put a new credential into *response* if one is due. `user` must have been called with *request* before."""


@runtime_checkable
class ListsDevices(Strategy, Protocol):
    """A strategy that knows a user's logins. It serves `GET` and `DELETE sessions`, and raises errors like `user`."""

    @property
    def reach(self) -> Reach:
        """Whether it knows the logins at this replica or at all replicas."""

    async def devices(self, request: web.Request) -> list[ListedDevice]:
        """Return the user's logins, most recently used first."""

    async def end_device(self, request: web.Request, device_id: str) -> bool:
        """End one of the user's logins. Returns False if it is not theirs."""

    async def end_devices(self, request: web.Request, *, others: bool) -> int:
        """End all of the user's logins, or with *others* all but the current one. Returns their number."""


@runtime_checkable
class ForcesLogout(Strategy, Protocol):
    """A strategy that can end the logins of any user. It serves `POST admin/users/{id}/logout`."""

    @property
    def reach(self) -> Reach:
        """Whether it ends the logins at this replica or at all replicas."""

    async def force_logout(self, user_id: str) -> int:
        """End the user's logins and return their number."""
