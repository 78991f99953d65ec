"""Reading what a token says: types, and members that are there twice."""

import json
import time

import msgspec
import pytest

from services.auth.accounts.store import Account
from services.auth.keys.key import SigningKey
from services.auth.logins.access_tokens import AccessTokens
from services.common.tokens import jws
from services.common.tokens.jws import InvalidTokenError, encode, read_object, read_payload
from services.common.tokens.verifier import AccessTokenClaims

decode = msgspec.json.Decoder(AccessTokenClaims).decode
CLAIMS = {"iss": "i", "sub": "s", "aud": "a", "exp": 300, "iat": 0, "jti": "j", "client_id": "c", "roles": ["r"]}
TEXT = json.dumps(CLAIMS, separators=(",", ":"))


def with_members(members: str) -> bytes:
    return f"{TEXT[:-1]},{members}}}".encode()


def test_what_the_auth_service_writes_reads_the_same_and_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is: its tokens cost no closer look."""
    monkeypatch.delattr(jws, "json")
    key = SigningKey.generate()
    account = Account("1", "zoe", "hash", ("admin",))
    token = AccessTokens("issuer", "audience", 300).mint(account, "client", "session", key, time.time())
    payload = read_payload(token, key.verifier)
    claims = read_object(payload, decode)
    assert (claims.name, claims.roles, claims.session_id) == ("zoe", ("admin",), "session")
    assert encode(claims) == payload


@pytest.mark.parametrize("members", ['"more": 1', '"nbf": 0.0', '"roles_": []', '"sid": null', '"more": {"sub": "x"}'])
def test_members_that_we_do_not_know_and_other_spellings_are_allowed(members: str) -> None:
    assert read_object(with_members(members), decode).user_id == "s"
    assert read_object(json.dumps(CLAIMS, indent=1).encode(), decode).user_id == "s"


@pytest.mark.parametrize(
    "members",
    [
        '"sub":"s"',
        '"sub":"x"',
        '"s\\u0075b":"x"',
        '"roles":["r"]',
        '"more":1,"more":1',
        '"more":{"a":1,"a":1}',
        '"more":[{"a":1,"a":1}]',
    ],
)
def test_j11_a_member_that_is_there_twice_is_refused_wherever_it_is(members: str) -> None:
    with pytest.raises(InvalidTokenError):
        read_object(with_members(members), decode)


@pytest.mark.parametrize(
    "members",
    ['"nbf":true', '"nbf":"1"', '"nbf":1e999', '"nbf":9007199254740992', '"nbf":NaN', '"more":"\\ud800"', '"more":'],
)
def test_j10_members_of_another_type_and_no_json_are_refused(members: str) -> None:
    with pytest.raises(InvalidTokenError):
        read_object(with_members(members), decode)


def test_text_that_is_not_utf8_is_refused_where_nobody_reads_it() -> None:
    with pytest.raises(InvalidTokenError):
        read_object(with_members('"more":"x"').replace(b'"x"', b'"\xff"'), decode)
