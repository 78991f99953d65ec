"""Signing keys: what is published of them, and how they are kept."""

import asyncio
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import URL, make_url

from services.auth.database import open_database
from services.auth.derived_keys import DerivedKeys
from services.auth.key_store import KeyStore, WrongEncryptionSecretError
from services.auth.signing_keys import KeyRing, SigningKey, thumbprint


@pytest.fixture
def database(tmp_path: Path) -> URL:
    return make_url(f"sqlite+aiosqlite:///{tmp_path / 'auth.sqlite'}")


def test_j16_the_thumbprint_is_that_of_rfc_8037_appendix_a3() -> None:
    x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    assert thumbprint({"x": x, "kty": "OKP", "crv": "Ed25519"}) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_j16_only_public_members_are_published() -> None:
    key = SigningKey.generate()
    (published,) = KeyRing((key,)).jwks()["keys"]
    assert published.keys() == {"kty", "crv", "x", "use", "alg", "kid"}
    assert (published["use"], published["alg"], published["kid"]) == ("sig", "EdDSA", key.kid)


def test_a_key_survives_being_written_and_read() -> None:
    key = SigningKey.generate()
    assert SigningKey.from_pem("EdDSA", key.pem()).kid == key.kid


def test_derived_keys_differ_by_purpose_and_by_secret() -> None:
    one, other = DerivedKeys.from_secret("a" * 32), DerivedKeys.from_secret("b" * 32)
    assert one.refresh_tokens != other.refresh_tokens
    assert "Fernet" not in repr(one)


async def test_processes_that_start_together_on_an_empty_database_agree_on_one_key(database: URL) -> None:
    encryption = Fernet(Fernet.generate_key())

    async def start() -> KeyRing:
        async with open_database(database) as engine:
            return await KeyStore(engine, encryption, lambda: 0.0).load_or_create()

    rings = await asyncio.gather(*(start() for _ in range(6)))
    assert len({ring.signer.kid for ring in rings}) == 1
    assert {len(ring.keys) for ring in rings} == {1}


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def test_a_private_key_is_not_readable_in_the_database(database: URL, tmp_path: Path) -> None:
    async with open_database(database) as engine:
        ring = await KeyStore(engine, Fernet(Fernet.generate_key()), lambda: 0.0).load_or_create()
    stored = everything_in(tmp_path)
    assert ring.signer.kid.encode() in stored  # this is the place to look at
    assert ring.signer.private.private_bytes_raw() not in stored
    assert b"PRIVATE KEY" not in stored


async def test_another_encryption_secret_is_recognised(database: URL) -> None:
    async with open_database(database) as engine:
        await KeyStore(engine, Fernet(Fernet.generate_key()), lambda: 0.0).load_or_create()
        with pytest.raises(WrongEncryptionSecretError):
            await KeyStore(engine, Fernet(Fernet.generate_key()), lambda: 0.0).load()
