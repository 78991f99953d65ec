"""The signature algorithms: PyJWT's, with EdDSA by libsodium where there is PyNaCl (docs/adr/0021-libsodium.md)."""

from typing import Any

import jwt
from jwt.algorithms import OKPAlgorithm


def eddsa() -> OKPAlgorithm:
    """Return the faster EdDSA that is installed: libsodium's, or else OpenSSL's."""
    try:
        from services.common.tokens.sodium import SodiumEdDSA
    except ImportError:
        return OKPAlgorithm()
    return SodiumEdDSA()


JWS = jwt.PyJWS()
"""Signs tokens."""
JWS.unregister_algorithm("EdDSA")
JWS.register_algorithm("EdDSA", eddsa())


def verification_key(jwk: dict[str, Any]) -> jwt.PyJWK:
    """Return a key that is ready to verify signatures with an algorithm of `JWS`. `PyJWTError` if it cannot be used."""
    key = jwt.PyJWK(jwk)
    key.Algorithm = JWS.get_algorithm_by_name(key.algorithm_name)
    return key
