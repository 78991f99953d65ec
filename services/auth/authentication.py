"""Who a name and a password belong to: the one password check for all strategies."""

import contextlib

from services.auth.accounts import Account, Accounts
from services.auth.passwords import Passwords
from services.common.problems import Conflict, Unauthenticated

ADMINISTRATOR, ADMIN_ROLE = "admin", "admin"


class Authentication:
    """Registers users and checks their passwords. Every call may raise `Unavailable`."""

    def __init__(self, accounts: Accounts, passwords: Passwords) -> None:
        self._accounts = accounts
        self._passwords = passwords

    async def register(self, name: str, password: str, roles: tuple[str, ...] = ()) -> Account:
        """Create an account. `Conflict` if the name is taken (asked first: a taken name shall not cost a hash)."""
        if await self._accounts.by_name(name):
            raise Conflict("This user name is taken.")
        return await self._accounts.add(name, await self._passwords.hash(password), roles)

    async def ensure_administrator(self, password: str) -> None:
        """Create the administrator on first start. Whoever starts at the same time may win: one account results."""
        with contextlib.suppress(Conflict):
            await self.register(ADMINISTRATOR, password, (ADMIN_ROLE,))

    async def authenticate(self, name: str, password: str) -> Account:
        """Return the account. `Unauthenticated`, with one and the same text and cost, for whatever is wrong."""
        account = await self._accounts.by_name(name)
        matches = await self._passwords.matches(account.password_hash if account else None, password)
        if account is None or not matches or account.disabled:
            raise Unauthenticated("Wrong user name or password.", challenge='Bearer realm="authscale"')
        if self._passwords.is_outdated(account.password_hash):
            await self._accounts.replace_password_hash(account, await self._passwords.hash(password))
        return account
