"""The keys that encrypt sessions into cookies: AES-256-GCM, under keys that are derived from them (ADR 22)."""

import functools
import hashlib
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.common import base64url

ID, SALT, NONCE = 6, 16, 12  # bytes, in this order, before the encrypted session
SALTED = ID + SALT
USES = 2**20  # cookies per salt
DERIVED = 1000  # keys remembered: one for each process, and start of one, whose cookies are still good


class CookieKeys:
    """Encrypts with the first of *keys* and decrypts with any: a cookie names its key.

    *context* is authenticated with each cookie, so that it is nothing under another name, or for another version.

    A process picks a random salt when it starts, and another one after `USES` cookies. Key and salt give the key that
    encrypts, with random nonces: 10^12 cookies of one key use one nonce twice with a probability below 2^-36.
    """

    def __init__(self, keys: Sequence[bytes], context: bytes) -> None:
        self._keys = {_id(key): key for key in keys}
        self._first = _id(keys[0])
        self._context = context
        self._salt, self._uses = b"", USES
        self._cipher = functools.lru_cache(DERIVED)(self._derive)

    def encrypt(self, plaintext: bytes) -> str:
        """Return the text of a cookie."""
        if self._uses == USES:
            self._salt, self._uses = os.urandom(SALT), 0
        self._uses += 1
        salted, nonce = self._first + self._salt, os.urandom(NONCE)
        return base64url.encode(salted + nonce + self._cipher(salted).encrypt(nonce, plaintext, self._context))

    def decrypt(self, text: str) -> bytes | None:
        """Return what is in a cookie, or None if it is none of ours."""
        try:
            raw = base64url.decode(text)
            salted, nonce, encrypted = raw[:SALTED], raw[SALTED : SALTED + NONCE], raw[SALTED + NONCE :]
            return self._cipher(salted).decrypt(nonce, encrypted, self._context)
        except (ValueError, KeyError, InvalidTag):
            return None

    def _derive(self, salted: bytes) -> AESGCM:
        key, salt = self._keys[salted[:ID]], salted[ID:]
        return AESGCM(HKDF(SHA256(), len(key), salt, b"authscale cookie").derive(key))


def _id(key: bytes) -> bytes:
    return hashlib.blake2b(key, digest_size=ID, person=b"cookie key id").digest()
