"""Judges access tokens by RFC 9068 §4, strictly: what PyJWT alone would let in is refused here.

The replicas and the auth service share it, so that no token is good to one and bad to the other.
"""

import functools
from collections.abc import Awaitable, Callable
from typing import Annotated

import jwt
import msgspec

from services.common.tokens.jws import InvalidTokenError, read_header, read_object, read_payload

REALM = 'Bearer realm="authscale"'  # the challenge (RFC 6750 §3) when no token came
INVALID_TOKEN = f'{REALM}, error="invalid_token"'  # ... and when one came that is not good

LEEWAY_SECONDS = 10
MAX_LENGTH = 4096
TYPES = ("at+jwt", "application/at+jwt")
END_OF_TIME = 2**53  # NumericDate (RFC 7519 §2) may have any size; a float knows each second until then

Text = Annotated[str, msgspec.Meta(min_length=1)]
_Range = msgspec.Meta(gt=-END_OF_TIME, lt=END_OF_TIME)
Time = Annotated[int, _Range] | Annotated[float, _Range]

FindKey = Callable[[str], Awaitable[jwt.PyJWK | None]]
"""Returns the key of an id, or None if there is none; raises what it raises when it cannot know."""


class AccessTokenClaims(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an access token says, in the order in which the auth service writes it. Those without a default are required
    (RFC 9068 §2.2); what else a token says is not looked at.
    """

    issuer: str = msgspec.field(name="iss")
    user_id: Text = msgspec.field(name="sub")
    audience: str = msgspec.field(name="aud")
    expires: Time = msgspec.field(name="exp")
    issued: Time = msgspec.field(name="iat")
    token_id: Text = msgspec.field(name="jti")
    client_id: Text
    session_id: str | None = msgspec.field(name="sid", default=None)
    preferred_username: Text | msgspec.UnsetType = msgspec.UNSET
    roles: tuple[Text, ...] = ()
    not_before: Time | msgspec.UnsetType = msgspec.field(name="nbf", default=msgspec.UNSET)

    @property
    def name(self) -> str:
        """What to call the user."""
        return self.preferred_username or self.user_id

    @property
    def begins(self) -> float:
        """From when on the token is valid (Unix time)."""
        return max(self.issued, self.not_before or self.issued)


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
        if len(token) > MAX_LENGTH or not token.isascii():
            raise InvalidTokenError("too long, or not ASCII")
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
        claims = read_object(read_payload(token, key), _decode)
        if (claims.issuer, claims.audience) != (self._issuer, self._audience):
            raise InvalidTokenError("of another issuer, or for another audience")
        return claims


_decode = msgspec.json.Decoder(AccessTokenClaims).decode
