"""Where a request comes from, as the load balancer or the app says."""

import ipaddress

from aiohttp import web

FORWARDED_FOR = "X-Forwarded-For"
UNKNOWN = "unknown"


def client_address(request: web.Request) -> str:
    """Return the end user's IP address: the last hop in `X-Forwarded-For`, else the connection's other end.

    The load balancer overwrites that header with the address it sees; whoever reaches a service past the load balancer
    could write anything, so only trusted neighbours may be able to. What is no address is not taken.
    """
    for text in (request.headers.get(FORWARDED_FOR, "").rpartition(",")[2].strip(" "), request.remote or ""):
        try:
            return str(ipaddress.ip_address(text))
        except ValueError:
            continue
    return UNKNOWN
