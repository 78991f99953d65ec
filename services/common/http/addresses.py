"""The address that a request comes from, as reported by the load balancer or the app."""

import ipaddress

from aiohttp import web

FORWARDED_FOR = "X-Forwarded-For"
UNKNOWN = "unknown"
IPV6_SITE_BITS = 64  # a subscriber has at least such a network


def client_address(request: web.Request) -> str:
    """Return the user's IP address: the last entry in `X-Forwarded-For`, or else the connection's peer.

    The load balancer overwrites that header with the address it sees. A client that bypasses it could send anything,
    so only trusted peers must be able to reach a service directly. Invalid addresses are ignored.
    """
    for text in (request.headers.get(FORWARDED_FOR, "").rpartition(",")[2].strip(" "), request.remote or ""):
        try:
            return str(ipaddress.ip_address(text))
        except ValueError:
            continue
    return UNKNOWN


def site_of(address: str) -> str:
    """Return what counts as one address: for IPv6, the subscriber's network."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, IPV6_SITE_BITS), strict=False))
