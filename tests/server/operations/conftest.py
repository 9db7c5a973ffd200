"""A warehouse, and stores in SQLite and PostgreSQL."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.server.operations.warehouse import Warehouse, open_warehouse
from tests.server.store.postgresql import PostgreSql, postgresql_server


@pytest.fixture
def is_soak() -> bool:
    """Whether the full numbers are wanted, as `make soak` does."""
    return os.environ.get("KLEPAAS_TEST_SOAK") == "1"


@pytest.fixture
def warehouse() -> Iterator[Warehouse]:
    with open_warehouse() as found:
        yield found


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSql]:
    with postgresql_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest) -> str | None:
    """Where the store is: None for SQLite, else a fresh PostgreSQL database."""
    if request.param == "sqlite":
        return None
    server: PostgreSql = request.getfixturevalue("postgresql")
    return server.new_database(f"t{uuid.uuid4().hex[:12]}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"
