"""Revocations that still matter, in this replica's memory. Knows no network."""

from services.common.revocations import Revocation
from services.common.tokens.verifier import AccessTokenClaims


class Denylist:
    """The revocations by kind and subject. Each is forgotten when nothing that it means can be valid any more.

    They come nearly in the order in which they expire, so that the first ones are those to be forgotten.
    """

    def __init__(self) -> None:
        self._by_kind: dict[str, dict[str, Revocation]] = {kind: {} for kind in ("family", "jti", "user", "sessions")}
        self._everybody_before = float("-inf")

    def __len__(self) -> int:
        return sum(map(len, self._by_kind.values()))

    def add(self, revocation: Revocation) -> None:
        """Note *revocation*. Unknown kinds are ignored."""
        if (known := self._by_kind.get(revocation.kind)) is not None:
            known.pop(revocation.subject, None)  # it moves to the end
            known[revocation.subject] = revocation

    def deny_everybody(self, before: float) -> None:
        """Deny all tokens issued at *before* or earlier: which of them were revoked is not known any more."""
        self._everybody_before = max(before, self._everybody_before)

    def forget(self, now: float) -> None:
        """Forget what has expired."""
        for known in self._by_kind.values():
            while known and known[first := next(iter(known))].expires < now:
                del known[first]

    def denies_token(self, token: AccessTokenClaims) -> bool:
        """Return whether the token was revoked: it, its login, or all of its user's logins (J12: never its text)."""
        kinds, issued_at = self._by_kind, token.raw["iat"]
        if token.session_id in kinds["family"] or token.raw["jti"] in kinds["jti"]:
            return True
        user = kinds["user"].get(token.user_id)
        return issued_at <= self._everybody_before or (user is not None and issued_at < int(user.before))

    def denies_session(self, user_id: str, at: float) -> bool:
        """Return whether a session of that user, whose password was checked *at* that time, has been revoked since."""
        revocations = (self._by_kind[kind].get(user_id) for kind in ("user", "sessions"))
        return any(revocation is not None and at <= revocation.before for revocation in revocations)
