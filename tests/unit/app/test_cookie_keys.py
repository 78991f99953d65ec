"""Encrypting sessions into cookies: which keys, which nonces, and what is no cookie of ours."""

import itertools
import secrets

import pytest

from services.app.sessions import cookie_keys
from services.app.sessions.cookie_keys import DERIVED, ID, NONCE, SALTED, CookieKeys
from services.common import base64url

OLD, NEW = bytes(32), b"new".ljust(32)
CONTEXT = b"name 1"


def test_what_one_process_encrypts_another_one_decrypts() -> None:
    text = CookieKeys([OLD], CONTEXT).encrypt(b"inside")
    assert CookieKeys([OLD], CONTEXT).decrypt(text) == b"inside"
    assert CookieKeys([NEW, OLD], CONTEXT).decrypt(text) == b"inside"
    assert CookieKeys([NEW], CONTEXT).decrypt(text) is None
    assert CookieKeys([OLD], b"name 2").decrypt(text) is None


def test_the_first_key_encrypts_and_a_cookie_says_so() -> None:
    ids = [base64url.decode(CookieKeys(keys, CONTEXT).encrypt(b""))[:ID] for keys in ([OLD], [NEW], [NEW, OLD])]
    assert ids[1] == ids[2] != ids[0]


def test_no_nonce_is_used_twice_with_one_salt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cookie_keys, "USES", 1000)
    keys = CookieKeys([OLD], CONTEXT)
    cookies = [base64url.decode(keys.encrypt(b"")) for _ in range(5000)]
    salted = [cookie[:SALTED] for cookie in cookies]
    assert [len(list(same)) for _, same in itertools.groupby(salted)] == [1000] * 5
    assert len(set(salted)) == 5
    assert len({cookie[: SALTED + NONCE] for cookie in cookies}) == 5000
    assert all(keys.decrypt(base64url.encode(cookie)) == b"" for cookie in cookies[::500])


def test_a_process_that_starts_again_has_another_salt() -> None:
    salted = {base64url.decode(CookieKeys([OLD], CONTEXT).encrypt(b""))[:SALTED] for _ in range(100)}
    assert len(salted) == 100


@pytest.mark.parametrize("length", [*range(60), 3000])
def test_random_bytes_are_no_cookie(length: int) -> None:
    keys = CookieKeys([OLD], CONTEXT)
    text = secrets.token_bytes(length)
    assert keys.decrypt(base64url.encode(text)) is None
    ours = base64url.decode(keys.encrypt(b"inside"))
    assert keys.decrypt(base64url.encode(ours[:length] + text)) is None


def test_salts_that_anybody_can_make_up_take_no_more_memory() -> None:
    keys = CookieKeys([OLD], CONTEXT)
    good = keys.encrypt(b"inside")
    key_id = base64url.decode(good)[:ID]
    for _ in range(5 * DERIVED):
        assert keys.decrypt(base64url.encode(key_id + secrets.token_bytes(100))) is None
    assert keys._cipher.cache_info().currsize == DERIVED
    assert keys.decrypt(good) == b"inside"
