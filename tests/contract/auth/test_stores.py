"""Accounts and signing keys as they are stored: SQLite and PostgreSQL, one contract."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import URL, make_url, text

from services.auth.accounts.store import Account, AccountStore
from services.auth.database import database as database_module
from services.auth.database.database import Database
from services.auth.keys.key import SigningKey
from services.auth.keys.store import KeyStore
from services.common.http.problems import Conflict
from tests.support.servers.postgres import Postgres, new_database

pytest_plugins = ("tests.support.servers.auth_fixtures",)


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """An empty database."""
    if request.param == "sqlite":
        return make_url(f"sqlite+aiosqlite:///{tmp_path / 'auth.sqlite'}")
    server: Postgres = request.getfixturevalue("postgres_server")
    return make_url(await new_database(server)).set(password=server.password)


@pytest.fixture
async def database(url: URL) -> AsyncIterator[Database]:
    async with Database(url).opened() as opened:
        yield opened


@pytest.fixture
def accounts(database: Database) -> AccountStore:
    return AccountStore(database)


@pytest.fixture
def keys(database: Database) -> KeyStore:
    return KeyStore(database, Fernet(Fernet.generate_key()))


async def test_an_account_is_found_by_name_and_by_id_as_it_was_added(accounts: AccountStore) -> None:
    added = await accounts.add("ann", "a hash", ("admin", "other"))
    assert added == Account(added.id, "ann", "a hash", ("admin", "other"))
    assert await accounts.by_name("ann") == await accounts.by_name("ANN") == await accounts.by_id(added.id) == added
    assert await accounts.by_name("bob") is await accounts.by_id("nobody") is await accounts.by_name("\0") is None


async def test_a_name_goes_to_one_of_many_concurrent_requests(accounts: AccountStore) -> None:
    added = await asyncio.gather(*(accounts.add("ann", "a hash") for _ in range(10)), return_exceptions=True)
    assert [type(one) for one in added if not isinstance(one, Account)] == [Conflict] * 9
    assert await accounts.by_name("ann") in added


async def test_a_password_is_replaced_once(accounts: AccountStore) -> None:
    ann = await accounts.add("ann", "old")
    assert await accounts.replace_password_hash(ann, "new")
    assert not await accounts.replace_password_hash(ann, "newer"), "it is not the one that was read any more"
    assert (await accounts.by_id(ann.id)) == Account(ann.id, "ann", "new")


async def test_an_account_is_disabled_and_enabled(accounts: AccountStore) -> None:
    ann = await accounts.add("ann", "a hash")
    for disabled in (True, False):
        assert await accounts.set_disabled(ann.id, disabled)
        assert await accounts.by_id(ann.id) == Account(ann.id, "ann", "a hash", (), disabled)
    assert not await accounts.set_disabled("nobody", disabled=True)


async def stored(keys: KeyStore) -> dict[str, tuple[float, bool]]:
    return {key.life.kid: (key.life.active_from, key.key is not None) for key in await keys.load()}


async def test_keys_are_stored_promoted_removed_and_forgotten(keys: KeyStore) -> None:
    first, second = SigningKey.generate(), SigningKey.generate()
    assert await keys.add(1, first, created_at=5, active_from=10)
    assert not await keys.add(1, second, created_at=5, active_from=10), "the serial number is taken"
    assert await keys.add(2, second, created_at=5, active_from=20)
    assert await stored(keys) == {first.kid: (10, True), second.kid: (20, True)}
    await keys.promote(second.kid, 15)
    await keys.promote(second.kid, 18)
    assert (await stored(keys))[second.kid] == (15, True), "never later than planned"
    assert [await keys.remove(first.kid, 30), await keys.remove(first.kid, 40)] == [True, True]
    assert not await keys.remove("another", 30)
    assert {key.life.removed_at for key in await keys.load()} == {30, None}, "the first removal counts"
    assert (await stored(keys))[first.kid] == (10, False)
    await keys.forget([first.kid])
    assert list(await stored(keys)) == [second.kid]


async def test_the_tables_are_created_once_by_processes_that_start_together(url: URL) -> None:
    async def start() -> str | None:
        async with Database(url).opened() as database:
            return await database.missing()

    assert await asyncio.gather(*(start() for _ in range(4))) == [None] * 4


async def test_a_table_that_lacks_a_column_stops_the_start(url: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "START_ATTEMPTS", 1)
    async with Database(url).opened() as database:
        await database._change(text("ALTER TABLE signing_keys DROP COLUMN removed_at"))  # type: ignore[arg-type]
    with pytest.raises(SystemExit, match=r"cannot be used: .*removed_at"):
        async with Database(url).opened():
            pass
