"""Stores in SQLite and PostgreSQL."""

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from tests.server.store.postgresql import PostgreSql, postgresql_server

from klepaas.store import Store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "state"


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSql]:
    with postgresql_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Store]:
    """An empty store."""
    address = None
    if request.param == "postgresql":
        server: PostgreSql = request.getfixturevalue("postgresql")
        address = SecretStr(server.new_database(f"t{uuid.uuid4().hex[:12]}"))
    opened = Store(folder, address)
    yield opened
    await opened.aclose()
