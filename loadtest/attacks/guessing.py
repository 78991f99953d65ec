"""Guessing the secret of a token without asking anybody: HMAC-SHA256 by OpenSSL, through Python's standard library."""

import base64
import hmac
import itertools
import json
import string
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from loadtest.attacks.forgeries import b64

CHUNK = 2048


class Guessed(NamedTuple):
    """The secret, if it was found, and the number of guesses and of seconds."""

    secret: str | None
    guesses: int
    seconds: float


def token_of(secret: str) -> str:
    """Return a token that is signed with *secret* (HS256), however weak that is."""
    text = f"{b64(json.dumps({'alg': 'HS256', 'typ': 'JWT'}).encode())}.{b64(json.dumps({'sub': 'x'}).encode())}"
    return f"{text}.{b64(hmac.digest(secret.encode(), text.encode(), 'sha256'))}"


def guess(token: str, candidates: Iterable[str], seconds: float = 60.0) -> Guessed:
    """Try *candidates* as the secret of *token* (HS256), for at most *seconds*."""
    signed, _, text = token.rpartition(".")
    message, wanted = signed.encode(), base64.urlsafe_b64decode(text + "==")
    began, guesses = time.perf_counter(), 0
    iterator = iter(candidates)
    while chunk := list(itertools.islice(iterator, CHUNK)):
        for number, candidate in enumerate(chunk, 1):
            if hmac.digest(candidate.encode(), message, "sha256") == wanted:
                return Guessed(candidate, guesses + number, time.perf_counter() - began)
        guesses += len(chunk)
        if time.perf_counter() - began > seconds:
            break
    return Guessed(None, guesses, time.perf_counter() - began)


def guess_keys(public: bytes, seconds: float) -> Guessed:
    """Try Ed25519 private keys, one after the other, against a *public* one (raw), for *seconds*."""
    began, guesses = time.perf_counter(), 0
    while (now := time.perf_counter()) - began < seconds:
        guesses += 1
        key = Ed25519PrivateKey.from_private_bytes(guesses.to_bytes(32, "big"))
        if key.public_key().public_bytes_raw() == public:
            return Guessed("found", guesses, now - began)
    return Guessed(None, guesses, time.perf_counter() - began)


def common_passwords() -> list[str]:
    """Return the passwords that people choose most, the most common one first (zxcvbn's list)."""
    return list(FREQUENCY_LISTS["passwords"])


def words(alphabet: str, length: int) -> Iterator[str]:
    """Yield all words of *length* letters, in order."""
    return ("".join(letters) for letters in itertools.product(alphabet, repeat=length))


SECRETS = {
    "a common password": float(len(common_passwords())),
    "6 digits": 10.0**6,
    "8 lower-case letters": 26.0**8,
    "8 letters and digits": float(len(string.ascii_letters + string.digits)) ** 8,
    "12 letters and digits": float(len(string.ascii_letters + string.digits)) ** 12,
    "128 random bits": 2.0**128,
    "256 random bits": 2.0**256,
}
"""Kinds of secrets, and how many there are of each."""
