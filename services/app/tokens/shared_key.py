"""The key of HS256, which the replicas share with the auth service."""

import jwt

from services.common.tokens.algorithms import verification_key
from services.common.tokens.jwk import shared_key_jwk
from services.common.tokens.verifier import FindKey


def shared_key(secret: str) -> FindKey:
    """Return what finds the one key. A replica that has it could make tokens as well: prefer a key pair."""
    key = verification_key(shared_key_jwk(secret))

    async def find(kid: str) -> jwt.PyJWK | None:
        return key if kid == key.key_id else None

    return find
