"""Stores of earlier versions become stores of this one, once, also while they are in use."""

# Files of a test are small and local.
# ruff: noqa: ASYNC240

import re
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from sqlalchemy import Connection, inspect, text
from sqlalchemy.orm import Session
from tests.server.store.postgresql import PostgreSql

from klepaas.store import Store
from klepaas.store.engine import WRITING, postgresql_engine, sqlite_engine
from klepaas.store.tables import Base
from klepaas.store.upgrading import KNOWN, NEWEST, upgrade, version_of

pytestmark = pytest.mark.anyio

FIRST_SCHEMA = Path(__file__).parent / "first-schema.sql"
FOLDER = Path(__file__).parents[3] / "server" / "klepaas" / "store" / "migrations"


@pytest.fixture(params=["sqlite", "postgresql"])
def connection(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connection]:
    if request.param == "sqlite":
        engine = sqlite_engine(tmp_path / "s" / "klepaas.db")
    else:
        server: PostgreSql = request.getfixturevalue("postgresql")
        engine = postgresql_engine(SecretStr(server.new_database(f"t{uuid.uuid4().hex[:12]}")))
    with engine.execution_options(**{WRITING: True}).connect() as found:
        yield found
    engine.dispose()


def test_the_migrations_give_the_tables_that_the_code_has(connection: Connection) -> None:
    upgrade(connection)
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    assert compare_metadata(context, Base.metadata) == []


def test_the_migrations_are_one_line_with_one_end() -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    script = ScriptDirectory.from_config(config)
    assert script.get_heads() == [NEWEST]
    assert tuple(found.revision for found in reversed(list(script.walk_revisions()))) == KNOWN
    assert [found.down_revision for found in reversed(list(script.walk_revisions()))] == [None, *KNOWN[:-1]]


@pytest.mark.parametrize("version", KNOWN)
def test_every_version_can_be_brought_to_the_newest(connection: Connection, version: str) -> None:
    upgrade(connection, version)
    assert version_of(connection) == version
    upgrade(connection)
    assert version_of(connection) == NEWEST
    upgrade(connection)


def test_a_migration_that_fails_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    engine = sqlite_engine(tmp_path / "klepaas.db").execution_options(**{WRITING: True})
    with engine.begin() as connection:
        upgrade(connection, "0001")
        connection.execute(text("CREATE TABLE application_urls (x INTEGER)"))  # in the way of the second one
    with pytest.raises(Exception, match="already exists"), engine.begin() as connection:
        upgrade(connection)
    with engine.connect() as connection:
        assert version_of(connection) == "0001"
        assert "deployment_history" not in inspect(connection).get_table_names()
    engine.dispose()


async def test_several_processes_that_come_first_at_once_migrate_once(store: Store, tmp_path: Path) -> None:
    folder = store.path.parent if store.path else tmp_path
    stores = [Store(folder, store._address) for _ in range(6)]
    found: list[int] = []

    def count(session: Session) -> int:
        return int(session.execute(text("SELECT count(*) FROM alembic_version")).scalar_one())

    async def use(one: Store) -> None:
        found.append(await one.read(count))

    async with anyio.create_task_group() as group:
        for one in stores:
            group.start_soon(use, one)
    assert found == [1] * 6
    for one in stores:
        await one.aclose()


async def test_the_first_schema_of_all_is_brought_up_with_what_is_in_it(folder: Path) -> None:
    folder.mkdir(parents=True)
    with sqlite3.connect(folder / "klepaas.db") as made:
        made.executescript(FIRST_SCHEMA.read_text())
    made.close()
    store = Store(folder)
    found = await store.read(lambda session: session.execute(text("SELECT id, state FROM operations")).all())
    assert [tuple(row) for row in found] == [("op-0123456789ab", "running")]
    await store.aclose()


def test_migrations_only_add() -> None:
    """An older server may be running on the same store while a newer one migrates it."""
    for path in sorted((FOLDER / "versions").glob("r*.py")):
        assert not re.search(r"op\.(drop_table|drop_column|rename_table)|new_column_name", path.read_text()), path
