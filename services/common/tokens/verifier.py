"""Judges access tokens by RFC 9068 §4, strictly: what PyJWT alone would let in is refused here.

The replicas and the auth service share it, so that no token is good to one and bad to the other.
"""

import base64
import functools
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import jwt

REALM = 'Bearer realm="authscale"'  # the challenge (RFC 6750 §3) when no token came
INVALID_TOKEN = f'{REALM}, error="invalid_token"'  # ... and when one came that is not good

LEEWAY_SECONDS = 10
MAX_LENGTH = 4096
TYPES = ("at+jwt", "application/at+jwt")
COMPACT = re.compile(r"([\w-]+)\.([\w-]+)\.([\w-]+)", re.ASCII)  # RFC 7515 §7.1: no padding, a token has one text
REQUIRED = frozenset({"iss", "sub", "aud", "exp", "iat", "jti", "client_id"})  # RFC 9068 §2.2
END_OF_TIME = 2.0**53  # NumericDate (RFC 7519 §2) may have any size; a float knows each second until then
HEADERS = 64  # different ones remembered: all tokens of a key have the same


class InvalidTokenError(Exception):
    """The token is not one of ours, or not for us, or not valid now. The text is for our log only."""


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
        header = _read_header(token.partition(".")[0]) if len(token) <= MAX_LENGTH else None
        if header is None:
            raise InvalidTokenError("too long")
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
        """Return the claims if *key* signed them for us, whatever the time (RFC 7515 §5.2, RFC 9068 §4)."""
        parts = COMPACT.fullmatch(token)
        if parts is None:
            raise InvalidTokenError("not a token's text")
        signing_input, signature = token[: parts.end(2)].encode(), _decode(parts[3])
        if not key.Algorithm.verify(signing_input, key.key, signature):
            raise InvalidTokenError("not signed by that key")
        raw = _read_object(_decode(parts[2]))
        if not raw.keys() >= REQUIRED:
            raise InvalidTokenError("a claim is missing")
        if (raw["iss"], raw["aud"]) != (self._issuer, self._audience):
            raise InvalidTokenError("of another issuer, or for another audience")
        return _read_claims(raw)


class _Header(NamedTuple):
    kid: str
    alg: str


@functools.lru_cache(HEADERS)
def _read_header(segment: str) -> _Header:
    """Read a token's header if its type is right. Keys in it (`jwk`, `jku`, `x5u`, `x5c`) are never looked at."""
    header = _read_object(_decode(segment))
    kid, alg = header.get("kid"), header.get("alg")
    if not isinstance(kid, str) or not isinstance(alg, str):
        raise InvalidTokenError("no key id, or no algorithm")
    if str(header.get("typ")).lower() not in TYPES:
        raise InvalidTokenError("not an access token")
    if "crit" in header or header.get("b64", True) is not True:
        raise InvalidTokenError("a critical extension: we know none")
    return _Header(kid, alg)


def _decode(segment: str) -> bytes:
    """Decode base64url (RFC 7515 §2). Only the canonical text of the bytes is taken (RFC 4648 §3.5)."""
    try:
        decoded = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError as error:
        raise InvalidTokenError("not base64url") from error
    if base64.urlsafe_b64encode(decoded).rstrip(b"=").decode() != segment:
        raise InvalidTokenError("not the canonical base64url")
    return decoded


def _read_object(text: bytes) -> dict[str, Any]:
    """Read a JSON object that names nothing twice: readers differ in which one they take."""
    try:
        members = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise InvalidTokenError("not JSON, or a member is given twice") from error
    if not isinstance(members, dict):
        raise InvalidTokenError("not a JSON object")
    return members


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is given twice")
    return members


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
