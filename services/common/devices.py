"""A user's devices: what is stored about one, how many there may be, and which ones to log out."""

from typing import Literal, NamedTuple

from aiohttp import hdrs, web

from services.common.http.addresses import UNKNOWN, client_address
from services.common.http.problems import BadRequest, Conflict

LimitPolicy = Literal["deny", "end-oldest"]
MAX_USER_AGENT = 256  # characters; the rest is cut off


class Device(NamedTuple):
    """An IP address and a User-Agent."""

    address: str = UNKNOWN
    user_agent: str = ""


class LoginLimit(NamedTuple):
    """How many logins a user may have in one store, and whether one more is denied or ends the one longest unused."""

    most: int
    policy: LimitPolicy

    def refusal(self) -> Conflict:
        """Return the error for a login that is denied."""
        return Conflict(f"You have reached the limit of {self.most} logins. Log out on another device first.")


def device_of(request: web.Request) -> Device:
    """Return the device that sent *request*. Invalid UTF-8 is replaced, because the text is stored as JSON."""
    raw = request.headers.get(hdrs.USER_AGENT, "").encode("utf-8", "surrogateescape")
    return Device(client_address(request), raw.decode("utf-8", "replace")[:MAX_USER_AGENT])


def others_only(request: web.Request) -> bool:
    """Return whether `DELETE sessions` spares the current session. Raises `BadRequest` for other queries."""
    if set(request.query) - {"others"} or request.query.getall("others", ["false"]) not in (["true"], ["false"]):
        raise BadRequest("The only parameter is others, which must be true or false.")
    return request.query.get("others") == "true"
