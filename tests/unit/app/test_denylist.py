"""What the denylist remembers, denies and forgets."""

from typing import Any

import pytest

from services.app.revocations.denylist import Denylist
from services.common.revocations import Revocation, read_revocation
from services.common.tokens.verifier import AccessTokenClaims

NOW = 1_000_000.5


def token(user: str = "alice", session: str | None = "login", **raw: Any) -> AccessTokenClaims:
    return AccessTokenClaims(user, "Alice", (), "web", session, NOW, NOW + 300, {"jti": "token", "iat": int(NOW)} | raw)


def revocation(kind: str, subject: str, before: float = NOW, expires: float = NOW + 300) -> Revocation:
    return Revocation(kind, subject, before, expires)


@pytest.mark.parametrize(("kind", "subject"), [("jti", "token"), ("family", "login")])
def test_j12_a_token_or_its_login_is_denied_whenever_it_was_issued(kind: str, subject: str) -> None:
    denylist = Denylist()
    denylist.add(revocation(kind, subject))
    assert denylist.denies_token(token(iat=int(NOW) + 100))
    assert not denylist.denies_token(token(jti="another", session="another"))
    assert not denylist.denies_token(token(jti="login", session="token"))  # each by its own name
    assert denylist.denies_token(token(session=None)) is (kind == "jti")


def test_of_a_user_all_tokens_before_are_denied_and_those_of_the_same_second_one_by_one() -> None:
    denylist = Denylist()
    denylist.add(revocation("user", "alice"))
    assert denylist.denies_token(token(iat=int(NOW) - 1))
    assert not denylist.denies_token(token(iat=int(NOW)))
    assert not denylist.denies_token(token(user="bob", iat=1))
    denylist.add(revocation("sessions", "bob"))
    assert not denylist.denies_token(token(user="bob", iat=1))


@pytest.mark.parametrize("kind", ["user", "sessions"])
def test_s11_s12_a_session_is_denied_if_its_password_was_checked_by_then(kind: str) -> None:
    denylist = Denylist()
    denylist.add(revocation(kind, "alice"))
    assert denylist.denies_session("alice", NOW - 0.001)
    assert denylist.denies_session("alice", NOW)
    assert not denylist.denies_session("alice", NOW + 0.001)
    assert not denylist.denies_session("bob", 0)


def test_everybody_is_denied_who_is_older_than_what_is_known() -> None:
    denylist = Denylist()
    denylist.deny_everybody(NOW)
    denylist.deny_everybody(NOW - 50)  # what is known to be unknown stays so
    assert denylist.denies_token(token(iat=int(NOW)))
    assert not denylist.denies_token(token(iat=int(NOW) + 1))


def test_what_has_expired_is_forgotten_and_nothing_else() -> None:
    denylist = Denylist()
    for kind in ("family", "jti", "user", "sessions"):
        denylist.add(revocation(kind, "old", expires=NOW + 1))
        denylist.add(revocation(kind, "young", expires=NOW + 300))
    denylist.add(revocation("user", "old", expires=NOW + 300))  # once more
    denylist.forget(NOW)
    assert len(denylist) == 8
    denylist.forget(NOW + 2)
    assert len(denylist) == 5
    assert denylist.denies_token(token(session="young"))
    assert not denylist.denies_token(token(session="old"))


def test_a_kind_of_the_future_means_nothing() -> None:
    denylist = Denylist()
    denylist.add(revocation("everything", "alice"))
    assert len(denylist) == 0


@pytest.mark.parametrize("missing", [b"kind", b"subject", b"before", b"expires"])
def test_an_entry_that_lacks_something_is_none(missing: bytes) -> None:
    fields = {b"kind": b"user", b"subject": b"alice", b"before": b"1.5", b"expires": b"9"}
    assert read_revocation(fields) == Revocation("user", "alice", 1.5, 9)
    with pytest.raises(ValueError, match=missing.decode()):
        read_revocation({name: value for name, value in fields.items() if name != missing})
    with pytest.raises(ValueError, match=r"can't decode|could not convert"):
        read_revocation(fields | {missing: b"\xff"})
