"""Signed tokens in the compact form (RFC 7515), read strictly: a token has exactly one text."""

import functools
import json
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jwt
import msgspec

from services.common import base64url

HEADERS = 64  # different ones remembered: all tokens of a key have the same

T = TypeVar("T")


class InvalidTokenError(Exception):
    """The token is not one of ours, or not for us, or not valid now. The text is for our log only."""


class Header(NamedTuple):
    """Which key is said to have signed a token, how, and what kind of token it is (`typ` in lower case)."""

    kid: str
    alg: str
    type: str


class _Header(msgspec.Struct):
    """What is looked at of a header. Keys in it (`jwk`, `jku`, `x5u`, `x5c`) never are."""

    alg: str
    kid: str
    typ: str = ""
    crit: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    b64: bool = True


encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode
_decode_header = msgspec.json.Decoder(_Header).decode


def read_header(token: str) -> Header:
    """Return the header of *token*. Raises `InvalidTokenError` if it cannot be understood."""
    return _read_header(token.partition(".")[0])


@functools.lru_cache(HEADERS)
def _read_header(segment: str) -> Header:
    header = read_object(_decode(segment), _decode_header)
    if header.crit is not msgspec.UNSET or not header.b64:
        raise InvalidTokenError("a critical extension: we know none")
    return Header(header.kid, header.alg, header.typ.lower())


def read_payload(token: str, key: jwt.PyJWK) -> bytes:
    """Return what *token* says if *key* signed it (RFC 7515 §5.2). Raises `InvalidTokenError` if not."""
    signed, _, signature = token.rpartition(".")
    if not key.Algorithm.verify(signed.encode(), key.key, _decode(signature)):
        raise InvalidTokenError("not signed by that key")
    return _decode(signed.partition(".")[2])


def _decode(segment: str) -> bytes:
    try:
        return base64url.decode(segment)
    except ValueError as error:
        raise InvalidTokenError("not base64url") from error


def read_object(text: bytes, decode: Callable[[bytes], T]) -> T:
    """Return the JSON object *text* as *decode* reads it. Raises `InvalidTokenError` if it names a member twice.

    Readers differ in which one counts, and msgspec takes the last. If what it has read encodes to *text* again, no
    member is there twice. If not, *text* has members that *decode* does not know, or is spelled in another way than we
    do: then a closer look decides.
    """
    try:
        decoded = decode(text)
        if encode(decoded) != text:
            json.loads(text, object_pairs_hook=_unique)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InvalidTokenError("not JSON, a member of another type, or one that is given twice") from error
    return decoded


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is given twice")
    return members
