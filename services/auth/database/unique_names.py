"""Names are unique in any case, also in a database in which they were not."""

import sys

from sqlalchemy import Connection, func, select
from sqlalchemy.schema import CreateIndex

from services.auth.database.schema import unique_names, users

MAX_SHOWN = 10


def make_names_unique(connection: Connection) -> None:
    """Create the unique index if it is missing. Stop with a clear line if there are names that differ only in case."""
    compared = func.lower(users.c.name)
    clashing = select(compared).group_by(compared).having(func.count() > 1)
    names = connection.scalars(select(users.c.name).where(compared.in_(clashing)).order_by(compared).limit(MAX_SHOWN))
    if shown := ", ".join(names):
        sys.exit(
            f"AUTH_DATABASE_URL: user names must differ in more than case, and these do not: {shown}."
            " In the table users, rename or delete all but one of each; then start again."
        )
    connection.execute(CreateIndex(unique_names, if_not_exists=True))
