"""Signing keys in the SQL database, encrypted, where all auth processes share them."""

from collections.abc import Collection

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from services.auth.database.database import Database
from services.auth.database.schema import signing_keys
from services.auth.keys.key import SigningKey, UnfitKeyError
from services.auth.keys.life import KeyLife
from services.auth.keys.ring import StoredKey

ERASED = b""


class WrongEncryptionSecretError(Exception):
    """The keys in the database were encrypted with another `key-encryption-secret`."""


class KeyStore:
    """Reads and writes signing keys. Every method raises `Unavailable` if the database does not respond."""

    def __init__(self, database: Database, encryption: Fernet) -> None:
        self._database = database
        self._encryption = encryption
        self._known: dict[str, SigningKey] = {}

    async def load(self) -> list[StoredKey]:
        """Return all keys in the order of their serial numbers.

        Raises `WrongEncryptionSecretError` if they cannot be decrypted, `UnfitKeyError` if one must not be used.
        """
        rows = await self._database.rows(select(signing_keys).order_by(signing_keys.c.serial))
        stored = [StoredKey(_life(row), self._key(row)) for row in rows]
        self._known = {key.life.kid: key.key for key in stored if key.key}
        return stored

    async def add(self, serial: int, key: SigningKey, *, created_at: float, active_from: float) -> bool:
        """Store a new key. Returns False if another process has taken the serial number: load the keys again."""
        row = {
            "serial": serial,
            "kid": key.kid,
            "algorithm": key.algorithm,
            "private_key": self._encryption.encrypt(key.pem()),
            "created_at": created_at,
            "active_from": active_from,
        }
        try:
            await self._database.change(insert(signing_keys).values(row))
        except IntegrityError:
            return False
        return True

    async def promote(self, kid: str, active_from: float) -> None:
        """Use the key from *active_from* on, if that is earlier than planned."""
        later = (signing_keys.c.kid == kid) & (signing_keys.c.active_from > active_from)
        await self._database.change(update(signing_keys).where(later).values(active_from=active_from))

    async def remove(self, kid: str, now: float) -> bool:
        """Erase the key. Its row stays, so that the removal can be repeated. Returns False if there is no such key."""
        this = signing_keys.c.kid == kid
        present = update(signing_keys).where(this, signing_keys.c.removed_at.is_(None))
        if await self._database.change(present.values(removed_at=now, private_key=ERASED)):
            return True
        return bool(await self._database.rows(select(signing_keys.c.kid).where(this)))

    async def forget(self, kids: Collection[str]) -> None:
        """Delete keys that are no longer needed."""
        await self._database.change(delete(signing_keys).where(signing_keys.c.kid.in_(kids)))

    def _key(self, row: Row[tuple[object, ...]]) -> SigningKey | None:
        if row.removed_at is not None:
            return None
        if known := self._known.get(row.kid):
            return known
        try:
            return SigningKey.from_pem(row.algorithm, self._encryption.decrypt(row.private_key))
        except InvalidToken:
            raise WrongEncryptionSecretError from None
        except UnfitKeyError as error:
            raise UnfitKeyError(f"stored signing key {row.kid}: {error}") from None


def _life(row: Row[tuple[object, ...]]) -> KeyLife:
    return KeyLife(row.kid, row.serial, row.active_from, row.removed_at)
