"""Access tokens that each replica verifies by itself: nothing is looked up, so nothing can be taken back."""

from aiohttp import hdrs, web

from services.app.access_tokens import AccessTokens
from services.app.parts import Parts
from services.app.strategy import Capability, Info, Kind, User
from services.common.access_tokens import INVALID_TOKEN, REALM, InvalidTokenError
from services.common.problems import Unauthenticated


class Jwt:
    """Takes a bearer token (RFC 6750 §2.1) that the auth service issued."""

    def __init__(self, name: str, tokens: AccessTokens) -> None:
        self.info = Info(
            name,
            Kind.TOKEN,
            "/auth/login",
            "Signed access tokens (JWT) that each replica verifies without asking anybody",
            frozenset({Capability.ANY_REPLICA}),
        )
        self._tokens = tokens

    async def user(self, request: web.Request) -> User:
        """Return whom the request's token was issued to."""
        scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated("No access token.", challenge=REALM)
        try:
            return await self._tokens.verify(token.strip(" "))
        except InvalidTokenError as error:
            raise Unauthenticated("The access token is not valid (any more).", challenge=INVALID_TOKEN) from error

    async def logout(self, request: web.Request, response: web.Response) -> None:
        """Do nothing: the access token lives until it expires. The client revokes its refresh token."""


def create(name: str, parts: Parts, area: web.Application) -> Jwt:  # noqa: ARG001  # a Factory
    """Return the strategy."""
    return Jwt(name, parts.access_tokens)
