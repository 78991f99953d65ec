"""Key ids (RFC 7638), and the members of a key that may be published."""

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
"""The members that define a key, by key type: the ones that RFC 7638 hashes, and the only ones that are published."""

SECRET_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
"""Members that a published key must not have (RFC 7518 §6)."""


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """Return a key's SHA-256 JWK thumbprint (RFC 7638 §3). Raises ValueError if it is incomplete or of unknown type."""
    try:
        members = {name: jwk[name] for name in REQUIRED_MEMBERS[jwk["kty"]]}
    except (KeyError, TypeError):
        raise ValueError("a key of unknown type, or with a member missing") from None
    canonical = json.dumps(members, sort_keys=True, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(hashlib.sha256(canonical).digest()).rstrip(b"=").decode()


def shared_key_jwk(secret: str) -> dict[str, str]:
    """Return the secret of HS256 as a JWK with its id, for use inside the two services only."""
    jwk = {"kty": "oct", "k": base64.urlsafe_b64encode(secret.encode()).rstrip(b"=").decode()}
    return {**jwk, "use": "sig", "alg": "HS256", "kid": thumbprint(jwk)}
