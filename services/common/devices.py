"""A user's devices: what is noted of one that logs in, how many there may be, and which are to be ended."""

from typing import Literal, NamedTuple

from aiohttp import hdrs, web

from services.common.http.addresses import UNKNOWN, client_address
from services.common.http.problems import BadRequest, Conflict

LimitPolicy = Literal["deny", "end-oldest"]
MAX_USER_AGENT = 256  # characters; the rest is cut off


class Device(NamedTuple):
    """An IP address, and what the client calls itself."""

    address: str = UNKNOWN
    user_agent: str = ""


class LoginLimit(NamedTuple):
    """How many logins a user may have (in one store), and what becomes of one more: it, or the longest unused."""

    most: int
    policy: LimitPolicy

    def refusal(self) -> Conflict:
        """Return what to tell whoever is denied one more."""
        return Conflict(f"You are logged in {self.most} times, which is the limit: log out somewhere first.")


def device_of(request: web.Request) -> Device:
    """Return where *request* comes from. Bytes that are not UTF-8 are replaced: the text is stored as JSON."""
    raw = request.headers.get(hdrs.USER_AGENT, "").encode("utf-8", "surrogateescape")
    return Device(client_address(request), raw.decode("utf-8", "replace")[:MAX_USER_AGENT])


def others_only(request: web.Request) -> bool:
    """Return whether `DELETE sessions` means the others only (`?others=true`). `BadRequest` for anything else."""
    if set(request.query) - {"others"} or request.query.getall("others", ["false"]) not in (["true"], ["false"]):
        raise BadRequest("The only parameter is others, true or false.")
    return request.query.get("others") == "true"
