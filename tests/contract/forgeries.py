"""Tokens that nobody may accept: id and name of each attack, and how it is made from what an attacker has."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.contract.conftest import AUDIENCE, ISSUER, FakeAuth

HEADER = {"typ": "at+jwt", "kid": "key-1"}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unsigned(auth: FakeAuth, alg: Any, signature: str = "") -> str:
    header = b64(json.dumps(HEADER | {"alg": alg}).encode())
    return f"{header}.{b64(json.dumps(auth.claims()).encode())}.{signature}"


def hmac_signed(auth: FakeAuth, secret: bytes) -> str:
    text = unsigned(auth, "HS256").rpartition(".")[0]
    return f"{text}.{b64(hmac.digest(secret, text.encode(), hashlib.sha256))}"


def public_key(auth: FakeAuth, encoding: Encoding, form: PublicFormat) -> bytes:
    return auth.private_key.public_key().public_bytes(encoding, form)


def signed_text(auth: FakeAuth, payload: str, header: str = '{"alg":"EdDSA","typ":"at+jwt","kid":"key-1"}') -> str:
    text = f"{b64(header.encode())}.{b64(payload.encode())}"
    return f"{text}.{b64(auth.private_key.sign(text.encode()))}"


def tampered(auth: FakeAuth, **changes: Any) -> str:
    header, _, signature = auth.token().split(".")
    return f"{header}.{b64(json.dumps(auth.claims(**changes)).encode())}.{signature}"


def with_duplicate(auth: FakeAuth, member: str) -> str:
    return signed_text(auth, json.dumps(auth.claims())[:-1] + f", {member}}}")


def cut(auth: FakeAuth) -> str:
    return auth.token().rpartition(".")[0]


def changed(auth: FakeAuth, claim: str, value: Any) -> str:
    return auth.token(**{claim: value})


def with_kid(auth: FakeAuth, kid: str) -> str:
    return auth.token({"kid": kid})


ALGORITHMS: tuple[Any, ...] = ("none", "None", "NONE", "nOnE", "", None, 0, [])
KIDS = ("../../etc/passwd", "' OR 1=1 --", "http://evil.example/jwks", "", "\0", "x" * 2000, "\u2603")
TEXT_CLAIMS = ("sub", "jti", "client_id")
CLAIMS = ("iss", "sub", "aud", "exp", "iat", "jti", "client_id")
Forge = Callable[[FakeAuth], str]

FORGERIES: dict[str, Forge] = {
    **{f"J1 alg {alg}": partial(unsigned, alg=alg) for alg in ALGORITHMS},
    "J1 alg EdDSA, no signature": lambda a: unsigned(a, "EdDSA"),
    "J1 no signature part": cut,
    "J2 HS256 with the PEM": lambda a: hmac_signed(a, public_key(a, Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)),
    "J2 HS256 with the DER": lambda a: hmac_signed(a, public_key(a, Encoding.DER, PublicFormat.SubjectPublicKeyInfo)),
    "J2 HS256 with the raw key": lambda a: hmac_signed(a, public_key(a, Encoding.Raw, PublicFormat.Raw)),
    "J2 HS256 with the JWK": lambda a: hmac_signed(a, json.dumps(a.public_jwk).encode()),
    "J2 HS256 with nothing": lambda a: hmac_signed(a, b""),
    "J3 signed by another": lambda a: FakeAuth(a.clock).token(),
    "J3 another's jwk": lambda a: (thief := FakeAuth(a.clock)).token({"jwk": thief.public_jwk}),
    "J4 unknown crit": lambda a: a.token({"crit": ["x"], "x": 1}),
    "J4 empty crit": lambda a: signed_text(
        a, json.dumps(a.claims()), '{"alg":"EdDSA","typ":"at+jwt","kid":"key-1","crit":[]}'
    ),
    "J4 crit that PyJWT knows": lambda a: signed_text(
        a, json.dumps(a.claims()), '{"alg":"EdDSA","typ":"at+jwt","kid":"key-1","crit":["b64"],"b64":true}'
    ),
    "J5 RS256 with this kid": lambda a: jwt.encode(a.claims(), rsa.generate_private_key(65537, 2048), "RS256", HEADER),
    "J5 ES256 with this kid": lambda a: jwt.encode(
        a.claims(), ec.generate_private_key(ec.SECP256R1()), "ES256", HEADER
    ),
    "J5 alg of another name": lambda a: signed_text(
        a, json.dumps(a.claims()), '{"alg":"Ed25519","typ":"at+jwt","kid":"key-1"}'
    ),
    "J6 expired": lambda a: a.token(exp=int(a.clock()) - 11),
    "J6 exp is text": lambda a: a.token(exp=str(int(a.clock()) + 300)),
    "J6 exp is true": lambda a: a.token(exp=True),
    "J6 exp is NaN": lambda a: a.token(exp=float("nan")),
    "J6 exp is a list": lambda a: a.token(exp=[int(a.clock()) + 300]),
    "J6 iat in the future": lambda a: a.token(iat=int(a.clock()) + 60),
    "J6 nbf in the future": lambda a: a.token(nbf=int(a.clock()) + 60),
    "J6 nbf is text": lambda a: a.token(nbf="0"),
    "J7 a refresh token": lambda a: a.token({"typ": "rt+jwt"}),
    "J7 typ JWT": lambda a: a.token({"typ": "JWT"}),
    "J7 no typ": lambda a: a.token({"typ": None}),
    "J8 another audience": lambda a: a.token(aud="others"),
    "J8 longer audience": lambda a: a.token(aud=f"{AUDIENCE}-2"),
    "J8 shorter audience": lambda a: a.token(aud=AUDIENCE[:-1]),
    "J8 a list": lambda a: a.token(aud=[AUDIENCE]),
    "J8 an object": lambda a: a.token(aud={AUDIENCE: 1}),
    "J9 another issuer": lambda a: a.token(iss="https://evil.example"),
    "J9 longer issuer": lambda a: a.token(iss=f"{ISSUER}/"),
    "J9 shorter issuer": lambda a: a.token(iss=ISSUER[:-1]),
    "J9 a list": lambda a: signed_text(a, json.dumps(a.claims(iss=None) | {"iss": [ISSUER]})),
    **{f"J10 no {claim}": partial(changed, claim=claim, value=None) for claim in CLAIMS},
    **{f"J10 {claim} is a number": partial(changed, claim=claim, value=7) for claim in TEXT_CLAIMS},
    "name is a number": lambda a: a.token(preferred_username=1),
    "roles is text": lambda a: a.token(roles="admin"),
    "roles has a number": lambda a: a.token(roles=[1]),
    "J11 sub twice": lambda a: with_duplicate(a, '"sub": "id-of-bob"'),
    "J11 exp twice": lambda a: with_duplicate(a, '"exp": 99999999999'),
    "J11 kid twice": lambda a: signed_text(
        a, json.dumps(a.claims()), '{"alg":"EdDSA","typ":"at+jwt","kid":"x","kid":"key-1"}'
    ),
    **{f"J14 kid {kid[:20]}": partial(with_kid, kid=kid) for kid in KIDS},
    "J14 kid is a number": lambda a: signed_text(a, json.dumps(a.claims()), '{"alg":"EdDSA","typ":"at+jwt","kid":1}'),
    "J14 no kid": lambda a: signed_text(a, json.dumps(a.claims()), '{"alg":"EdDSA","typ":"at+jwt"}'),
    "tampered subject": lambda a: tampered(a, sub="id-of-bob"),
    "tampered roles": lambda a: tampered(a, roles=["admin"]),
    "claims are a list": lambda a: signed_text(a, "[]"),
    "claims are no JSON": lambda a: signed_text(a, "x"),
    "claims are deep": lambda a: signed_text(a, "[" * 2000),
    "header is a list": lambda a: signed_text(a, json.dumps(a.claims()), "[]"),
    "header is deep": lambda a: signed_text(a, "{}", "[" * 2000),
    "too long": lambda a: a.token(filler="x" * 4096),
    "a trailing dot": lambda a: a.token() + ".",
    "four parts": lambda a: f"{a.token()}.AAAA",
    "junk in the header": lambda a: "!" + a.token(),
    "dots": lambda a: "..",
}
