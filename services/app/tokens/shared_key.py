"""The key of HS256, which the replicas share with the auth service. See `services.auth.keys.key.SharedKey`."""

import jwt

from services.common.tokens.jwk import shared_key_jwk


class SharedKey:
    """Verifies tokens by *secret*. A replica that has it could make tokens as well: prefer a key pair."""

    def __init__(self, secret: str) -> None:
        self._key = jwt.PyJWK(shared_key_jwk(secret))

    async def find(self, kid: str) -> jwt.PyJWK | None:
        """Return the key if its id is *kid*."""
        return self._key if kid == self._key.key_id else None
