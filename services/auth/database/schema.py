"""The tables, created at the first start, in SQLite and PostgreSQL alike (docs/adr/0020-schema-changes.md)."""

from sqlalchemy import JSON, Boolean, Column, Float, Index, Integer, LargeBinary, MetaData, String, Table, func

metadata = MetaData()

users = Table(
    "users",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("password_hash", String(255), nullable=False),
    Column("roles", JSON, nullable=False),
    Column("disabled", Boolean, nullable=False),
)

# Names are ASCII, so the database's lower case is that of `precis.comparable_name`.
Index("users_name_in_any_case", func.lower(users.c.name), unique=True)

# `serial` settles races: if two processes both create the first key, the insert of the second one fails.
signing_keys = Table(
    "signing_keys",
    metadata,
    Column("serial", Integer, primary_key=True, autoincrement=False),
    Column("kid", String(43), nullable=False, unique=True),
    Column("algorithm", String(16), nullable=False),
    Column("private_key", LargeBinary, nullable=False),  # encrypted, see `keys.store`; empty after the key's removal
    Column("created_at", Float, nullable=False),
    Column("active_from", Float, nullable=False),
    Column("removed_at", Float),
)
