"""Logins as token pairs: begun with a password, continued with a refresh token, ended by revocation."""

import logging
import secrets
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from services.auth.accounts.store import Account, AccountStore
from services.auth.clock import Clock
from services.auth.keys.ring import KeyRing
from services.auth.logins.access_tokens import AccessTokens
from services.auth.logins.family_store import FamilyStore, StoredFamily
from services.auth.logins.refresh_rotation import (
    Family,
    Issued,
    Outcome,
    RefreshLifetimes,
    Terms,
    decide,
    extend,
    first_terms,
    next_terms,
)
from services.auth.logins.refresh_tokens import InvalidRefreshTokenError, Presented, RefreshTokens, digest
from services.common.devices import Device
from services.common.http.problems import Unavailable

log = logging.getLogger(__name__)

ATTEMPTS = 5  # at a rotation; one that loses a race finds it decided at the next attempt
MAX_LISTED = 1000  # logins of one user
NOWHERE = Device()


class AccountChangedError(Exception):
    """The account is not any more as it was when its password was checked: check again."""


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a client gets (RFC 6749 §5.1, and `refresh_expires_in`). Durations in seconds."""

    access_token: str = field(repr=False)
    expires_in: int
    refresh_token: str = field(repr=False)
    refresh_expires_in: int
    token_type: str = "Bearer"  # noqa: S105  # a type's name

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON object to answer with."""
        return asdict(self)


class Logins:
    """Begins, continues and ends logins. Every call may raise `Unavailable`, and then nothing is lost."""

    def __init__(
        self,
        *,
        accounts: AccountStore,
        families: FamilyStore,
        keys: KeyRing,
        access_tokens: AccessTokens,
        refresh_tokens: RefreshTokens,
        lifetimes: RefreshLifetimes,
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._families = families
        self._keys = keys
        self._access_tokens = access_tokens
        self._refresh_tokens = refresh_tokens
        self._lifetimes = lifetimes
        self._clock = clock

    async def begin(self, account: Account, client_id: str, device: Device = NOWHERE) -> TokenPair:
        """Begin a login of *account*, whose password was right, at *client_id* on *device*: a new family.

        `Conflict` if the account has as many as it may, and more are denied.
        `AccountChangedError` if the account was disabled or its password replaced meanwhile. The epoch is read before
        the account is, and compared when the family is created: whoever changes the account and then ends its logins
        also ends those that are on their way.
        """
        for _ in range(ATTEMPTS):
            epoch = await self._families.epoch(account.id)
            current = await self._accounts.by_id(account.id)
            if current is None or current.disabled or current.password_hash != account.password_hash:
                raise AccountChangedError
            now = self._clock()
            family = self._new_family(account, client_id, device, now)
            if await self._families.create(family, epoch, now):
                return self._pair(account, family, family.current.terms, now)
        raise Unavailable("This account's logins are being ended just now.")

    async def refresh(self, text: str, client_id: str | None = None, device: Device | None = None) -> TokenPair:
        """Exchange a refresh token for a new pair. `InvalidRefreshTokenError` if it is not, or no longer, good.

        The exchange is the last step that can fail: whatever did not answer before, the token still is good after.
        """
        presented = self._refresh_tokens.read(text)
        if client_id not in (None, presented.client_id):
            raise InvalidRefreshTokenError("This refresh token was issued to another client.")
        account = await self._accounts.by_id(presented.user_id)
        if account is None or account.disabled:
            await self._families.end(presented.family_id, self._clock())
            raise InvalidRefreshTokenError("This account cannot be used.")
        now = self._clock()
        family, terms = await self._rotate(presented, now, device)
        return self._pair(account, family, terms, now)

    async def end(self, session_id: str) -> None:
        """End the login of that id: its family of refresh tokens. One that ended already is no error."""
        await self._families.end(session_id, self._clock())

    async def end_of(self, user_id: str, session_id: str) -> bool:
        """End the login of that id if it is the user's; False if it is somebody else's, or not there (any more)."""
        stored = await self._families.load(session_id)
        if stored is None or stored.family.user_id != user_id:
            return False
        return await self._families.end(session_id, self._clock())

    async def end_all(self, user_id: str, *, keep: str | None = None) -> int:
        """End the user's logins, but not the one with the id *keep*. Returns how many. None lives on after this."""
        return await self._families.end_all(user_id, self._clock(), keep=keep or "")

    async def all_of(self, user_id: str) -> list[Family]:
        """Return the user's logins (`MAX_LISTED` at most), the one seen last first."""
        families = await self._families.newest_of(user_id, MAX_LISTED)
        return sorted(families, key=lambda family: family.current.terms.issued_at, reverse=True)

    async def lives(self, session_id: str) -> bool:
        """Return whether that login goes on."""
        return await self._families.load(session_id) is not None

    def _new_family(self, account: Account, client_id: str, device: Device, now: float) -> Family:
        family_id, terms = secrets.token_urlsafe(24), first_terms(now, self._lifetimes)
        text = self._refresh_tokens.text(family_id, account.id, client_id, terms)
        ends_at = int(now + self._lifetimes.absolute)
        issued = (Issued(terms, digest(text)),)
        return Family(family_id, account.id, client_id, ends_at, issued, now, device.address, device.user_agent)

    async def _rotate(self, presented: Presented, now: float, device: Device | None) -> tuple[Family, Terms]:
        """Apply the decision on *presented* and return its successor's terms."""
        for _ in range(ATTEMPTS):
            stored = await self._families.load(presented.family_id)
            decision = decide(stored.family if stored else None, presented.digest, now, self._lifetimes.grace)
            match stored, decision.outcome, decision.successor:
                case StoredFamily(family=family), Outcome.REPEAT, Issued(terms=terms):
                    return family, terms
                case StoredFamily(family=family), Outcome.ROTATE, _:
                    terms = next_terms(family, now, self._lifetimes)
                    if await self._apply(stored, terms, now, device):
                        return family, terms
                case _, Outcome.REUSED, _:
                    log.warning("family %s of user %s: reuse detected", presented.family_id, presented.user_id)
                    await self._families.end(presented.family_id, now)
                    raise InvalidRefreshTokenError("This refresh token was used before; the login has ended.")
                case _:
                    raise InvalidRefreshTokenError("This refresh token has expired or was revoked.")
        raise Unavailable("Too many refreshes of this login at once.")

    async def _apply(self, stored: StoredFamily, terms: Terms, now: float, device: Device | None) -> bool:
        text = self._refresh_tokens.text_in(stored.family, terms)
        extended = extend(stored.family, Issued(terms, digest(text)), self._lifetimes.grace)
        if device is not None:
            extended = replace(extended, address=device.address, user_agent=device.user_agent)
        return await self._families.replace(stored, extended, now)

    def _pair(self, account: Account, family: Family, terms: Terms, now: float) -> TokenPair:
        return TokenPair(
            access_token=self._access_tokens.mint(account, family.client_id, family.id, self._keys.signer, now),
            expires_in=self._access_tokens.seconds,
            refresh_token=self._refresh_tokens.text_in(family, terms),
            refresh_expires_in=max(0, terms.expires_at - int(now)),
        )
