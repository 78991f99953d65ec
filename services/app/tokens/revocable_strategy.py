"""Token strategies that check for revocations."""

from aiohttp import web

from services.app.auth_client.client import AuthClient
from services.app.revocations.follower import RevocationFollower
from services.app.strategy import Info
from services.app.tokens.strategy import TokenStrategy
from services.common.http.bearer import bearer_token, invalid_token
from services.common.http.problems import Unauthenticated, Unavailable
from services.common.revocations import Revocation
from services.common.tokens.verifier import LEEWAY_SECONDS, AccessTokenClaims, AccessTokenVerifier


class RevocableTokenStrategy(TokenStrategy):
    """A `TokenStrategy` that refuses revoked tokens, and all tokens after *max_stale* seconds without news of them."""

    def __init__(
        self,
        info: Info,
        tokens: AccessTokenVerifier,
        revocations: RevocationFollower,
        auth: AuthClient,
        max_stale: float,
    ) -> None:
        super().__init__(info, tokens)
        self._revocations = revocations
        self._auth = auth
        self._max_stale = max_stale

    def refuse_revoked(self, claims: AccessTokenClaims) -> None:
        """Raise an error if the token was revoked, or if that is not known at the moment."""
        if self._revocations.age() > self._max_stale:
            raise Unavailable("Revocations cannot be checked at the moment.")
        if self._revocations.denylist.denies_token(claims):
            raise invalid_token()

    async def logout(self, request: web.Request, response: web.Response) -> None:  # noqa: ARG002  # the protocol's
        """End the token's login at the auth service, which tells all replicas; this one takes note at once."""
        try:
            token = bearer_token(request)
            claims = await self.claims(token)
        except Unauthenticated:
            return
        await self._auth.revoke(token)
        expires = claims.expires + LEEWAY_SECONDS
        self._revocations.denylist.add(Revocation("jti", claims.token_id, claims.issued, expires))
