"""Signing keys: what is published, and how they are stored."""

import asyncio
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from redis.asyncio import Redis
from sqlalchemy import URL, make_url

from services.auth.database.database import Database
from services.auth.keys.derived_keys import DerivedKeys
from services.auth.keys.key import SharedKey, SigningKey, UnfitKeyError
from services.auth.keys.life import Policy
from services.auth.keys.ring import SharedKeyRing, StoredKeyRing
from services.auth.keys.rotation import KeyRotation
from services.auth.keys.store import KeyStore, WrongEncryptionSecretError
from services.common.removed_keys import RemovedKeys
from services.common.settings import Algorithm
from services.common.tokens.jwk import thumbprint


@pytest.fixture
def url(tmp_path: Path) -> URL:
    return make_url(f"sqlite+aiosqlite:///{tmp_path / 'auth.sqlite'}")


def test_j16_the_thumbprint_matches_rfc_8037_appendix_a3() -> None:
    x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    assert thumbprint({"x": x, "kty": "OKP", "crv": "Ed25519"}) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@pytest.mark.parametrize(
    ("algorithm", "members"),
    [("EdDSA", {"kty", "crv", "x"}), ("ES256", {"kty", "crv", "x", "y"}), ("RS256", {"kty", "n", "e"})],
)
def test_j16_only_public_members_are_published(algorithm: Algorithm, members: set[str]) -> None:
    key = SigningKey.generate(algorithm)
    published = key.public_jwk
    assert published.keys() == members | {"use", "alg", "kid"}
    assert (published["use"], published["alg"], published["kid"]) == ("sig", algorithm, thumbprint(published))
    assert SigningKey.from_pem(algorithm, key.pem()).kid == key.kid


async def test_j16_a_shared_key_is_never_published() -> None:
    ring = SharedKeyRing(SharedKey("s" * 32))
    assert ring.jwks() == {"keys": []}
    assert await ring.find(ring.signer.kid) is ring.signer.verifier
    assert await ring.find("another") is None
    assert "s" * 32 not in repr(ring)


def test_j13_a_weak_rsa_key_is_not_used() -> None:
    with pytest.raises(UnfitKeyError, match="1024 bits is too weak: RS256 needs 2048"):
        SigningKey("RS256", rsa.generate_private_key(65537, 1024))


@pytest.mark.parametrize(
    ("algorithm", "private"),
    [
        ("ES256", ec.generate_private_key(ec.SECP384R1())),
        ("ES256", Ed25519PrivateKey.generate()),
        ("EdDSA", ec.generate_private_key(ec.SECP256R1())),
        ("RS256", ec.generate_private_key(ec.SECP256R1())),
        ("HS256", Ed25519PrivateKey.generate()),
    ],
)
def test_j5_a_key_is_for_one_algorithm(algorithm: Algorithm, private: Ed25519PrivateKey) -> None:
    with pytest.raises(UnfitKeyError, match=f"cannot be used for {algorithm}"):
        SigningKey(algorithm, private)
    with pytest.raises(UnfitKeyError):
        SigningKey.from_pem(algorithm, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def test_j13_there_is_no_key_pair_for_hs256() -> None:
    with pytest.raises(UnfitKeyError, match="shared secret"):
        SigningKey.generate("HS256")


def test_derived_keys_differ_by_purpose_and_by_secret() -> None:
    one, other = DerivedKeys.from_secret("a" * 32), DerivedKeys.from_secret("b" * 32)
    assert one.refresh_tokens != other.refresh_tokens
    assert "Fernet" not in repr(one)


async def started(database: Database, encryption: Fernet) -> StoredKeyRing:
    store, nobody = KeyStore(database, encryption), RemovedKeys(Redis())
    rotation = KeyRotation(store, nobody, "EdDSA", Policy(120, 360), lambda: 0.0)
    await rotation.start()
    return rotation.ring


async def test_processes_that_start_together_on_an_empty_database_agree_on_one_key(url: URL) -> None:
    encryption = Fernet(Fernet.generate_key())

    async def start() -> StoredKeyRing:
        async with Database(url).opened() as database:
            return await started(database, encryption)

    rings = await asyncio.gather(*(start() for _ in range(6)))
    assert len({ring.signer.kid for ring in rings}) == 1
    assert {len(ring.keys) for ring in rings} == {1}


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def test_a_private_key_is_not_readable_in_the_database(url: URL, tmp_path: Path) -> None:
    async with Database(url).opened() as database:
        ring = await started(database, Fernet(Fernet.generate_key()))
    stored = everything_in(tmp_path)
    assert ring.signer.kid.encode() in stored  # this is where it is stored
    assert isinstance(ring.signer.private, Ed25519PrivateKey)
    assert ring.signer.private.private_bytes_raw() not in stored
    assert b"PRIVATE KEY" not in stored


async def test_a_different_encryption_secret_is_detected(url: URL) -> None:
    async with Database(url).opened() as database:
        await started(database, Fernet(Fernet.generate_key()))
        with pytest.raises(WrongEncryptionSecretError):
            await KeyStore(database, Fernet(Fernet.generate_key())).load()
