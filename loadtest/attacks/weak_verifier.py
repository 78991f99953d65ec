"""A verifier with a flaw of choice, each seen in the wild, to prove that forgeries work: for nothing else.

It shares no code with ours. Without a flaw it is strict, so whatever it accepts got in by the flaw.
"""

import base64
import binascii
import hashlib
import hmac
import json
import math
import os
import sqlite3
import urllib.request
from enum import Enum, auto
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

LEEWAY = 10


class Flaw(Enum):
    """What is wrong with it."""

    NONE = auto()
    """`alg` may be none, in any spelling, or empty"""
    NO_SIGNATURE = auto()
    """a signature that is not there is not checked"""
    HMAC = auto()
    """the token chooses HS256, and the public key's text becomes the secret"""
    SIGNATURE = auto()
    """claims are decoded, never verified"""
    KEY_IN_HEADER = auto()
    """the token brings its own key, or says where it is"""
    CRIT = auto()
    """critical extensions are overlooked"""
    ALGORITHM = auto()
    """`alg` is not compared with the key's"""
    TIME = auto()
    """`exp`, `iat` and `nbf` are not looked at"""
    TYPE = auto()
    """any type of JWT will do"""
    AUDIENCE = auto()
    """`aud` is not compared"""
    ISSUER = auto()
    """`iss` is not compared"""
    MISSING = auto()
    """a claim that is not there is not checked"""
    TEXT = auto()
    """claims may be of any type"""
    DUPLICATES = auto()
    """of two members with one name, the last wins"""
    MALLEABLE = auto()
    """the signature is decoded leniently"""
    ONLY_KEY = auto()
    """whatever `kid` says, the only key is taken"""
    KID_IS_PATH = auto()
    """`kid` is a file with the secret"""
    KID_IN_SQL = auto()
    """`kid` is pasted into a query for the secret"""


class RefusedError(Exception):
    """The verifier does not accept the token."""


