"""What the store promises whoever uses it, whatever happens to the file."""

# Files of a test are small and local.
# ruff: noqa: ASYNC240

import errno
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.orm import Session
from tests.server.store.postgresql import PASSWORD, PostgreSql

from klepaas.hookspecs import Finding, Level
from klepaas.observability import safe_text
from klepaas.portability import files
from klepaas.store import Store, StoreTooNew, StoreUnavailable
from klepaas.store.upgrading import NEWEST
from klepaas.testing import scale_timeout

pytestmark = pytest.mark.anyio


def put(session: Session) -> None:
    session.execute(text("INSERT INTO application_settings VALUES ('c', 'n', 'a', 1, 1.0, 'anna')"))


def count(session: Session) -> int:
    return int(session.execute(text("SELECT count(*) FROM application_settings")).scalar_one())


async def objections(store: Store) -> list[Finding]:
    return [finding for finding in await store.examine() if finding.level is not Level.OK]


async def test_what_is_written_is_there_for_another_process(store: Store, folder: Path) -> None:
    await store.write(put)
    other = Store(folder, store._address)
    assert await other.read(count) == 1
    await other.aclose()


async def test_the_file_is_its_owners_alone(folder: Path) -> None:
    store = Store(folder)
    await store.write(put)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {"klepaas.db": 0o600, "klepaas.db-shm": 0o600, "klepaas.db-wal": 0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    await store.aclose()


async def test_a_file_that_others_can_read_is_closed_to_them(folder: Path) -> None:
    store = Store(folder)
    await store.write(put)
    await store.aclose()
    path = folder / "klepaas.db"
    path.chmod(0o644)
    assert [found.summary for found in await objections(store)] == [f"{path} can be read by others"]
    again = Store(folder)
    await again.read(count)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    await again.aclose()


async def test_a_store_that_two_servers_make_at_once_is_made_by_both(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir(mode=0o700, parents=True)
    first = sqlite3.connect(folder / "klepaas.db", isolation_level=None, check_same_thread=False)
    first.execute("BEGIN IMMEDIATE")  # while another holds a lock, SQLite refuses the change to WAL mode at once
    waits: list[float] = []

    def release(interval_s: float) -> None:
        waits.append(interval_s)
        first.close()

    monkeypatch.setattr("klepaas.store.engine.time.sleep", release)
    store = Store(folder)
    await store.write(put)
    assert (await store.read(count), len(waits)) == (1, 1)
    await store.aclose()


async def test_every_commit_waits_for_the_disk(folder: Path) -> None:
    store = Store(folder)
    found = await store.read(
        lambda session: [session.execute(text(f"PRAGMA {name}")).scalar() for name in ("synchronous", "journal_mode")]
    )
    assert found == [2, "wal"]
    await store.aclose()


async def test_work_that_fails_leaves_nothing(store: Store) -> None:
    def fail(session: Session) -> None:
        put(session)
        raise LookupError("in the middle")

    with pytest.raises(LookupError):
        await store.write(fail)
    assert await store.read(count) == 0


async def test_writers_of_two_processes_wait_for_each_other(folder: Path) -> None:
    stores = [Store(folder), Store(folder)]
    await stores[0].write(put)

    def add(session: Session) -> None:
        session.execute(text("UPDATE application_settings SET replicas = replicas + 1"))

    async with anyio.create_task_group() as group:
        for number in range(100):
            group.start_soon(stores[number % 2].write, add)
    replicas = await stores[0].read(
        lambda session: session.execute(text("SELECT replicas FROM application_settings")).scalar()
    )
    assert replicas == 101
    for store in stores:
        await store.aclose()


async def test_a_writer_waits_while_another_process_holds_the_lock(folder: Path) -> None:
    store = Store(folder)
    await store.read(count)
    with held_lock(folder / "klepaas.db"):
        began_at = time.monotonic()
        async with anyio.create_task_group() as group:
            group.start_soon(store.write, put)
            await anyio.to_thread.run_sync(threading.Event().wait, 0.3)
            locks[-1].rollback()
    assert time.monotonic() - began_at > 0.3
    assert await store.read(count) == 1
    await store.aclose()


async def test_readers_do_not_wait_for_a_writer(folder: Path) -> None:
    store = Store(folder)
    await store.write(put)
    with held_lock(folder / "klepaas.db"), anyio.fail_after(scale_timeout(2)):
        assert await store.read(count) == 1
    await store.aclose()


locks: list[sqlite3.Connection] = []


@contextmanager
def held_lock(path: Path) -> Iterator[None]:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")
    locks.append(connection)
    try:
        yield
    finally:
        connection.close()


async def test_a_store_of_a_newer_klepaas_is_refused_with_what_to_do(store: Store, folder: Path) -> None:
    await store.write(lambda session: session.execute(text("UPDATE alembic_version SET version_num = '9999'")).rowcount)  # type: ignore[attr-defined]
    other = Store(folder, store._address)
    with pytest.raises(StoreTooNew, match=r"written by a newer klepaas .version 9999 of the tables") as refused:
        await other.write(put)
    assert "KLEPAAS_STATE_DIR" in (refused.value.next_step or "")
    assert "newer klepaas" in (await objections(other))[0].summary
    await other.aclose()


async def test_a_full_disk_refuses_and_the_store_works_again_when_there_is_room(folder: Path) -> None:
    store = Store(folder)
    await store.write(put)

    def fill(session: Session) -> None:
        session.execute(text("PRAGMA max_page_count=1"))
        for number in range(1000):
            name = f"{number:0>900}"
            session.execute(text(f"INSERT INTO application_settings VALUES ('{name}', 'n', 'a', 1, 1.0, 'anna')"))

    with pytest.raises(StoreUnavailable, match=r"cannot be written .*full"):
        await store.write(fill)

    def make_room(session: Session) -> None:
        session.execute(text("PRAGMA max_page_count=1073741823"))

    await store.write(make_room)
    assert await store.read(count) == 1
    await store.aclose()


async def test_a_damaged_file_is_named_and_kept(folder: Path) -> None:
    folder.mkdir(parents=True)
    path = folder / "klepaas.db"
    path.write_bytes(b"this is no database" * 1000)
    store = Store(folder)
    with pytest.raises(StoreUnavailable, match="not a database"):
        await store.write(put)
    assert "cannot be used" in (await objections(store))[-1].summary
    assert path.read_bytes() == b"this is no database" * 1000
    await store.aclose()


async def test_a_folder_where_the_file_should_be_is_refused(folder: Path) -> None:
    (folder / "klepaas.db").mkdir(parents=True)
    store = Store(folder)
    with pytest.raises(StoreUnavailable):
        await store.write(put)
    assert (await objections(store))[0].level is Level.ERROR


async def test_a_link_in_place_of_the_file_is_not_followed(folder: Path, tmp_path: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "klepaas.db").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreUnavailable):
        await Store(folder).write(put)
    assert not (tmp_path / "elsewhere").exists()


async def test_a_store_that_is_deleted_while_it_runs_is_reported_and_not_made_anew(folder: Path) -> None:
    store = Store(folder)
    await store.write(put)
    for path in list(folder.iterdir()):
        path.unlink()
    for ask in (store.read(count), store.write(put)):
        with pytest.raises(StoreUnavailable, match="was deleted while klepaas ran") as lost:
            await ask
        assert (lost.value.code, lost.value.retryable, "\n" in lost.value.text) == ("unavailable", False, False)
        assert "restart klepaas" in (lost.value.next_step or "")
    assert store.exists
    assert not (folder / "klepaas.db").exists()
    await store.aclose()


async def test_a_file_system_that_the_system_reports_as_read_only_is_still_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Store(folder)
    await whole.write(put)
    await whole.aclose()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    open_file = files.open_file

    def refuse_writing(path: Path, flags: int, **more: bool) -> int:
        if flags & (os.O_RDWR | os.O_WRONLY):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return open_file(path, flags, **more)

    monkeypatch.setattr(files, "open_file", refuse_writing)
    store = Store(folder)
    assert await store.read(count) == 1
    with pytest.raises(StoreUnavailable, match=r"cannot be written .*readonly"):
        await store.write(put)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    await store.aclose()


async def test_a_store_that_is_put_back_is_used_again(folder: Path) -> None:
    store = Store(folder)
    await store.write(put)
    await store.aclose()
    saved = (folder / "klepaas.db").read_bytes()
    for path in list(folder.iterdir()):
        path.unlink()
    with pytest.raises(StoreUnavailable):
        await store.read(count)
    (folder / "klepaas.db").write_bytes(saved)
    other = Store(folder)
    assert await store.read(count) == 1
    assert await other.read(count) == 1
    await other.aclose()
    await store.aclose()


@pytest.mark.skipif(os.getuid() == 0, reason="nothing is read-only for root")
async def test_a_read_only_folder_refuses(folder: Path) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o500)
    store = Store(folder)
    with pytest.raises(StoreUnavailable):
        await store.write(put)
    assert "cannot be written" in (await objections(store))[0].summary


