"""Names of keys (RFC 7638), and what may be published of them."""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

REQUIRED_MEMBERS = {
    "OKP": ("crv", "kty", "x"),
    "EC": ("crv", "kty", "x", "y"),
    "RSA": ("e", "kty", "n"),
    "oct": ("k", "kty"),
}
"""The members that make a key, by key type: what RFC 7638 hashes, and all of a public key that is ever published."""

SECRET_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
"""Members that no published key may have (RFC 7518 §6)."""


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """Return the SHA-256 JWK thumbprint of a key (RFC 7638 §3). ValueError if it is incomplete or of no known type."""
    try:
        members = {name: jwk[name] for name in REQUIRED_MEMBERS[jwk["kty"]]}
    except (KeyError, TypeError):
        raise ValueError("a key of unknown type, or with a member missing") from None
    canonical = json.dumps(members, sort_keys=True, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(hashlib.sha256(canonical).digest()).rstrip(b"=").decode()


def shared_key_jwk(secret: str) -> dict[str, str]:
    """Return the secret of HS256 as a JWK with its id, for the two services alone."""
    jwk = {"kty": "oct", "k": base64.urlsafe_b64encode(secret.encode()).rstrip(b"=").decode()}
    return {**jwk, "use": "sig", "alg": "HS256", "kid": thumbprint(jwk)}
