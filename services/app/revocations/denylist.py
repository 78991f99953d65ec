"""What has been taken back and might still be presented, in this replica's memory. Knows no network."""

from collections.abc import Mapping
from typing import NamedTuple

from services.common.tokens.verifier import AccessTokenClaims


class Ending(NamedTuple):
    """One entry of `services.common.revocations`."""

    kind: str
    subject: str
    before: float
    expires: float


def read_ending(fields: Mapping[bytes, bytes]) -> Ending:
    """Read an entry's fields. ValueError if it is none."""
    try:
        kind, subject = fields[b"kind"].decode(), fields[b"subject"].decode()
        return Ending(kind, subject, float(fields[b"before"]), float(fields[b"expires"]))
    except KeyError as error:
        raise ValueError(f"no {error}") from None


class Denylist:
    """The endings by kind and subject. Each is forgotten when nothing that it means can be valid any more.

    They come nearly in the order in which they expire, so that the first ones are those to be forgotten.
    """

    def __init__(self) -> None:
        self._by_kind: dict[str, dict[str, Ending]] = {kind: {} for kind in ("family", "jti", "user", "sessions")}
        self._everybody_before = float("-inf")

    def __len__(self) -> int:
        return sum(map(len, self._by_kind.values()))

    def add(self, ending: Ending) -> None:
        """Note *ending*; a kind that this version does not know means nothing that it could be asked."""
        if (known := self._by_kind.get(ending.kind)) is not None:
            known.pop(ending.subject, None)  # it moves to the end
            known[ending.subject] = ending

    def deny_everybody(self, before: float) -> None:
        """Deny all tokens issued at *before* or earlier: what was taken back of them is not known any more."""
        self._everybody_before = max(before, self._everybody_before)

    def forget(self, now: float) -> None:
        """Forget what has expired."""
        for known in self._by_kind.values():
            while known and known[first := next(iter(known))].expires < now:
                del known[first]

    def denies_token(self, token: AccessTokenClaims) -> bool:
        """Return whether the token was taken back: it, its login, or all of its user's logins (J12: never its text)."""
        kinds, issued_at = self._by_kind, token.raw["iat"]
        if token.session_id in kinds["family"] or token.raw["jti"] in kinds["jti"]:
            return True
        user = kinds["user"].get(token.user_id)
        return issued_at <= self._everybody_before or (user is not None and issued_at < int(user.before))

    def denies_session(self, user_id: str, at: float) -> bool:
        """Return whether a session of that user, whose password was checked *at* that time, has been ended since."""
        endings = (self._by_kind[kind].get(user_id) for kind in ("user", "sessions"))
        return any(ending is not None and at <= ending.before for ending in endings)
