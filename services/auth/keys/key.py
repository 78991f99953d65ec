"""Keys that sign access tokens (RFC 7517, 7638, 8037)."""

from dataclasses import dataclass, field
from functools import cached_property

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from services.common.settings import Algorithm
from services.common.tokens.algorithms import verification_key
from services.common.tokens.jwk import REQUIRED_MEMBERS, shared_key_jwk, thumbprint

PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey

RSA_BITS, MIN_RSA_BITS = 3072, 2048  # NIST SP 800-57: 128 bits of security for new keys, at least 112 for others


class UnfitKeyError(Exception):
    """A key that is too weak, or of the wrong type for its algorithm. The text says what is wrong."""


@dataclass(frozen=True)
class SigningKey:
    """A private key and its only algorithm (RFC 7518 name). Raises `UnfitKeyError` if they do not match."""

    algorithm: Algorithm
    private: PrivateKey = field(repr=False)

    def __post_init__(self) -> None:
        match self.algorithm, self.private:
            case "EdDSA", Ed25519PrivateKey():
                return
            case "ES256", EllipticCurvePrivateKey(curve=SECP256R1()):
                return
            case "RS256", RSAPrivateKey(key_size=bits) if bits >= MIN_RSA_BITS:
                return
            case "RS256", RSAPrivateKey(key_size=bits):
                raise UnfitKeyError(f"an RSA key of {bits} bits is too weak: RS256 needs {MIN_RSA_BITS}")
        raise UnfitKeyError(f"a key of type {type(self.private).__name__} cannot be used for {self.algorithm}")

    @classmethod
    def generate(cls, algorithm: Algorithm = "EdDSA", rsa_bits: int = RSA_BITS) -> "SigningKey":
        """Return a new random key. RSA keys take long to generate, so do not block an event loop with this."""
        match algorithm:
            case "EdDSA":
                return cls(algorithm, Ed25519PrivateKey.generate())
            case "ES256":
                return cls(algorithm, generate_private_key(SECP256R1()))
            case "RS256":
                return cls(algorithm, generate_rsa(65537, rsa_bits))
        raise UnfitKeyError(f"{algorithm} has no key pairs: its key is a shared secret")

    @classmethod
    def from_pem(cls, algorithm: Algorithm, pem: bytes) -> "SigningKey":
        """Return the key that *pem* contains, after the same checks."""
        return cls(algorithm, load_pem_private_key(pem, password=None))  # type: ignore[arg-type]  # checked above

    def is_for(self, algorithm: Algorithm, rsa_bits: int) -> bool:
        """Whether it is such a key as `generate` makes with these arguments."""
        size_fits = not isinstance(self.private, RSAPrivateKey) or self.private.key_size == rsa_bits
        return self.algorithm == algorithm and size_fits

    def pem(self) -> bytes:
        """Return the private key as unencrypted PKCS#8. Encrypt it before storing it."""
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @cached_property
    def kid(self) -> str:
        """The key's JWK thumbprint (RFC 7638), so that two keys never have the same id."""
        return thumbprint(self._members)

    @cached_property
    def public_jwk(self) -> dict[str, str]:
        """The key as published: public members only."""
        return {**self._members, "use": "sig", "alg": self.algorithm, "kid": self.kid}

    @cached_property
    def verifier(self) -> jwt.PyJWK:
        """The key as verifiers use it."""
        return verification_key(self.public_jwk)

    @cached_property
    def _members(self) -> dict[str, str]:
        jwk = jwt.get_algorithm_by_name(self.algorithm).to_jwk(self.private.public_key(), as_dict=True)
        return {name: jwk[name] for name in REQUIRED_MEMBERS[jwk["kty"]]}


@dataclass(frozen=True)
class SharedKey:
    """A secret that both signs and verifies (HS256): the weaker choice, for comparison.

    Every replica that can verify a token can also create one for anybody, administrators included. So whoever breaks
    into one replica has broken into all of them, and into the auth service. With a key pair, the private half stays in
    one place. A shared secret cannot be published either, so nobody else can verify tokens. And all processes must get
    a new secret at the same moment, so it cannot be rotated without some requests being answered with 401.
    """

    secret: str = field(repr=False)
    algorithm: Algorithm = field(default="HS256", init=False)

    @property
    def private(self) -> bytes:
        """The secret, for signing."""
        return self.secret.encode()

    @cached_property
    def verifier(self) -> jwt.PyJWK:
        """What verifies: the same."""
        return verification_key(shared_key_jwk(self.secret))

    @property
    def kid(self) -> str:
        """The key's thumbprint. It reveals nothing about a secret that cannot be guessed; weak ones are refused."""
        return str(self.verifier.key_id)
