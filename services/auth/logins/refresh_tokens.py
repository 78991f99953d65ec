"""Refresh tokens as text: JWTs that only this service reads, of another type than access tokens."""

import hashlib
from dataclasses import dataclass, field

import jwt

from services.auth.logins.refresh_rotation import Family, Terms

TYPE, ALGORITHM = "rt+jwt", "HS256"


class InvalidRefreshTokenError(Exception):
    """It is not ours, or it is not good any more. The text says why, for the client."""


@dataclass(frozen=True, slots=True)
class Presented:
    """What a genuine token says. Whether it is still good is for its family to say."""

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
        """Return the token's text. The same terms give the same text, so that none needs to be stored."""
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
        """Return what *text* says, or raise `InvalidRefreshTokenError`. Time is not looked at."""
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
    """Return what the store keeps of a token. It has 256 bits of entropy, so that a plain hash does."""
    return hashlib.sha256(text.encode()).hexdigest()
