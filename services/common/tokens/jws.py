"""Signed tokens in the compact form (RFC 7515), read strictly: a token has exactly one text."""

import base64
import functools
import json
import re
from typing import Any, NamedTuple

import jwt

COMPACT = re.compile(r"([\w-]+)\.([\w-]+)\.([\w-]+)", re.ASCII)  # RFC 7515 §7.1: no padding, a token has one text
HEADERS = 64  # different ones remembered: all tokens of a key have the same


class InvalidTokenError(Exception):
    """The token is not one of ours, or not for us, or not valid now. The text is for our log only."""


class Header(NamedTuple):
    """Which key is said to have signed a token, how, and what kind of token it is (`typ` in lower case)."""

    kid: str
    alg: str
    type: str


def read_header(token: str) -> Header:
    """Return the header of *token*. Raises `InvalidTokenError` if it cannot be understood."""
    return _read_header(token.partition(".")[0])


@functools.lru_cache(HEADERS)
def _read_header(segment: str) -> Header:
    """Read a header. Keys in it (`jwk`, `jku`, `x5u`, `x5c`) are never looked at."""
    header = _read_object(_decode(segment))
    kid, alg = header.get("kid"), header.get("alg")
    if not isinstance(kid, str) or not isinstance(alg, str):
        raise InvalidTokenError("no key id, or no algorithm")
    if "crit" in header or header.get("b64", True) is not True:
        raise InvalidTokenError("a critical extension: we know none")
    return Header(kid, alg, str(header.get("typ")).lower())


def read_payload(token: str, key: jwt.PyJWK) -> dict[str, Any]:
    """Return what *token* says if *key* signed it (RFC 7515 §5.2). Raises `InvalidTokenError` if not."""
    parts = COMPACT.fullmatch(token)
    if parts is None:
        raise InvalidTokenError("not a token's text")
    signing_input, signature = token[: parts.end(2)].encode(), _decode(parts[3])
    if not key.Algorithm.verify(signing_input, key.key, signature):
        raise InvalidTokenError("not signed by that key")
    return _read_object(_decode(parts[2]))


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
