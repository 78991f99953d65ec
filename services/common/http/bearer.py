"""Bearer tokens of requests (RFC 6750)."""

from aiohttp import hdrs, web

from services.common.http.problems import Unauthenticated
from services.common.tokens.verifier import INVALID_TOKEN, REALM


def bearer_token(request: web.Request) -> str:
    """Return the request's bearer token (RFC 6750 §2.1), unverified. Raises `Unauthenticated` if there is none."""
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated("Access token required.", challenge=REALM)
    return token.strip(" ")


def invalid_token() -> Unauthenticated:
    """Return the error of RFC 6750 §3.1. It gives no reason, which would help only an attacker."""
    return Unauthenticated("The access token is invalid, expired or revoked.", challenge=INVALID_TOKEN)
