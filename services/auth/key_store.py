"""Signing keys in the SQL database, encrypted, so that all auth processes share them and they outlive each."""

import contextlib

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.auth.clock import Clock
from services.auth.database import transaction
from services.auth.schema import signing_keys
from services.auth.signing_keys import KeyRing, SigningKey

FIRST = 1


class WrongEncryptionSecretError(Exception):
    """The keys in the database were encrypted with another `key-encryption-secret`."""


class KeyStore:
    """Reads and writes signing keys. Every call raises `Unavailable` when the database does not answer."""

    def __init__(self, engine: AsyncEngine, encryption: Fernet, clock: Clock) -> None:
        self._engine = engine
        self._encryption = encryption
        self._clock = clock

    async def load_or_create(self) -> KeyRing:
        """Return the keys, after making the first one if there is none. Processes that start together agree on it."""
        ring = await self.load()
        if not ring.keys:
            with contextlib.suppress(IntegrityError):  # somebody else was first
                await self._add(FIRST, SigningKey.generate())
            ring = await self.load()
        return ring

    async def load(self) -> KeyRing:
        """Return all keys, oldest first. `WrongEncryptionSecretError` if they cannot be decrypted."""
        async with transaction(self._engine) as connection:
            rows = (await connection.execute(select(signing_keys).order_by(signing_keys.c.serial))).all()
        try:
            return KeyRing(
                tuple(SigningKey.from_pem(row.algorithm, self._encryption.decrypt(row.private_key)) for row in rows)
            )
        except InvalidToken:
            raise WrongEncryptionSecretError from None

    async def _add(self, serial: int, key: SigningKey) -> None:
        row = {
            "serial": serial,
            "kid": key.kid,
            "algorithm": key.algorithm,
            "private_key": self._encryption.encrypt(key.pem()),
            "created_at": self._clock(),
        }
        async with transaction(self._engine) as connection:
            await connection.execute(insert(signing_keys).values(row))
