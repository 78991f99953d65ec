"""Access tokens as a replica sees them: whose they are. How they are judged is shared with the auth service."""

from collections.abc import Callable

from services.app.strategy import User
from services.common.access_tokens import AccessTokenVerifier, FindKey


class AccessTokens:
    """Access tokens that *issuer* signed with a key that *find_key* knows for *audience*. *clock* returns Unix time."""

    def __init__(self, find_key: FindKey, issuer: str, audience: str, clock: Callable[[], float]) -> None:
        self._verifier = AccessTokenVerifier(find_key, issuer, audience, clock)

    async def verify(self, token: str) -> User:
        """Return whom the token was issued to. Raises `InvalidTokenError`; `Unavailable` if there are no keys yet."""
        valid = await self._verifier.verify(token)
        return User(valid.user_id, valid.name, valid.roles)
