"""Access tokens: JWTs after RFC 9068, that any replica verifies by itself."""

import secrets
from dataclasses import dataclass

from services.auth.accounts.store import Account
from services.auth.keys.key import SharedKey, SigningKey
from services.common.tokens.algorithms import JWS
from services.common.tokens.jws import encode
from services.common.tokens.verifier import AccessTokenClaims


@dataclass(frozen=True, slots=True)
class AccessTokens:
    """Mints access tokens of *issuer* for *audience* that live for *seconds*."""

    issuer: str
    audience: str
    seconds: int

    def mint(self, account: Account, client_id: str, session_id: str, key: SigningKey | SharedKey, now: float) -> str:
        """Return a new token for *account*, used by *client_id* in the login *session_id*."""
        claims = AccessTokenClaims(
            issuer=self.issuer,
            user_id=account.id,
            audience=self.audience,
            expires=int(now) + self.seconds,
            issued=int(now),
            token_id=secrets.token_urlsafe(16),
            client_id=client_id,
            session_id=session_id,
            preferred_username=account.name,
            roles=account.roles,
        )
        return JWS.encode(encode(claims), key.private, key.algorithm, headers={"typ": "at+jwt", "kid": key.kid})
