"""Accounts, kept in the SQL database."""

import re
import uuid
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from services.auth.accounts.precis import comparable_name
from services.auth.database.database import Database
from services.auth.database.schema import users
from services.common.http.problems import Conflict

NAME_PATTERN = r"^[a-zA-Z0-9._-]{1,64}$"


@dataclass(frozen=True, slots=True)
class Account:
    """One user, as stored."""

    id: str
    name: str
    password_hash: str = field(repr=False)
    roles: tuple[str, ...] = ()
    disabled: bool = False


class AccountStore:
    """The table of users. Every method raises `Unavailable` if the database does not respond."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, name: str, password_hash: str, roles: tuple[str, ...] = ()) -> Account:
        """Store a new account and return it. Raises `Conflict` if the name is taken, whatever its case."""
        account = Account(uuid.uuid4().hex, name, password_hash, roles)
        row = {"id": account.id, "name": name, "password_hash": password_hash, "roles": list(roles), "disabled": False}
        try:
            await self._database.change(insert(users).values(row))
        except IntegrityError:
            raise Conflict("This username is taken.") from None
        return account

    async def by_name(self, name: str) -> Account | None:
        """Return the account with this name, whatever its case. Invalid names are not passed to the database."""
        compared = comparable_name(name)
        return await self._one(func.lower(users.c.name) == compared) if re.fullmatch(NAME_PATTERN, compared) else None

    async def by_id(self, user_id: str) -> Account | None:
        """Return the account with this id."""
        return await self._one(users.c.id == user_id)

    async def replace_password_hash(self, account: Account, password_hash: str) -> bool:
        """Store *password_hash*. Does nothing and returns False if it was replaced since *account* was read."""
        unchanged = (users.c.id == account.id) & (users.c.password_hash == account.password_hash)
        return bool(await self._database.change(update(users).where(unchanged).values(password_hash=password_hash)))

    async def set_disabled(self, user_id: str, disabled: bool) -> bool:
        """Disable or enable an account. Returns False if it does not exist."""
        return bool(await self._database.change(update(users).where(users.c.id == user_id).values(disabled=disabled)))

    async def _one(self, condition: ColumnElement[bool]) -> Account | None:
        for row in await self._database.rows(select(users).where(condition)):
            return Account(row.id, row.name, row.password_hash, tuple(row.roles), row.disabled)
        return None
