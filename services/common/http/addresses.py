"""Where a request comes from, as the load balancer or the app says."""

import ipaddress

from aiohttp import web

FORWARDED_FOR = "X-Forwarded-For"
UNKNOWN = "unknown"
IPV6_SITE_BITS = 64  # one subscriber has at least so many addresses


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


def site_of(address: str) -> str:
    """Return what counts as one address: in IPv6, the network that a subscriber gets."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, IPV6_SITE_BITS), strict=False))
