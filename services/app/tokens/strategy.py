"""What token strategies share; they differ in how they come to believe a token."""

from aiohttp import hdrs, web

from services.app.strategy import Info, User
from services.common.http.problems import Unauthenticated
from services.common.tokens.jws import InvalidTokenError
from services.common.tokens.verifier import INVALID_TOKEN, REALM, AccessTokenClaims, AccessTokenVerifier


class TokenStrategy:
    """Takes a bearer token (RFC 6750 §2.1) that the auth service issued and that *tokens* verifies."""

    def __init__(self, info: Info, tokens: AccessTokenVerifier) -> None:
        self.info = info
        self._tokens = tokens

    async def user(self, request: web.Request) -> User:
        """Return whom the request's token was issued to."""
        token = await self.claims(bearer(request))
        return User(token.user_id, token.name, token.roles)

    async def logout(self, request: web.Request, response: web.Response) -> None:
        """Do nothing: the access token lives until it expires. The client revokes its refresh token."""

    async def claims(self, token: str) -> AccessTokenClaims:
        """Return what *token* says if it is good."""
        try:
            claims = await self._tokens.verify(token)
        except InvalidTokenError as error:
            raise invalid_token() from error
        self.refuse_revoked(claims)
        return claims

    def refuse_revoked(self, claims: AccessTokenClaims) -> None:
        """Raise if the token was revoked: for strategies that can know."""


def bearer(request: web.Request) -> str:
    """Return the request's token, whatever it is worth."""
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated("No access token.", challenge=REALM)
    return token.strip(" ")


def invalid_token() -> Unauthenticated:
    """Return the refusal of RFC 6750 §3.1. It says no more than that: the reason would help an attacker only."""
    return Unauthenticated("The access token is not valid (any more).", challenge=INVALID_TOKEN)
