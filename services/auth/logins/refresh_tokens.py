"""The text of refresh tokens: JWTs that only this service reads, of another type than access tokens."""

import hashlib
from dataclasses import dataclass, field

import jwt

from services.auth.logins.refresh_rotation import Family, Terms

TYPE, ALGORITHM = "rt+jwt", "HS256"


class InvalidRefreshTokenError(Exception):
    """The token is not ours, or no longer valid. The text tells the client why."""


@dataclass(frozen=True, slots=True)
class Presented:
    """The content of a genuine token. Its family decides whether it is still valid."""

    family_id: str
    user_id: str
    client_id: str
    digest: str


@dataclass(frozen=True, slots=True)
class RefreshTokens:
    """Writes and reads refresh tokens that are authenticated by *key* (HS256) and addressed to *issuer* itself."""

    issuer: str
    key: bytes = field(repr=False)

    def text(self, family_id: str, user_id: str, client_id: str, terms: Terms) -> str:
        """Return the token's text. The same terms give the same text, so the text need not be stored."""
        claims = {
            "iss": self.issuer,
            "sub": user_id,
            "aud": self.issuer,
            "exp": terms.expires_at,
            "iat": int(terms.issued_at),
            "jti": f"{family_id}.{terms.generation}",
            "sid": family_id,
            "client_id": client_id,
        }
        return jwt.encode(claims, self.key, ALGORITHM, headers={"typ": TYPE})

    def text_in(self, family: Family, terms: Terms) -> str:
        """Return the text of the token with *terms* in *family*."""
        return self.text(family.id, family.user_id, family.client_id, terms)

    def read(self, text: str) -> Presented:
        """Return the content of *text*, or raise `InvalidRefreshTokenError`. Its expiry is not checked."""
        try:
            token = jwt.decode_complete(
                text,
                self.key,
                algorithms=[ALGORITHM],
                audience=self.issuer,
                issuer=self.issuer,
                options={
                    "require": ["iss", "aud", "sub", "exp", "iat", "jti", "sid", "client_id"],
                    "strict_aud": True,
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except (jwt.PyJWTError, UnicodeError):
            raise InvalidRefreshTokenError("This is not a refresh token of this server.") from None
        if token["header"].get("typ") != TYPE:
            raise InvalidRefreshTokenError("This is not a refresh token of this server.")
        claims = token["payload"]
        return Presented(claims["sid"], claims["sub"], claims["client_id"], digest(text))


def digest(text: str) -> str:
    """Return the hash that the store keeps of a token. Tokens have 256 bits of entropy, so a plain hash is enough."""
    return hashlib.sha256(text.encode()).hexdigest()
