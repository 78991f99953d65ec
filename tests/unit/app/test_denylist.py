"""What the denylist remembers, denies and forgets."""

import pytest

from services.app.revocations.denylist import Denylist
from services.common.revocations import Revocation, read_revocation
from services.common.tokens.verifier import AccessTokenClaims

NOW = 1_000_000.5


def token(
    user: str = "alice", session: str | None = "login", jti: str = "token", iat: int = int(NOW)
) -> AccessTokenClaims:
    return AccessTokenClaims("us", user, "us", NOW + 300, iat, jti, "web", session)


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


def test_a_users_earlier_tokens_are_denied_and_those_of_the_same_second_individually() -> None:
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


def test_tokens_older_than_the_known_entries_are_denied() -> None:
    denylist = Denylist()
    denylist.deny_everybody(NOW)
    denylist.deny_everybody(NOW - 50)  # a later gap is not forgotten
    assert denylist.denies_token(token(iat=int(NOW)))
    assert not denylist.denies_token(token(iat=int(NOW) + 1))


def test_only_expired_entries_are_forgotten() -> None:
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


def test_unknown_kinds_of_entries_are_ignored() -> None:
    denylist = Denylist()
    denylist.add(revocation("everything", "alice"))
    assert len(denylist) == 0


@pytest.mark.parametrize("missing", [b"kind", b"subject", b"before", b"expires"])
def test_incomplete_entries_are_ignored(missing: bytes) -> None:
    fields = {b"kind": b"user", b"subject": b"alice", b"before": b"1.5", b"expires": b"9"}
    assert read_revocation(fields) == Revocation("user", "alice", 1.5, 9)
    with pytest.raises(ValueError, match=missing.decode()):
        read_revocation({name: value for name, value in fields.items() if name != missing})
    with pytest.raises(ValueError, match=r"can't decode|could not convert"):
        read_revocation(fields | {missing: b"\xff"})
