"""What is noted of the device that logs in, so that its user can recognize the login in a list."""

from typing import NamedTuple

from aiohttp import hdrs, web

from services.common.addresses import UNKNOWN, client_address

MAX_USER_AGENT = 256  # characters; the rest is cut off


class Device(NamedTuple):
    """An IP address, and what the client calls itself."""

    address: str = UNKNOWN
    user_agent: str = ""


def device_of(request: web.Request) -> Device:
    """Return where *request* comes from. Bytes that are not UTF-8 are replaced: the text is stored as JSON."""
    raw = request.headers.get(hdrs.USER_AGENT, "").encode("utf-8", "surrogateescape")
    return Device(client_address(request), raw.decode("utf-8", "replace")[:MAX_USER_AGENT])
