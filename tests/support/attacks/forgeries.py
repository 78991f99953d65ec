"""Tokens that no verifier may accept: the id and name of each attack, how it is made from what an attacker has, and the
flaw that lets it in. `weak_verifier` has each flaw in turn, which proves that every forgery works.
"""

import base64
import datetime
import json
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jwt
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from loadtest.attacks.forgeries import another_last_letter, b64, with_hmac
from loadtest.attacks.weak_verifier import Flaw
from tests.support.servers.app import AUDIENCE, ISSUER, KID, FakeAuth

HEADER = {"typ": "at+jwt", "kid": KID}
SPKI = PublicFormat.SubjectPublicKeyInfo


class Attacker:
    """An attacker with a key of their own, and a server that publishes it and counts requests."""

    def __init__(self, auth: FakeAuth) -> None:
        self.own = FakeAuth(auth.clock)
        self.url = "http://127.0.0.1:1"
        self.fetches = 0

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/jwks", self._jwks)
        app.router.add_get("/certificate", self._certificate)
        return app

    async def _jwks(self, request: web.Request) -> web.Response:
        self.fetches += 1
        return web.json_response({"keys": [self.own.public_jwk]})

    async def _certificate(self, request: web.Request) -> web.Response:
        self.fetches += 1
        return web.Response(body=self.certificate().public_bytes(Encoding.PEM))

    def certificate(self) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "attacker")])
        now = datetime.datetime.fromtimestamp(self.own.clock(), datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
        builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
        return builder.public_key(self.own.private_key.public_key()).sign(self.own.private_key, None)

    def x5c(self) -> list[str]:
        return [base64.b64encode(self.certificate().public_bytes(Encoding.DER)).decode()]


def unsigned(auth: FakeAuth, alg: Any, signature: str = "", **header: Any) -> str:
    text = b64(json.dumps(HEADER | {"alg": alg} | header).encode())
    return f"{text}.{b64(json.dumps(auth.claims()).encode())}.{signature}"


def hmac_signed(auth: FakeAuth, secret: bytes, **header: Any) -> str:
    return with_hmac(unsigned(auth, "HS256", **header).rpartition(".")[0], secret)


def public_key(auth: FakeAuth, encoding: Encoding, form: PublicFormat = SPKI) -> bytes:
    return auth.private_key.public_key().public_bytes(encoding, form)


def signed_text(auth: FakeAuth, payload: str, header: str = '{"alg":"EdDSA","typ":"at+jwt","kid":"key-1"}') -> str:
    text = f"{b64(header.replace('key-1', KID).encode())}.{b64(payload.encode())}"
    return f"{text}.{b64(auth.private_key.sign(text.encode()))}"


def with_header(auth: FakeAuth, header: str) -> str:
    return signed_text(auth, json.dumps(auth.claims()), header)


def tampered(auth: FakeAuth, **changes: Any) -> str:
    header, _, signature = auth.token().split(".")
    return f"{header}.{b64(json.dumps(auth.claims(**changes)).encode())}.{signature}"


def with_duplicate(auth: FakeAuth, member: str) -> str:
    return signed_text(auth, json.dumps(auth.claims())[:-1] + f", {member}}}")


def cut(auth: FakeAuth) -> str:
    return auth.token().rpartition(".")[0]


def in_signature(token: str, junk: str) -> str:
    return token[:-20] + junk + token[-20:]


Forge = Callable[[FakeAuth, Attacker], str]


class Forgery(NamedTuple):
    flaw: Flaw
    forge: Forge


def changed(auth: FakeAuth, attacker: Attacker, claim: str, value: Any) -> str:
    return auth.token(**{claim: value})


def with_kid(auth: FakeAuth, attacker: Attacker, kid: str) -> str:
    return auth.token({"kid": kid})


def with_alg(auth: FakeAuth, attacker: Attacker, alg: Any) -> str:
    return unsigned(auth, alg)


ALGORITHMS: tuple[Any, ...] = ("none", "None", "NONE", "nOnE", "", None, 0, [])
KIDS = ("../../etc/passwd", "' OR 1=1 --", "http://evil.example/jwks", "", "\0", "x" * 2000, "x" * 65536, "\u2603")
TEXT_CLAIMS = ("sub", "jti", "client_id")
CLAIMS = ("iss", "sub", "aud", "exp", "iat", "jti", "client_id")

_FORGERIES: dict[str, tuple[Flaw, Forge]] = {
    **{f"J1 alg {alg}": (Flaw.NONE, partial(with_alg, alg=alg)) for alg in ALGORITHMS},
    "J1 alg EdDSA, no signature": (Flaw.NO_SIGNATURE, lambda a, t: unsigned(a, "EdDSA")),
    "J1 no signature part": (Flaw.NO_SIGNATURE, lambda a, t: cut(a)),
    "J2 HS256 with the PEM": (Flaw.HMAC, lambda a, t: hmac_signed(a, public_key(a, Encoding.PEM))),
    "J2 HS256 with the DER": (Flaw.HMAC, lambda a, t: hmac_signed(a, public_key(a, Encoding.DER))),
    "J2 HS256 with the raw key": (
        Flaw.HMAC,
        lambda a, t: hmac_signed(a, public_key(a, Encoding.Raw, PublicFormat.Raw)),
    ),
    "J2 HS256 with the JWK": (Flaw.HMAC, lambda a, t: hmac_signed(a, json.dumps(a.public_jwk).encode())),
    "J2 HS256 with nothing": (Flaw.HMAC, lambda a, t: hmac_signed(a, b"")),
    "J3 signed by another": (Flaw.SIGNATURE, lambda a, t: t.own.token()),
    "J3 jwk": (Flaw.KEY_IN_HEADER, lambda a, t: t.own.token({"jwk": t.own.public_jwk})),
    "J3 jku": (Flaw.KEY_IN_HEADER, lambda a, t: t.own.token({"jku": f"{t.url}/jwks"})),
    "J3 jku, unknown kid": (Flaw.KEY_IN_HEADER, lambda a, t: t.own.token({"jku": f"{t.url}/jwks", "kid": "theirs"})),
    "J3 x5u": (Flaw.KEY_IN_HEADER, lambda a, t: t.own.token({"x5u": f"{t.url}/certificate"})),
    "J3 x5c": (Flaw.KEY_IN_HEADER, lambda a, t: t.own.token({"x5c": t.x5c()})),
    "J4 unknown crit": (Flaw.CRIT, lambda a, t: a.token({"crit": ["x"], "x": 1})),
    "J4 empty crit": (
        Flaw.CRIT,
        lambda a, t: with_header(a, '{"alg":"EdDSA","typ":"at+jwt","kid":"key-1","crit":[]}'),
    ),
    "J4 crit that PyJWT knows": (
        Flaw.CRIT,
        lambda a, t: with_header(a, '{"alg":"EdDSA","typ":"at+jwt","kid":"key-1","crit":["b64"],"b64":true}'),
    ),
    "J5 RS256 with this kid": (
        Flaw.SIGNATURE,
        lambda a, t: jwt.encode(a.claims(), rsa.generate_private_key(65537, 2048), "RS256", HEADER),
    ),
    "J5 ES256 with this kid": (
        Flaw.SIGNATURE,
        lambda a, t: jwt.encode(a.claims(), ec.generate_private_key(ec.SECP256R1()), "ES256", HEADER),
    ),
    "J5 alg of another name": (
        Flaw.ALGORITHM,
        lambda a, t: with_header(a, '{"alg":"Ed25519","typ":"at+jwt","kid":"key-1"}'),
    ),
    "J5 alg of another kind": (
        Flaw.ALGORITHM,
        lambda a, t: with_header(a, '{"alg":"RS256","typ":"at+jwt","kid":"key-1"}'),
    ),
    "J6 expired": (Flaw.TIME, lambda a, t: a.token(exp=int(a.clock()) - 11)),
    "J6 exp is text": (Flaw.TIME, lambda a, t: a.token(exp=str(int(a.clock()) + 300))),
    "J6 exp is true": (Flaw.TIME, lambda a, t: a.token(exp=True)),
    "J6 exp is NaN": (Flaw.TIME, lambda a, t: a.token(exp=float("nan"))),
    "J6 exp is a list": (Flaw.TIME, lambda a, t: a.token(exp=[int(a.clock()) + 300])),
    "J6 iat in the future": (Flaw.TIME, lambda a, t: a.token(iat=int(a.clock()) + 60)),
    "J6 nbf in the future": (Flaw.TIME, lambda a, t: a.token(nbf=int(a.clock()) + 60)),
    "J6 nbf is text": (Flaw.TIME, lambda a, t: a.token(nbf="0")),
    "J7 a refresh token": (Flaw.TYPE, lambda a, t: a.token({"typ": "rt+jwt"})),
    "J7 typ JWT": (Flaw.TYPE, lambda a, t: a.token({"typ": "JWT"})),
    "J7 no typ": (Flaw.TYPE, lambda a, t: a.token({"typ": None})),
    "J8 another audience": (Flaw.AUDIENCE, lambda a, t: a.token(aud="others")),
    "J8 longer audience": (Flaw.AUDIENCE, lambda a, t: a.token(aud=f"{AUDIENCE}-2")),
    "J8 shorter audience": (Flaw.AUDIENCE, lambda a, t: a.token(aud=AUDIENCE[:-1])),
    "J8 no audience": (Flaw.AUDIENCE, lambda a, t: a.token(aud="")),
    "J8 a list": (Flaw.AUDIENCE, lambda a, t: a.token(aud=[AUDIENCE])),
    "J8 a list of two": (Flaw.AUDIENCE, lambda a, t: a.token(aud=[AUDIENCE, "others"])),
    "J8 an object": (Flaw.AUDIENCE, lambda a, t: a.token(aud={AUDIENCE: 1})),
    "J8 a number": (Flaw.AUDIENCE, lambda a, t: a.token(aud=7)),
    "J9 another issuer": (Flaw.ISSUER, lambda a, t: a.token(iss="https://evil.example")),
    "J9 longer issuer": (Flaw.ISSUER, lambda a, t: a.token(iss=f"{ISSUER}/")),
    "J9 shorter issuer": (Flaw.ISSUER, lambda a, t: a.token(iss=ISSUER[:-1])),
    "J9 no issuer": (Flaw.ISSUER, lambda a, t: a.token(iss="")),
    "J9 a list": (Flaw.ISSUER, lambda a, t: signed_text(a, json.dumps(a.claims() | {"iss": [ISSUER]}))),
    "J9 a number": (Flaw.ISSUER, lambda a, t: signed_text(a, json.dumps(a.claims() | {"iss": 7}))),
    **{f"J10 no {claim}": (Flaw.MISSING, partial(changed, claim=claim, value=None)) for claim in CLAIMS},
    **{f"J10 {claim} is a number": (Flaw.TEXT, partial(changed, claim=claim, value=7)) for claim in TEXT_CLAIMS},
    "J10 name is a number": (Flaw.TEXT, lambda a, t: a.token(preferred_username=1)),
    "J10 roles is text": (Flaw.TEXT, lambda a, t: a.token(roles="admin")),
    "J10 roles has a number": (Flaw.TEXT, lambda a, t: a.token(roles=[1])),
    "J11 sub twice": (Flaw.DUPLICATES, lambda a, t: with_duplicate(a, '"sub": "id-of-bob"')),
    "J11 exp twice": (Flaw.DUPLICATES, lambda a, t: with_duplicate(a, '"exp": 99999999999')),
    "J11 kid twice": (
        Flaw.DUPLICATES,
        lambda a, t: with_header(a, '{"alg":"EdDSA","typ":"at+jwt","kid":"x","kid":"key-1"}'),
    ),
    "J12 another last letter": (Flaw.MALLEABLE, lambda a, t: another_last_letter(a.token())),
    "J12 padding": (Flaw.MALLEABLE, lambda a, t: a.token() + "=="),
    "J12 junk in the signature": (Flaw.MALLEABLE, lambda a, t: in_signature(a.token(), "!")),
    "J12 space in the signature": (Flaw.MALLEABLE, lambda a, t: in_signature(a.token(), " ")),
    "J12 a part more": (Flaw.MALLEABLE, lambda a, t: a.token() + "."),
    **{f"J14 kid {kid[:20]} {len(kid)}": (Flaw.ONLY_KEY, partial(with_kid, kid=kid)) for kid in KIDS},
    "J14 kid is a number": (Flaw.ONLY_KEY, lambda a, t: with_header(a, '{"alg":"EdDSA","typ":"at+jwt","kid":1}')),
    "J14 no kid": (Flaw.ONLY_KEY, lambda a, t: with_header(a, '{"alg":"EdDSA","typ":"at+jwt"}')),
    "J14 kid is an empty file": (Flaw.KID_IS_PATH, lambda a, t: hmac_signed(a, b"", kid="../../../../../dev/null")),
    "J14 kid is SQL": (Flaw.KID_IN_SQL, lambda a, t: hmac_signed(a, b"mine", kid="' UNION SELECT 'mine")),
    "J14 kid is a URL": (Flaw.KEY_IN_HEADER, lambda a, t: t.own.token({"kid": f"{t.url}/jwks"})),
    "tampered subject": (Flaw.SIGNATURE, lambda a, t: tampered(a, sub="id-of-bob")),
    "tampered roles": (Flaw.SIGNATURE, lambda a, t: tampered(a, roles=["admin"])),
}
FORGERIES = {name: Forgery(*forgery) for name, forgery in _FORGERIES.items()}

MALFORMED: dict[str, Callable[[FakeAuth], str]] = {
    "claims are a list": lambda a: signed_text(a, "[]"),
    "claims are no JSON": lambda a: signed_text(a, "x"),
    "claims are deep": lambda a: signed_text(a, "[" * 2000),
    "header is a list": lambda a: with_header(a, "[]"),
    "header is deep": lambda a: signed_text(a, "{}", "[" * 2000),
    "too long": lambda a: a.token(filler="x" * 4096),
    "four parts": lambda a: f"{a.token()}.AAAA",
    "junk in the header": lambda a: "!" + a.token(),
    "a tab": lambda a: in_signature(a.token(), "\t"),
    "dots": lambda a: "..",
    "nothing": lambda a: "",
}
