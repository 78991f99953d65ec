"""Whose access token came with a request: how users and administrators prove themselves to this service (RFC 6750)."""

from dataclasses import dataclass

from aiohttp import hdrs, web

from services.auth.accounts.authentication import ADMIN_ROLE
from services.auth.accounts.store import Account
from services.auth.http.appkeys import ACCOUNTS, LOGINS, VERIFIER
from services.common.http.problems import Forbidden, Unauthenticated
from services.common.tokens.jws import InvalidTokenError
from services.common.tokens.verifier import INVALID_TOKEN, REALM


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who asks, and in which of their logins."""

    account: Account
    session_id: str


async def require_user(request: web.Request) -> Account:
    """Return the account of the request's access token.

    Raises `Unauthenticated` if there is no token, if it is not good, if its login has ended, or if its account is gone
    or disabled; `Unavailable` if that cannot be known. This service need not wait until an access token expires.
    """
    return (await require_bearer(request)).account


async def require_admin(request: web.Request) -> Account:
    """Return the account of the request's access token, an administrator's. Raises as above, and `Forbidden`."""
    account = await require_user(request)
    if ADMIN_ROLE not in account.roles:
        challenge = f'{REALM}, error="insufficient_scope"'
        raise Forbidden("This is for administrators.", headers={hdrs.WWW_AUTHENTICATE: challenge})
    return account


async def require_bearer(request: web.Request) -> Bearer:
    """Return the account and the login of the request's access token. Raises as `require_user`."""
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated("No access token.", challenge=REALM)
    try:
        claims = await request.app[VERIFIER].verify(token.strip(" "))
    except InvalidTokenError:
        raise _refusal() from None
    account = await request.app[ACCOUNTS].by_id(claims.user_id)
    if account is None or account.disabled:
        raise _refusal()
    if claims.session_id is None or not await request.app[LOGINS].lives(claims.session_id):
        raise _refusal()
    return Bearer(account, claims.session_id)


def _refusal() -> Unauthenticated:
    return Unauthenticated("The access token is not valid (any more).", challenge=INVALID_TOKEN)
