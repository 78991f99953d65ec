"""Whether a token is active (RFC 7662). Unlike a verifier, this looks at its account and its login, too."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from services.auth.accounts.store import AccountStore
from services.auth.clock import Clock
from services.auth.logins.family_store import FamilyStore
from services.auth.logins.refresh_rotation import Family, Outcome, decide
from services.auth.logins.refresh_tokens import InvalidRefreshTokenError, Presented, RefreshTokens
from services.common.tokens.jws import InvalidTokenError
from services.common.tokens.verifier import AccessTokenClaims, AccessTokenVerifier

INACTIVE: dict[str, Any] = {"active": False}
TOLD = ("iss", "sub", "aud", "exp", "iat", "jti", "client_id", "sid", "roles")


class Login(NamedTuple):
    """The login of a genuine token, and the login's client. The token need not be active."""

    session_id: str
    client_id: str


@dataclass(frozen=True, slots=True)
class Introspection:
    """Introspects access and refresh tokens, without changing anything. Raises `Unavailable` if it cannot know."""

    accounts: AccountStore
    families: FamilyStore
    verifier: AccessTokenVerifier
    refresh_tokens: RefreshTokens
    clock: Clock

    async def introspect(self, text: str) -> dict[str, Any]:
        """Return the response of RFC 7662 §2.2: for an inactive token, just `{"active": false}`, without a reason."""
        try:
            presented = self.refresh_tokens.read(text)
        except InvalidRefreshTokenError:
            return await self._access_token(text)
        return await self._refresh_token(presented)

    async def login_of(self, text: str) -> Login | None:
        """Return the login of an access or refresh token, or None if the token is not ours or has expired."""
        try:
            presented = self.refresh_tokens.read(text)
        except InvalidRefreshTokenError:
            pass
        else:
            return Login(presented.family_id, presented.client_id)
        try:
            token = await self.verifier.verify(text)
        except InvalidTokenError:
            return None
        return Login(token.session_id, token.client_id) if token.session_id else None

    async def _access_token(self, text: str) -> dict[str, Any]:
        try:
            token = await self.verifier.verify(text)
        except InvalidTokenError:
            return INACTIVE
        if token.session_id is None or not await self._login(token.session_id):
            return INACTIVE
        return await self._active(token.user_id, _told(token), "access_token", token_type="Bearer")  # noqa: S106  # a type

    async def _refresh_token(self, presented: Presented) -> dict[str, Any]:
        """Only the login's current token is active: one that was replaced may be repeated for a moment, but is not."""
        family = await self._login(presented.family_id)
        if family is None or decide(family, presented.digest, self.clock(), grace=0).outcome is not Outcome.ROTATE:
            return INACTIVE
        terms = family.current.terms
        told = {
            "iss": self.refresh_tokens.issuer,
            "sub": family.user_id,
            "aud": self.refresh_tokens.issuer,
            "exp": terms.expires_at,
            "iat": int(terms.issued_at),
            "client_id": family.client_id,
            "sid": family.id,
        }
        return await self._active(family.user_id, told, "refresh_token")

    async def _active(self, user_id: str, told: dict[str, Any], use: str, **more: str) -> dict[str, Any]:
        account = await self.accounts.by_id(user_id)
        if account is None or account.disabled:
            return INACTIVE
        return {"active": True, "token_use": use, "username": account.name, **more, **told}

    async def _login(self, family_id: str) -> Family | None:
        stored = await self.families.load(family_id)
        return stored.family if stored else None


def _told(token: AccessTokenClaims) -> dict[str, Any]:
    return {name: value for name, value in msgspec.to_builtins(token).items() if name in TOLD}
