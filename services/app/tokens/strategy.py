"""What token strategies share. They differ in how they verify a token."""

from aiohttp import web

from services.app.strategy import Facts, Info, User
from services.common.http.bearer import bearer_token, invalid_token
from services.common.tokens.jws import InvalidTokenError
from services.common.tokens.verifier import AccessTokenClaims, AccessTokenVerifier

TOKEN_FACTS = Facts(
    state="in a signed token that the client holds",
    request="a signature check",
    without_redis="logins and refreshes: users are out when the token expires",
    without_auth="logins and refreshes",
    forced_logout="ends refreshing; the token expires",
    staleness="the token's life + 10 s",
)
"""Of every token that is good until it expires."""


class TokenStrategy:
    """Accepts bearer tokens (RFC 6750 §2.1) that the auth service issued and *tokens* verifies."""

    def __init__(self, info: Info, tokens: AccessTokenVerifier) -> None:
        self.info = info
        self._tokens = tokens

    async def user(self, request: web.Request) -> User:
        """Return the user that the request's token was issued to."""
        token = await self.claims(bearer_token(request))
        return User(token.user_id, token.name, token.roles)

    async def logout(self, request: web.Request, response: web.Response) -> None:
        """Do nothing: the access token lives until it expires. The client revokes its refresh token."""

    async def claims(self, token: str) -> AccessTokenClaims:
        """Return the claims of *token*. Raises `Unauthenticated` if it is not valid."""
        try:
            claims = await self._tokens.verify(token)
        except InvalidTokenError as error:
            raise invalid_token() from error
        self.refuse_revoked(claims)
        return claims

    def refuse_revoked(self, claims: AccessTokenClaims) -> None:
        """Raise an error if the token was revoked, in strategies that know about revocations."""
