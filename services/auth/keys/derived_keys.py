"""Keys with one purpose each, derived from the deployment's `key-encryption-secret` (HKDF, RFC 5869)."""

import base64
from dataclasses import dataclass, field

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class DerivedKeys:
    """The derived keys. None reveals another one or the secret."""

    at_rest: Fernet = field(repr=False)
    """encrypts private signing keys in the database"""
    refresh_tokens: bytes = field(repr=False)
    """authenticates refresh tokens (HS256): only the auth service reads them, and they outlive signing keys"""

    guess_limits: bytes = field(repr=False)
    """hides names and addresses in the Redis keys that count failed logins"""

    @classmethod
    def from_secret(cls, secret: str) -> "DerivedKeys":
        """Derive all keys. The secret is random, not a password, so HKDF needs no salt."""
        at_rest = base64.urlsafe_b64encode(_derive(secret, b"authscale signing keys at rest"))
        refresh_tokens = _derive(secret, b"authscale refresh tokens")
        return cls(Fernet(at_rest), refresh_tokens, _derive(secret, b"authscale guess limits"))


def _derive(secret: str, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose).derive(secret.encode())
