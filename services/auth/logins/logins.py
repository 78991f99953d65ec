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

ATTEMPTS = 5  # at a rotation; the loser of a race finds it decided at the next attempt
MAX_LISTED = 1000  # logins of one user
NOWHERE = Device()


class AccountChangedError(Exception):
    """The account has changed since its password was checked: check it again."""


@dataclass(frozen=True, slots=True)
class TokenPair:
    """The tokens that a client gets (RFC 6749 §5.1, plus `refresh_expires_in`). Durations are in seconds."""

    access_token: str = field(repr=False)
    expires_in: int
    refresh_token: str = field(repr=False)
    refresh_expires_in: int
    token_type: str = "Bearer"  # noqa: S105  # a type's name

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON object to send."""
        return asdict(self)


class Logins:
    """Begins, continues and ends logins. Any method may raise `Unavailable`, after which the call may be repeated."""

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
        """Begin a login, which is a new family, of *account*, whose password was right, at *client_id* on *device*.

        Raises `Conflict` if the account has too many logins, `AccountChangedError` if it was disabled or its password
        was replaced in the meantime. The epoch is read before the account, and compared when the family is created. So
        whoever changes the account and then ends its logins also ends the ones in flight.
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
        raise Unavailable("This account's logins are being ended. Please try again.")

    async def refresh(self, text: str, client_id: str | None = None, device: Device | None = None) -> TokenPair:
        """Exchange a refresh token for a new pair. Raises `InvalidRefreshTokenError` if the token is not valid.

        The exchange is the last step that can fail. If an earlier step fails, the token stays valid.
        """
        presented = self._refresh_tokens.read(text)
        if client_id not in (None, presented.client_id):
            raise InvalidRefreshTokenError("This refresh token was issued to another client.")
        account = await self._accounts.by_id(presented.user_id)
        if account is None or account.disabled:
            await self._families.end(presented.family_id, self._clock())
            raise InvalidRefreshTokenError("This account is disabled.")
        now = self._clock()
        family, terms = await self._rotate(presented, now, device)
        return self._pair(account, family, terms, now)

    async def end(self, session_id: str) -> None:
        """End the login with this id: its family of refresh tokens. It is not an error if it has already ended."""
        await self._families.end(session_id, self._clock())

    async def end_of(self, user_id: str, session_id: str) -> bool:
        """End the login with this id. Returns False if it is not the user's, or does not exist."""
        stored = await self._families.load(session_id)
        if stored is None or stored.family.user_id != user_id:
            return False
        return await self._families.end(session_id, self._clock())

    async def end_all(self, user_id: str, *, keep: str | None = None) -> int:
        """End all of the user's logins except *keep*, including those in flight. Returns their number."""
        return await self._families.end_all(user_id, self._clock(), keep=keep or "")

    async def all_of(self, user_id: str) -> list[Family]:
        """Return the user's logins (at most `MAX_LISTED`), most recently seen first."""
        families = await self._families.newest_of(user_id, MAX_LISTED)
        return sorted(families, key=lambda family: family.current.terms.issued_at, reverse=True)

    async def lives(self, session_id: str) -> bool:
        """Return whether the login has not ended."""
        return await self._families.load(session_id) is not None

    def _new_family(self, account: Account, client_id: str, device: Device, now: float) -> Family:
        family_id, terms = secrets.token_urlsafe(24), first_terms(now, self._lifetimes)
        text = self._refresh_tokens.text(family_id, account.id, client_id, terms)
        ends_at = int(now + self._lifetimes.absolute)
        issued = (Issued(terms, digest(text)),)
        return Family(family_id, account.id, client_id, ends_at, issued, now, device.address, device.user_agent)

    async def _rotate(self, presented: Presented, now: float, device: Device | None) -> tuple[Family, Terms]:
        """Decide on *presented*, apply the decision, and return the family and the terms of the successor."""
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
                    raise InvalidRefreshTokenError("This refresh token was already used, so the login was ended.")
                case _:
                    raise InvalidRefreshTokenError("This refresh token has expired or was revoked.")
        raise Unavailable("Too many concurrent refreshes of this login. Please try again.")

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