class WeakVerifier:
    """Verifies EdDSA tokens by *public_jwk* at Unix time *now*, except for *flaw*."""

    def __init__(self, public_jwk: dict[str, Any], issuer: str, audience: str, now: float, flaw: Flaw | None) -> None:
        self.public_jwk = public_jwk
        self.key = Ed25519PublicKey.from_public_bytes(_decode(public_jwk["x"]))
        self.issuer, self.audience, self.now, self.flaw = issuer, audience, now, flaw

    def verify(self, token: str) -> dict[str, Any]:
        """Return the claims, or raise `RefusedError`."""
        try:
            return self._verify(token)
        except (ValueError, TypeError, KeyError, AttributeError, InvalidSignature, OSError) as error:
            raise RefusedError(repr(error)) from error

    def _has(self, flaw: Flaw) -> bool:
        return self.flaw is flaw

    def _verify(self, token: str) -> dict[str, Any]:
        parts = token.split(".")
        if len(parts) == 2 and self._has(Flaw.NO_SIGNATURE):
            parts.append("")
        if len(parts) > 3 and self._has(Flaw.MALLEABLE):
            parts = parts[:3]
        header_text, claims_text, signature_text = parts
        header, claims = self._json(header_text), self._json(claims_text)
        self._check_header(header)
        signed = f"{header_text}.{claims_text}".encode()
        if not self._is_signed(header, signed, self._signature(signature_text)):
            raise RefusedError("signature")
        self._check_claims(claims)
        return claims

    def _json(self, text: str) -> dict[str, Any]:
        hook = None if self._has(Flaw.DUPLICATES) else _without_duplicates
        value: dict[str, Any] = json.loads(_decode(text), object_pairs_hook=hook)
        return value

    def _signature(self, text: str) -> bytes:
        if self._has(Flaw.MALLEABLE):
            return base64.urlsafe_b64decode(text + "==")  # skips what is not in the alphabet
        return _decode(text)

    def _check_header(self, header: dict[str, Any]) -> None:
        if header.get("typ") != "at+jwt" and not self._has(Flaw.TYPE):
            raise RefusedError("typ")
        if "crit" in header and not self._has(Flaw.CRIT):
            raise RefusedError("crit")

    def _is_signed(self, header: dict[str, Any], signed: bytes, signature: bytes) -> bool:
        algorithm, kid = header["alg"], header.get("kid")
        if (
            self._has(Flaw.SIGNATURE)
            or (self._has(Flaw.NO_SIGNATURE) and not signature)
            or (self._has(Flaw.NONE) and (not algorithm or str(algorithm).lower() == "none"))
        ):
            return True
        if algorithm == "HS256":
            secrets = [secret for secret in self._secrets(str(kid)) if secret is not None]
            return any(hmac.compare_digest(_hs256(secret, signed), signature) for secret in secrets)
        if algorithm != "EdDSA" and not self._has(Flaw.ALGORITHM):
            raise RefusedError("alg")
        self._verification_key(header, kid).verify(signature, signed)
        return True

    def _secrets(self, kid: str) -> list[bytes | None]:
        """Return every secret that the flaw makes the verifier accept."""
        match self.flaw:
            case Flaw.HMAC:
                spki = PublicFormat.SubjectPublicKeyInfo
                return [
                    self.key.public_bytes(Encoding.PEM, spki),
                    self.key.public_bytes(Encoding.DER, spki),
                    self.key.public_bytes(Encoding.Raw, PublicFormat.Raw),
                    json.dumps(self.public_jwk).encode(),
                    b"",
                ]
            case Flaw.KID_IS_PATH:
                return [Path(os.path.normpath(f"/var/keys/{kid}")).read_bytes()]
            case Flaw.KID_IN_SQL:
                with sqlite3.connect(":memory:") as database:
                    database.execute("CREATE TABLE keys (kid, secret)")
                    query = f"SELECT secret FROM keys WHERE kid = '{kid}'"  # noqa: S608  # that is the flaw
                    row = database.execute(query).fetchone()
                database.close()
                return [str(row[0]).encode()] if row else []
        return []

    def _verification_key(self, header: dict[str, Any], kid: Any) -> Ed25519PublicKey:
        if self._has(Flaw.KEY_IN_HEADER):
            return _brought_key(header)
        if kid != self.public_jwk["kid"] and not self._has(Flaw.ONLY_KEY):
            raise RefusedError("kid")
        return self.key

    def _check_claims(self, claims: dict[str, Any]) -> None:
        if not self._has(Flaw.MISSING):
            for name in ("iss", "sub", "aud", "exp", "iat", "jti", "client_id"):
                claims[name]
        if "aud" in claims and claims["aud"] != self.audience and not self._has(Flaw.AUDIENCE):
            raise RefusedError("aud")
        if "iss" in claims and claims["iss"] != self.issuer and not self._has(Flaw.ISSUER):
            raise RefusedError("iss")
        if not self._has(Flaw.TIME):
            self._check_times(claims)
        if not self._has(Flaw.TEXT):
            roles = claims.get("roles", [])
            texts = [claims.get(name, "-") for name in ("sub", "client_id", "jti", "preferred_username")]
            if not isinstance(roles, list) or not all(isinstance(text, str) for text in [*texts, *roles]):
                raise RefusedError("a claim of another type")

    def _check_times(self, claims: dict[str, Any]) -> None:
        times = [claims.get("exp", math.inf), claims.get("iat", 0), claims.get("nbf", 0)]
        if any(type(time) not in (int, float) or math.isnan(time) for time in times):
            raise RefusedError("no time")
        if times[0] <= self.now - LEEWAY or max(times[1:]) > self.now + LEEWAY:
            raise RefusedError("not now")


def _brought_key(header: dict[str, Any]) -> Ed25519PublicKey:
    certificate = None
    if "x5c" in header:
        certificate = x509.load_der_x509_certificate(base64.b64decode(header["x5c"][0]))
    elif "x5u" in header:
        certificate = x509.load_pem_x509_certificate(_fetch(header["x5u"]))
    if certificate:
        key = certificate.public_key()
        if not isinstance(key, Ed25519PublicKey):
            raise RefusedError("the certificate's key")
        return key
    jwk = header.get("jwk") or json.loads(_fetch(header.get("jku") or header["kid"]))["keys"][0]
    return Ed25519PublicKey.from_public_bytes(_decode(jwk["x"]))


def _fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  # whatever the token says: that is the flaw
        content: bytes = answer.read()
        return content


def _hs256(secret: bytes, signed: bytes) -> bytes:
    return hmac.digest(secret, signed, hashlib.sha256)


def _decode(text: str) -> bytes:
    data = binascii.a2b_base64((text + "=" * (-len(text) % 4)).translate({45: 43, 95: 47}), strict_mode=True)
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != text:
        raise RefusedError("base64")
    return data


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise RefusedError("duplicates")
    return dict(pairs)
