"""Users prove who they are with a password. This is the only password check, for all strategies."""

import contextlib
from dataclasses import replace

from services.auth.accounts.guess_limits import Attempt, GuessLimits
from services.auth.accounts.passwords import Passwords
from services.auth.accounts.precis import comparable_name
from services.auth.accounts.store import Account, AccountStore
from services.auth.accounts.turns import Asker
from services.common.http.addresses import UNKNOWN, site_of
from services.common.http.problems import Conflict, Forbidden, Unauthenticated, Unavailable
from services.common.roles import ADMIN_ROLE

ADMINISTRATOR = "admin"
ATTEMPTS = 3  # while the password is being replaced


class Authentication:
    """Registers users, and checks and changes their passwords. Every method may raise `Unavailable`."""

    def __init__(self, accounts: AccountStore, passwords: Passwords, guesses: GuessLimits) -> None:
        self._accounts = accounts
        self._passwords = passwords
        self._guesses = guesses

    async def register(self, name: str, password: str, address: str) -> Account:
        """Create an account whose owner is known at *address* from now on. Raises `Conflict` if the name is taken."""
        account = await self._add(name, password, address)
        with contextlib.suppress(Unavailable):  # the account exists all the same
            await self._guesses.registered(name, address)
        return account

    async def ensure_administrator(self, password: str) -> None:
        """Create the administrator at the first start. Of several processes that start at once, one succeeds."""
        with contextlib.suppress(Conflict):
            await self._add(ADMINISTRATOR, password, UNKNOWN, (ADMIN_ROLE,))

    async def authenticate(self, name: str, password: str, address: str, *, fail_open: bool = False) -> Account:
        """Return the account, as stored afterwards. *address* is the user's.

        Raises `Unauthenticated`, always with the same text and at the same cost, if anything is wrong, and
        `TooManyRequests` after too many failures. If Redis is down, *fail_open* allows attempts without counting them;
        otherwise they are all refused.
        """
        attempt = await self._attempt(name, address, fail_open=fail_open)
        asker = _asker(name, address)
        for _ in range(ATTEMPTS):
            account = await self._accounts.by_name(name)
            matches = await self._passwords.matches(asker, account.password_hash if account else None, password)
            if account is None or not matches or account.disabled:
                await self._count(attempt, success=False)
                raise Unauthenticated("Wrong username or password.", challenge='Bearer realm="authscale"')
            if current := await self._with_current_hash(asker, account, password):
                await self._count(attempt, success=True)
                return current
        raise Unavailable("This account's password is being changed. Please try again.")

    async def change_password(self, account: Account, old: str, new: str, address: str) -> None:
        """Replace the password. Raises `Forbidden` if *old* is wrong, and `TooManyRequests` after too many failures."""
        attempt = await self._attempt(account.name, address)
        asker = _asker(account.name, address)
        if not await self._passwords.matches(asker, account.password_hash, old):
            await self._count(attempt, success=False)
            raise Forbidden("old_password: Wrong password.")
        await self._count(attempt, success=True)
        if not await self._accounts.replace_password_hash(account, await self._passwords.hash(asker, new)):
            raise Conflict("Your password was changed in the meantime.")

    async def _add(self, name: str, password: str, address: str, roles: tuple[str, ...] = ()) -> Account:
        """Create an account. Look for the name first, so that a name that is taken costs no hash."""
        if await self._accounts.by_name(name):
            raise Conflict("This username is taken.")
        asker = _asker(name, address, registering=True)
        return await self._accounts.add(name, await self._passwords.hash(asker, password), roles)

    async def _with_current_hash(self, asker: Asker, account: Account, password: str) -> Account | None:
        """Return the account after renewing an outdated hash, or None if the password was replaced in the meantime."""
        if not self._passwords.is_outdated(account.password_hash):
            return account
        password_hash = await self._passwords.hash(asker, password)
        replaced = await self._accounts.replace_password_hash(account, password_hash)
        return replace(account, password_hash=password_hash) if replaced else None

    async def _attempt(self, name: str, address: str, *, fail_open: bool = False) -> Attempt | None:
        try:
            return await self._guesses.check(name, address)
        except Unavailable:
            if fail_open:
                return None
            raise

    async def _count(self, attempt: Attempt | None, *, success: bool) -> None:
        """Count the outcome of the attempt. If Redis is down, the outcome stays the same."""
        if attempt is None:
            return
        with contextlib.suppress(Unavailable):
            await (self._guesses.succeeded(attempt) if success else self._guesses.failed(attempt))


def _asker(name: str, address: str, *, registering: bool = False) -> Asker:
    """Return the asker. All spellings of *name* are one account, all addresses of an IPv6 site are one address."""
    return Asker(site_of(address), comparable_name(name), registering)
