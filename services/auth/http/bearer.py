"""Users and administrators prove who they are with an access token (RFC 6750)."""

from dataclasses import dataclass

from aiohttp import hdrs, web

from services.auth.accounts.store import Account, AccountStore
from services.auth.logins.logins import Logins
from services.common.http.bearer import bearer_token, invalid_token
from services.common.http.problems import Forbidden
from services.common.roles import ADMIN_ROLE
from services.common.tokens.jws import InvalidTokenError
from services.common.tokens.verifier import REALM, AccessTokenVerifier


@dataclass(frozen=True, slots=True)
class Bearer:
    """The account that a request's access token was issued to, and the login that it belongs to."""

    account: Account
    session_id: str


class BearerAuthentication:
    """Identifies users by the access tokens of their requests.

    Unlike a replica, it also looks at the account and the login, so that it notices at once when either has ended.
    """

    def __init__(self, verifier: AccessTokenVerifier, accounts: AccountStore, logins: Logins) -> None:
        self._verifier = verifier
        self._accounts = accounts
        self._logins = logins

    async def user(self, request: web.Request) -> Bearer:
        """Return the account and the login of the request's access token.

        Raises `Unauthenticated` if the token is missing or invalid, if its login has ended, or if its account does not
        exist or is disabled; `Unavailable` if that cannot be checked.
        """
        try:
            claims = await self._verifier.verify(bearer_token(request))
        except InvalidTokenError:
            raise invalid_token() from None
        account = await self._accounts.by_id(claims.user_id)
        if account is None or account.disabled:
            raise invalid_token()
        if claims.session_id is None or not await self._logins.lives(claims.session_id):
            raise invalid_token()
        return Bearer(account, claims.session_id)

    async def administrator(self, request: web.Request) -> Account:
        """Return the request's account. Raises as `user`, and `Forbidden` if it lacks the administrator role."""
        account = (await self.user(request)).account
        if ADMIN_ROLE not in account.roles:
            challenge = f'{REALM}, error="insufficient_scope"'
            raise Forbidden("Administrator role required.", headers={hdrs.WWW_AUTHENTICATE: challenge})
        return account
