""" "Refused" means not done: a commit that nobody confirmed is looked up before anything is said about it.

PostgreSQL is a real one, behind a proxy on loopback that cuts connections at their COMMIT; SQLite is locked by another
connection for longer than the limits.
"""

import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from tests.server.operations.warehouse import Warehouse
from tests.server.operations.work import ANNA, at_work, submitted
from tests.server.store.cutting import Cutter, cutting_proxy
from tests.server.store.postgresql import PostgreSql

from klepaas.operations import Operation, Operations, State, submission
from klepaas.store import CommitUnknown, Store, StoreUnavailable, committing, database
from klepaas.store.committing import Commit
from klepaas.store.identities import Identities, join
from klepaas.testing import scale_timeout

pytestmark = pytest.mark.anyio


@pytest.fixture
def cutter(postgresql: PostgreSql) -> Iterator[Cutter]:
    with cutting_proxy(postgresql.port) as found:
        yield found


@pytest.fixture
def behind_cutter(postgresql: PostgreSql, cutter: Cutter, request: pytest.FixtureRequest) -> str:
    """A fresh database, by the proxy's address."""
    address = postgresql.new_database(f"cut{abs(hash(request.node.name)) % 10**10}")
    return address.replace(f":{postgresql.port}/", f":{cutter.port}/")


async def all_of(operations: Operations) -> list[Operation]:
    return list(await operations.find(None, limit=100))


@pytest.mark.parametrize("times", [1, 3])
async def test_an_operation_whose_commit_was_cut_after_it_arrived_is_taken_on_and_carried_out_once(
    warehouse: Warehouse, folder: Path, cutter: Cutter, behind_cutter: str, times: int
) -> None:
    async with at_work(folder, warehouse.url, behind_cutter) as operations:
        for number in range(times):
            cutter.cuts = ["after"]
            asked = await submitted(operations, "scale", f"web-{number}")
            end = await operations.wait(asked.id, scale_timeout(20))
            assert end.state is State.SUCCEEDED
        assert cutter.count == times
        assert len(await all_of(operations)) == times
    assert set(warehouse.made.values()) == {1}


async def test_an_operation_whose_commit_never_arrived_is_refused_and_never_carried_out(
    warehouse: Warehouse, folder: Path, cutter: Cutter, behind_cutter: str
) -> None:
    async with at_work(folder, warehouse.url, behind_cutter) as operations:
        await submitted(operations, "scale", "warm")
        cutter.cuts = ["before"]
        with pytest.raises(StoreUnavailable) as refused:
            await submitted(operations, "deploy", "web")
        assert not isinstance(refused.value, CommitUnknown)
        assert cutter.count == 1
        assert [found.kind for found in await all_of(operations)] == ["scale"]


async def test_where_the_store_stays_away_after_the_commit_the_answer_is_outcome_unknown_with_the_operation(
    warehouse: Warehouse, folder: Path, cutter: Cutter, behind_cutter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("klepaas.store.committing._LOOK_UP_S", 0.2)
    monkeypatch.setattr(submission, "LOOK_UP_S", 0.2)
    async with at_work(folder, warehouse.url, behind_cutter) as operations:
        await operations.wait((await submitted(operations, "scale", "warm")).id, scale_timeout(20))
        cutter.cuts, cutter.goes_down = ["after"], True
        with pytest.raises(CommitUnknown) as unknown:
            await submitted(operations, "scale", "web")
        cutter.is_down = False
        text = unknown.value.line
        assert "outcome unknown, operation op-" in text
        assert "refused" not in text
        assert "cannot be written" not in text
        assert unknown.value.operation_id is not None
        assert f"get_operation {unknown.value.operation_id}" in text
        # It was committed, so somebody carries it out under the very same id.
        end = await operations.wait(unknown.value.operation_id, scale_timeout(20))
        assert end.state is State.SUCCEEDED


async def test_a_cancel_whose_commit_was_cut_is_a_cancel(
    warehouse: Warehouse, folder: Path, cutter: Cutter, behind_cutter: str
) -> None:
    cutter.marker = b"cancel_requested_at="
    async with at_work(folder, warehouse.url, behind_cutter) as operations:
        asked = await submitted(operations, "wait", "web")
        cutter.cuts = ["after"]
        found = await operations.cancel(asked.id, ANNA)
        assert found.cancel_requested or found.ended
        assert cutter.count == 1
        assert (await operations.wait(asked.id, scale_timeout(20))).state is State.CANCELLED


@contextlib.asynccontextmanager
async def locked(folder: Path) -> AsyncIterator[None]:
    """The SQLite file, locked by another connection while inside."""
    connection = sqlite3.connect(folder / "klepaas.db", isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


async def test_an_operation_that_is_refused_for_a_lock_is_not_carried_out_when_the_lock_is_gone(
    warehouse: Warehouse, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[Commit] = []
    write_and_commit = committing.write_and_commit

    def remember(engine: Engine, work: Callable[[Session], Any], commit: Commit) -> Any:
        threads.append(commit)
        return write_and_commit(engine, work, commit)

    async with at_work(folder, warehouse.url) as operations:
        await operations.wait((await submitted(operations, "scale", "warm")).id, scale_timeout(20))
        with monkeypatch.context() as patched:
            patched.setattr(committing, "write_and_commit", remember)
            # As 55 s against limits of 40 s and 30 s: our limit cuts the wait while SQLite still waits for the lock.
            patched.setattr(database, "LIMIT_S", 0.3)
            async with locked(folder):
                with pytest.raises(StoreUnavailable, match="gave no answer in time"):
                    await submitted(operations, "deploy", "web")
        assert threads
        for commit in threads:
            await anyio.to_thread.run_sync(commit.ended.wait, scale_timeout(20))
        assert [found.kind for found in await all_of(operations)] == ["scale"]
    assert {thing.split("/")[1] for thing in warehouse.made} == {"scale"}


async def test_a_commit_that_was_begun_before_the_limit_is_waited_for_and_then_unknown_never_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_COMMIT_S", 0.2)
    store, goes_on = Store(folder), threading.Event()
    commit = Session.commit

    def slow(self: Session) -> None:
        goes_on.wait(scale_timeout(20))
        commit(self)

    await store.write(lambda session: None)
    monkeypatch.setattr(database, "LIMIT_S", 2.0)
    monkeypatch.setattr(Session, "commit", slow)
    with pytest.raises(CommitUnknown) as unknown:
        await store.write(lambda session: join(session, ["one"]))
    ended = unknown.value.ended
    assert (unknown.value.may_still_commit, ended.is_set()) == (True, False)
    goes_on.set()
    monkeypatch.setattr(database, "LIMIT_S", scale_timeout(20))
    await anyio.to_thread.run_sync(ended.wait, scale_timeout(20))
    assert await Identities(store).group(["one"]) == ("one",)
    await store.aclose()