@pytest.mark.parametrize(
    "address",
    ["mysql://u:secret-word-1@h/d", "secret-word-1", "sqlite:///x?password=secret-word-1", "http://secret-word-1"],
)
async def test_an_address_of_another_kind_is_refused_without_quoting_it(folder: Path, address: str) -> None:
    store = Store(folder, SecretStr(address))
    with pytest.raises(StoreUnavailable) as refused:
        await store.write(put)
    told = [refused.value.text, *(finding.summary for finding in await store.examine())]
    assert "KLEPAAS_DATABASE_URL" in told[0]
    assert "secret-word-1" not in repr(told)


async def test_a_database_that_is_not_there_is_told_without_its_password(folder: Path) -> None:
    store = Store(folder, SecretStr("postgresql://anna:secret-word-1@127.0.0.1:1/db"))
    with pytest.raises(StoreUnavailable) as refused:
        await store.write(put)
    told = [refused.value.text, *(finding.summary for finding in await store.examine())]
    assert "secret-word-1" not in repr(told)
    assert safe_text("it is secret-word-1") == "it is ‹redacted›"
    await store.aclose()


async def test_a_wrong_password_is_told_without_it(folder: Path, postgresql: PostgreSql) -> None:
    store = Store(folder, SecretStr(postgresql.address().replace(PASSWORD, "wrong-word-22")))
    with pytest.raises(StoreUnavailable, match="password authentication failed") as refused:
        await store.write(put)
    assert "wrong-word-22" not in refused.value.text
    await store.aclose()


async def test_an_empty_folder_is_well_and_stays_empty(folder: Path) -> None:
    store = Store(folder)
    (finding,) = await store.examine()
    assert (finding.level, store.exists, folder.exists()) == (Level.OK, False, False)


async def test_a_store_in_use_is_well(store: Store) -> None:
    await store.write(put)
    (finding,) = await store.examine()
    assert (finding.level, f"version {NEWEST} of the tables" in finding.summary) == (Level.OK, True)


def test_the_start_of_a_server_loads_no_database_library() -> None:
    code = "import sys, klepaas.app, klepaas.store.history, klepaas.store.applications;" \
        "sys.exit(any(name in sys.modules for name in ('sqlalchemy', 'alembic', 'psycopg', 'sqlite3')))"  # fmt: skip
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=scale_timeout(30)).returncode == 0
