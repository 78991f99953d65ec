"""Keys that sign access tokens, and what the world is told about them (RFC 7517, 7638, 8037)."""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

PUBLIC_MEMBERS = {"OKP": ("crv", "kty", "x")}
"""The members that make a public key, by key type: what RFC 7638 hashes, and all that is ever published."""


@dataclass(frozen=True)
class SigningKey:
    """A private key with the one algorithm (RFC 7518 name) that it is used with."""

    algorithm: str
    private: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def generate(cls) -> "SigningKey":
        """Return a new key from the operating system's randomness."""
        return cls("EdDSA", Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, algorithm: str, pem: bytes) -> "SigningKey":
        """Return the key that `pem` gave."""
        private = load_pem_private_key(pem, password=None)
        if not isinstance(private, Ed25519PrivateKey):
            raise TypeError(f"a {algorithm} key must be Ed25519, this is {type(private).__name__}")
        return cls(algorithm, private)

    def pem(self) -> bytes:
        """Return the private key as PKCS#8, unencrypted: whoever stores it encrypts it."""
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @cached_property
    def kid(self) -> str:
        """The key's JWK thumbprint (RFC 7638), so that an id can never mean two keys."""
        return thumbprint(self._members)

    @cached_property
    def public_jwk(self) -> dict[str, str]:
        """The key as published: public members only."""
        return {**self._members, "use": "sig", "alg": self.algorithm, "kid": self.kid}

    @cached_property
    def _members(self) -> dict[str, str]:
        jwk = jwt.get_algorithm_by_name(self.algorithm).to_jwk(self.private.public_key(), as_dict=True)
        return {name: jwk[name] for name in PUBLIC_MEMBERS[jwk["kty"]]}


def thumbprint(public_members: dict[str, Any]) -> str:
    """Return the SHA-256 JWK thumbprint of a key's public members (RFC 7638 §3)."""
    canonical = json.dumps(public_members, sort_keys=True, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(hashlib.sha256(canonical).digest()).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class KeyRing:
    """All keys whose tokens are good, the newest one last: that one signs."""

    keys: tuple[SigningKey, ...]

    @property
    def signer(self) -> SigningKey:
        """The key for new tokens."""
        return self.keys[-1]

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return the JWK set (RFC 7517 §5)."""
        return {"keys": [key.public_jwk for key in self.keys]}
