"""Judges access tokens by RFC 9068 §4, strictly: what PyJWT alone would let in is refused here.

The replicas and the auth service share it, so that no token is good to one and bad to the other.
"""

import base64
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
COMPACT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)  # RFC 7515 §7.1: no padding, so that a token has one text
OPTIONS: jwt.types.Options = {
    "require": ["iss", "sub", "aud", "exp", "iat", "jti", "client_id"],
    "strict_aud": True,
    "enforce_minimum_key_length": True,
    "verify_exp": False,  # times are checked below, by a clock that tests can set
    "verify_iat": False,
    "verify_nbf": False,
}


class InvalidTokenError(Exception):
    """The token is not one of ours, or not for us, or not valid now. The text is for our log only."""


FindKey = Callable[[str], Awaitable[jwt.PyJWK | None]]
"""Returns the key of an id, or None if there is none; raises what it raises when it cannot know."""


class AccessTokenClaims(NamedTuple):
    """What a valid token says. *session_id* is its login's (`sid`); *raw* is every claim, as signed."""

    user_id: str
    name: str
    roles: tuple[str, ...]
    client_id: str
    session_id: str | None
    raw: dict[str, Any]


class AccessTokenVerifier:
    """Verifies what *issuer* signed for *audience* with a key that *find_key* knows. *clock* returns Unix time."""

    def __init__(self, find_key: FindKey, issuer: str, audience: str, clock: Callable[[], float]) -> None:
        self._find_key = find_key
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self._decoder = _StrictJWT()

    async def verify(self, token: str) -> AccessTokenClaims:
        """Return what the token says. Raises `InvalidTokenError`, and what *find_key* raises."""
        if len(token) > MAX_LENGTH or not COMPACT.fullmatch(token):
            raise InvalidTokenError("not a token's text")
        header = _read_header(token)
        key = await self._find_key(header["kid"])
        if key is None:
            raise InvalidTokenError("no key of that id")
        try:
            claims = self._decoder.decode(
                token, key, [key.algorithm_name], OPTIONS, audience=self._audience, issuer=self._issuer
            )
        except (jwt.PyJWTError, ValueError) as error:
            raise InvalidTokenError(str(error)) from error
        _check_times(claims, self._clock())
        return _read_claims(claims)


class _StrictJWT(jwt.PyJWT):
    """PyJWT that refuses a claim given twice: readers differ in which one they take."""

    def _decode_payload(self, decoded: dict[str, Any]) -> dict[str, Any]:
        try:
            claims = json.loads(decoded["payload"], object_pairs_hook=_unique)
        except (ValueError, RecursionError) as error:
            raise jwt.DecodeError("claims are not JSON, or one is given twice") from error
        if not isinstance(claims, dict):
            raise jwt.DecodeError("claims are not an object")
        return claims


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is given twice")
    return members


def _read_header(token: str) -> dict[str, Any]:
    """Return the token's header if its type is right. Keys in it (`jwk`, `jku`, `x5u`, `x5c`) are never looked at."""
    segment = token.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise InvalidTokenError("the header is not JSON") from error
    if not isinstance(header, dict) or not isinstance(header.get("kid"), str):
        raise InvalidTokenError("no key id")
    if str(header.get("typ")).lower() not in TYPES:
        raise InvalidTokenError("not an access token")
    if "crit" in header:
        raise InvalidTokenError("a critical extension: we know none")
    return header


def _check_times(claims: dict[str, Any], now: float) -> None:
    for name in ("exp", "iat", "nbf"):
        if name in claims and (isinstance(claims[name], bool) or not isinstance(claims[name], int | float)):
            raise InvalidTokenError(f"{name} is not a number")
    if not claims["exp"] > now - LEEWAY_SECONDS:  # so written that NaN is refused
        raise InvalidTokenError("expired")
    if not max(claims["iat"], claims.get("nbf", 0)) <= now + LEEWAY_SECONDS:
        raise InvalidTokenError("not valid yet")


def _read_claims(raw: dict[str, Any]) -> AccessTokenClaims:
    subject, client_id, roles = raw["sub"], raw["client_id"], raw.get("roles", [])
    name, session_id = raw.get("preferred_username", subject), raw.get("sid")
    texts = [subject, client_id, raw["jti"], name, *(roles if isinstance(roles, list) else [None])]
    if not all(isinstance(text, str) and text for text in texts) or not isinstance(session_id, str | None):
        raise InvalidTokenError("a claim of another type")
    return AccessTokenClaims(subject, name, tuple(roles), client_id, session_id, raw)
