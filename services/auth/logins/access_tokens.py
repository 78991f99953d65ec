"""Access tokens: JWTs after RFC 9068, that any replica verifies by itself."""

import secrets
from dataclasses import dataclass

import jwt

from services.auth.accounts.store import Account
from services.auth.keys.key import SharedKey, SigningKey


@dataclass(frozen=True, slots=True)
class AccessTokens:
    """Mints access tokens of *issuer* for *audience* that live for *seconds*."""

    issuer: str
    audience: str
    seconds: int

    def mint(self, account: Account, client_id: str, session_id: str, key: SigningKey | SharedKey, now: float) -> str:
        """Return a new token for *account*, used by *client_id* in the login *session_id*."""
        claims = {
            "iss": self.issuer,
            "sub": account.id,
            "aud": self.audience,
            "exp": int(now) + self.seconds,
            "iat": int(now),
            "jti": secrets.token_urlsafe(16),
            "client_id": client_id,
            "sid": session_id,
            "preferred_username": account.name,
        }
        if account.roles:  # RFC 9068 §2.2.3.1
            claims["roles"] = list(account.roles)
        return jwt.encode(claims, key.private, key.algorithm, headers={"typ": "at+jwt", "kid": key.kid})
