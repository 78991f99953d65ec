"""The revocations that still matter, in this replica's memory."""

from services.common.revocations import Revocation
from services.common.tokens.verifier import AccessTokenClaims


class Denylist:
    """Revocations by kind and subject. Each is kept until nothing that it applies to can be valid any more.

    They arrive roughly in the order in which they expire, so the first ones are the first to be removed.
    """

    def __init__(self) -> None:
        self._by_kind: dict[str, dict[str, Revocation]] = {kind: {} for kind in ("family", "jti", "user", "sessions")}
        self._everybody_before = float("-inf")

    def __len__(self) -> int:
        return sum(map(len, self._by_kind.values()))

    def add(self, revocation: Revocation) -> None:
        """Add *revocation*. Unknown kinds are ignored."""
        if (known := self._by_kind.get(revocation.kind)) is not None:
            known.pop(revocation.subject, None)  # move it to the end
            known[revocation.subject] = revocation

    def deny_everybody(self, before: float) -> None:
        """Deny all tokens issued at or before *before*: it is no longer known which of them were revoked."""
        self._everybody_before = max(before, self._everybody_before)

    def forget(self, now: float) -> None:
        """Remove expired revocations."""
        for known in self._by_kind.values():
            while known and known[first := next(iter(known))].expires < now:
                del known[first]

    def denies_token(self, token: AccessTokenClaims) -> bool:
        """Return whether the token, its login or all of its user's logins were revoked (by id, never by text: J12)."""
        kinds, issued_at = self._by_kind, token.issued
        if token.session_id in kinds["family"] or token.token_id in kinds["jti"]:
            return True
        user = kinds["user"].get(token.user_id)
        return issued_at <= self._everybody_before or (user is not None and issued_at < int(user.before))

    def denies_session(self, user_id: str, at: float) -> bool:
        """Return whether the user's session was revoked after their password was checked, *at* a Unix time."""
        revocations = (self._by_kind[kind].get(user_id) for kind in ("user", "sessions"))
        return any(revocation is not None and at <= revocation.before for revocation in revocations)
