"""Verifies access tokens by RFC 9068 §4, strictly: what PyJWT alone would let in is refused here."""

import base64
import json
from collections.abc import Callable
from typing import Any

import jwt

from services.app.jwks import SigningKeys
from services.app.strategy import User

LEEWAY_SECONDS = 10
MAX_LENGTH = 4096
TYPES = ("at+jwt", "application/at+jwt")
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


class AccessTokens:
    """Verifies access tokens that *issuer* signed with one of *keys* for *audience*. *clock* returns Unix time."""

    def __init__(self, keys: SigningKeys, issuer: str, audience: str, clock: Callable[[], float]) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self._decoder = _StrictJWT()

    async def verify(self, token: str) -> User:
        """Return whom the token was issued to. Raises `InvalidTokenError`; `Unavailable` if there are no keys yet."""
        if not token.isascii() or len(token) > MAX_LENGTH:
            raise InvalidTokenError("not a token's text")
        header = _read_header(token)
        key = await self._keys.find(header["kid"])
        if key is None or header.get("alg") != key.algorithm_name:
            raise InvalidTokenError("no key of that id and algorithm")
        try:
            claims = self._decoder.decode(
                token, key, [key.algorithm_name], OPTIONS, audience=self._audience, issuer=self._issuer
            )
        except (jwt.PyJWTError, ValueError) as error:
            raise InvalidTokenError(str(error)) from error
        _check_times(claims, self._clock())
        return _user(claims)


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


def _user(claims: dict[str, Any]) -> User:
    name, roles = claims.get("preferred_username", claims["sub"]), claims.get("roles", [])
    texts = [claims["sub"], claims["client_id"], name, *(roles if isinstance(roles, list) else [None])]
    if not all(isinstance(text, str) and text for text in texts):
        raise InvalidTokenError("a claim of another type")
    return User(claims["sub"], name, tuple(roles))
