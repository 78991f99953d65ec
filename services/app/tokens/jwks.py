"""Reads a JWK Set (RFC 7517) strictly: public signing keys that are fit for use, each under its thumbprint."""

import functools
import json
from collections.abc import Mapping
from typing import Any

import jwt

from services.common.tokens.algorithms import verification_key
from services.common.tokens.jwk import SECRET_MEMBERS, thumbprint

ALGORITHMS = frozenset({"EdDSA", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"})


@functools.lru_cache(maxsize=4)
def load_keys(document: bytes) -> Mapping[str, jwt.PyJWK]:
    """Return the signing keys of a JWK Set by key id, prepared for use: the same objects for the same text.

    Keys for other uses and of unknown algorithms are left out. Raises ValueError if the set is malformed or has
    private, symmetric or weak keys, two keys with one id, an id that is not the key's thumbprint, or no signing key.
    """
    jwks = json.loads(document)
    if not isinstance(jwks, dict) or not isinstance(jwks.get("keys"), list):
        raise ValueError("not a JWK Set")  # noqa: TRY004  # it is the text that is wrong
    keys: dict[str, jwt.PyJWK] = {}
    for jwk in jwks["keys"]:
        if isinstance(jwk, dict) and not SECRET_MEMBERS.isdisjoint(jwk):
            raise ValueError("a key that is not public")
        if not isinstance(jwk, dict) or jwk.get("use") != "sig" or jwk.get("alg") not in ALGORITHMS:
            continue
        kid, key = _load_key(jwk)
        if kid in keys:
            raise ValueError("two keys have one id")
        keys[kid] = key
    if not keys:
        raise ValueError("no signing key in the set")
    return keys


def _load_key(jwk: dict[str, Any]) -> tuple[str, jwt.PyJWK]:
    kid = jwk.get("kid")
    if not isinstance(kid, str) or kid != thumbprint(jwk):
        raise ValueError("a key whose id is not its thumbprint")
    if jwk.get("key_ops", ["verify"]) != ["verify"]:
        raise ValueError("a key that is not for verifying")
    try:
        key = verification_key(jwk)
    except jwt.PyJWTError as error:
        raise ValueError("a key that cannot be loaded") from error
    if reason := key.Algorithm.check_key_length(key.key):
        raise ValueError(reason)
    return kid, key
