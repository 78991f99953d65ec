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
from services.common.tokens.jwk import REQUIRED_MEMBERS, shared_key_jwk, thumbprint

PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey

RSA_BITS, MIN_RSA_BITS = 3072, 2048  # NIST SP 800-57: 128 bits of strength for new ones; 112 bits at the least


class UnfitKeyError(Exception):
    """A key that is too weak, or not of its algorithm's kind. The text says what it is and what it has to be."""


@dataclass(frozen=True)
class SigningKey:
    """A private key with the one algorithm (RFC 7518 name) that it is used with. `UnfitKeyError` if they do not fit."""

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
        raise UnfitKeyError(f"a key of type {type(self.private).__name__} is not one for {self.algorithm}")

    @classmethod
    def generate(cls, algorithm: Algorithm = "EdDSA") -> "SigningKey":
        """Return a new key from the operating system's randomness. RSA takes its time: not in an event loop."""
        match algorithm:
            case "EdDSA":
                return cls(algorithm, Ed25519PrivateKey.generate())
            case "ES256":
                return cls(algorithm, generate_private_key(SECP256R1()))
            case "RS256":
                return cls(algorithm, generate_rsa(65537, RSA_BITS))
        raise UnfitKeyError(f"{algorithm} has no key pairs: its key is a shared secret")

    @classmethod
    def from_pem(cls, algorithm: Algorithm, pem: bytes) -> "SigningKey":
        """Return the key that `pem` gave, or that somebody else made: it is checked alike."""
        return cls(algorithm, load_pem_private_key(pem, password=None))  # type: ignore[arg-type]  # checked above

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
    def verifier(self) -> jwt.PyJWK:
        """The key as verifiers use it."""
        return jwt.PyJWK(self.public_jwk)

    @cached_property
    def _members(self) -> dict[str, str]:
        jwk = jwt.get_algorithm_by_name(self.algorithm).to_jwk(self.private.public_key(), as_dict=True)
        return {name: jwk[name] for name in REQUIRED_MEMBERS[jwk["kty"]]}


@dataclass(frozen=True)
class SharedKey:
    """A secret that both signs and verifies (HS256): the weaker choice, to be compared with.

    Every replica that can verify a token can also make one, for anybody, administrators included: whoever breaks into
    one replica has broken into all of them, and into the auth service. A key pair leaves the private half in one place.
    Nor can a shared secret be published, so that nobody else can verify tokens, and every process must get a new one by
    other means and at the same time: it cannot be rotated without a 401.
    """

    secret: str = field(repr=False)
    algorithm: Algorithm = field(default="HS256", init=False)

    @property
    def private(self) -> bytes:
        """What signs."""
        return self.secret.encode()

    @cached_property
    def verifier(self) -> jwt.PyJWK:
        """What verifies: the same."""
        return jwt.PyJWK(shared_key_jwk(self.secret))

    @property
    def kid(self) -> str:
        """The key's thumbprint. It says nothing of a secret that cannot be guessed, and others are refused."""
        return str(self.verifier.key_id)
