"""Access tokens as ours are (RFC 9068), one per signature algorithm, and what one does with them, by PyJWT.

Nothing here is of a cluster: keys are made for the purpose and thrown away.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

RSA_BITS, SECRET_BYTES = 3072, 32  # both about as strong as the curves: 128 bits (NIST SP 800-57)
ISSUER, AUDIENCE = "http://127.0.0.1:8080/auth", "authscale"

KEYS: dict[str, Callable[[], Any]] = {
    "HS256": lambda: secrets.token_bytes(SECRET_BYTES),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "RS256": lambda: rsa.generate_private_key(65537, RSA_BITS),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


@dataclass(frozen=True)
class SignedToken:
    """An access token and the key that signed it."""

    algorithm: str
    private: Any = field(repr=False)
    verifier: jwt.PyJWK
    claims: dict[str, object]
    headers: dict[str, str]
    text: str

    @classmethod
    def make(cls, algorithm: str, now: float) -> "SignedToken":
        """Return a token with a new key of *algorithm* (RFC 7518's name), issued *now* (Unix time)."""
        private, claims = KEYS[algorithm](), _claims(int(now))
        headers = {"typ": "at+jwt", "kid": secrets.token_urlsafe(32)}  # as long as a thumbprint (RFC 7638)
        text = jwt.encode(claims, private, algorithm, headers)
        return cls(algorithm, private, _verifier(algorithm, private), claims, headers, text)

    def sign(self) -> str:
        """Return the same claims, signed anew."""
        return jwt.encode(self.claims, self.private, self.algorithm, self.headers)

    def decode(self) -> dict[str, Any]:
        """Return the claims when the library has checked the signature and all of them. Raises `InvalidTokenError`."""
        return jwt.decode(self.text, self.verifier, audience=AUDIENCE, issuer=ISSUER)

    def check(self, signed: bytes, signature: bytes) -> Callable[[], bool]:
        """Return what checks *signature* and nothing else, with a key that is ready."""
        verify, key = self.verifier.Algorithm.verify, self.verifier.Algorithm.prepare_key(self.verifier.key)
        return lambda: verify(signed, key, signature)

    def parts(self) -> tuple[bytes, bytes]:
        """Return what was signed, and the signature."""
        signed, _, signature = self.text.encode().rpartition(b".")
        return signed, jwt.utils.base64url_decode(signature)


def _claims(now: int) -> dict[str, object]:
    return {
        "iss": ISSUER,
        "sub": secrets.token_hex(16),
        "aud": AUDIENCE,
        "exp": now + 3600,
        "iat": now,
        "jti": secrets.token_urlsafe(16),
        "client_id": "first-party",
        "sid": secrets.token_urlsafe(16),
        "preferred_username": "ada.lovelace",
    }


def _verifier(algorithm: str, private: Any) -> jwt.PyJWK:
    """Return the key that verifies, as a verifier reads it from a JWK (RFC 7517)."""
    public = private.public_key() if hasattr(private, "public_key") else private
    jwk = jwt.get_algorithm_by_name(algorithm).to_jwk(public, as_dict=True)
    return jwt.PyJWK(jwk, algorithm)
