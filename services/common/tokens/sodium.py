"""EdDSA by libsodium (PyNaCl), which verifies in half of the time that OpenSSL takes."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jwt.algorithms import AllowedOKPKeys, OKPAlgorithm
from nacl.bindings import crypto_sign_BYTES, crypto_sign_open
from nacl.exceptions import BadSignatureError


class SodiumEdDSA(OKPAlgorithm):
    """PyJWT's EdDSA, except that libsodium verifies the signatures of Ed25519 keys.

    It refuses all that OpenSSL refuses (RFC 8032 §5.1.7), and points of small order, as keys and in signatures: with
    such a key, one signature can be good for every message.
    """

    def verify(self, msg: str | bytes, key: AllowedOKPKeys, sig: str | bytes) -> bool:
        """Return whether *sig* is the signature of *msg* by *key*."""
        if not (isinstance(key, Ed25519PublicKey) and isinstance(msg, bytes) and isinstance(sig, bytes)):
            return super().verify(msg, key, sig)
        if len(sig) != crypto_sign_BYTES:  # the rest would be taken from the message
            return False
        try:
            crypto_sign_open(sig + msg, key.public_bytes_raw())
        except BadSignatureError:
            return False
        return True
