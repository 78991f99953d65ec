"""Judges access tokens by RFC 9068 §4, strictly: what PyJWT alone would let in is refused here.

The replicas and the auth service share it, so that no token is good to one and bad to the other.
"""

import functools
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import jwt

from services.common.tokens.jws import InvalidTokenError, read_header, read_payload

REALM = 'Bearer realm="authscale"'  # the challenge (RFC 6750 §3) when no token came
INVALID_TOKEN = f'{REALM}, error="invalid_token"'  # ... and when one came that is not good

LEEWAY_SECONDS = 10
MAX_LENGTH = 4096
TYPES = ("at+jwt", "application/at+jwt")
REQUIRED = frozenset({"iss", "sub", "aud", "exp", "iat", "jti", "client_id"})  # RFC 9068 §2.2
END_OF_TIME = 2.0**53  # NumericDate (RFC 7519 §2) may have any size; a float knows each second until then


FindKey = Callable[[str], Awaitable[jwt.PyJWK | None]]
"""Returns the key of an id, or None if there is none; raises what it raises when it cannot know."""


class AccessTokenClaims(NamedTuple):
    """What a valid token says. *session_id* is its login's (`sid`); *raw* is every claim, as signed.

    It is valid from *begins* until *expires* (Unix times).
    """

    user_id: str
    name: str
    roles: tuple[str, ...]
    client_id: str
    session_id: str | None
    begins: float
    expires: float
    raw: dict[str, Any]


class AccessTokenVerifier:
    """Verifies what *issuer* signed for *audience* with a key that *find_key* knows. *clock* returns Unix time.

    *remembered*: so many tokens whose signature was good are not computed again as long as their key is known, the
    longest unused one is forgotten first. Key and times are looked at each time.

    PyJWT has the keys and the algorithms; taking the token apart is done here, because PyJWT's own `decode` costs as
    much again as the signature (docs/adr/0011-reading-tokens.md).
    """

    def __init__(
        self, find_key: FindKey, issuer: str, audience: str, clock: Callable[[], float], remembered: int = 0
    ) -> None:
        self._find_key = find_key
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self._signed = functools.lru_cache(remembered)(self._read_signed) if remembered else self._read_signed

    async def verify(self, token: str) -> AccessTokenClaims:
        """Return what the token says. Raises `InvalidTokenError`, and what *find_key* raises."""
        if len(token) > MAX_LENGTH:
            raise InvalidTokenError("too long")
        header = read_header(token)
        if header.type not in TYPES:
            raise InvalidTokenError("not an access token")
        key = await self._find_key(header.kid)
        if key is None:
            raise InvalidTokenError("no key of that id")
        if header.alg != key.algorithm_name:
            raise InvalidTokenError("another algorithm than the key's own")
        claims = self._signed(token, key)
        now = self._clock()
        if claims.expires <= now - LEEWAY_SECONDS:
            raise InvalidTokenError("expired")
        if claims.begins > now + LEEWAY_SECONDS:
            raise InvalidTokenError("not valid yet")
        return claims

    def _read_signed(self, token: str, key: jwt.PyJWK) -> AccessTokenClaims:
        """Return the claims if *key* signed them for us, whatever the time (RFC 9068 §4)."""
        raw = read_payload(token, key)
        if not raw.keys() >= REQUIRED:
            raise InvalidTokenError("a claim is missing")
        if (raw["iss"], raw["aud"]) != (self._issuer, self._audience):
            raise InvalidTokenError("of another issuer, or for another audience")
        return _read_claims(raw)


def _time(claim: Any) -> float:
    if isinstance(claim, bool) or not isinstance(claim, int | float) or not abs(claim) < END_OF_TIME:  # NaN is not
        raise InvalidTokenError("a time that is none")
    return float(claim)


def _read_claims(raw: dict[str, Any]) -> AccessTokenClaims:
    subject, client_id, roles = raw["sub"], raw["client_id"], raw.get("roles", [])
    name, session_id = raw.get("preferred_username", subject), raw.get("sid")
    texts = [subject, client_id, raw["jti"], name, *(roles if isinstance(roles, list) else [None])]
    if not all(isinstance(text, str) and text for text in texts) or not isinstance(session_id, str | None):
        raise InvalidTokenError("a claim of another type")
    issued, expires = _time(raw["iat"]), _time(raw["exp"])
    begins = max(issued, _time(raw.get("nbf", issued)))
    return AccessTokenClaims(subject, name, tuple(roles), client_id, session_id, begins, expires, raw)
