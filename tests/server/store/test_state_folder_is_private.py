"""The state folder is its owner's alone, whoever makes it first, whatever the umask is and however it was before."""

import os
import re
import stat
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from klepaas.audit import AuditEvent, AuditRecord, Change
from klepaas.audit_file import AuditFile, lock_of
from klepaas.audit_reading import lines_of
from klepaas.external.trust import TrustStore
from klepaas.host import Host
from klepaas.portability import files, locks
from klepaas.principals import Principal
from klepaas.settings import Mode, Settings
from klepaas.state_folder import objection_to_changes
from klepaas.store import Store
from klepaas_providers.slack import provider as slack
from klepaas_providers.slack.settings import SlackSettings
from klepaas_providers.slack.token_file import Token, TokenFile

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]
Make = Callable[[Path], Awaitable[object]]


async def _store(state: Path) -> None:
    store = Store(state)
    try:
        await store.write(lambda session: None)
    finally:
        await store.aclose()


async def _audit(state: Path) -> None:
    change = Change(Principal("kim", "stdio"), "delete", "destructive", (), {}, "0" * 32)
    await AuditFile(state, 100_000).write(AuditRecord(AuditEvent.INTENT, datetime.now(UTC), change, None))


async def _lock(state: Path) -> None:
    with locks.hold(lock_of(state), 5):
        pass
    assert list(lines_of(state)) == []


async def _trust(state: Path) -> None:
    TrustStore(state / "providers", "github").add([])
    TrustStore(state / "providers", "github").forget()


async def _slack_token(state: Path) -> None:
    TokenFile(state / "slack" / "token.json").write(Token("an-access-token"))


async def _slack_cache(state: Path) -> None:
    host = Host(Settings(state_dir=state))
    await slack._tokens(host, SlackSettings(), {})()


MAKERS: dict[str, Make] = {
    "store": _store,
    "audit": _audit,
    "lock": _lock,
    "trust of other servers": _trust,
    "slack token": _slack_token,
    "slack cache": _slack_cache,
}


@pytest.fixture
def umask_0() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def _modes(state: Path) -> set[int]:
    places = [state, *(path for path in state.rglob("*") if path.is_dir())]
    return {stat.S_IMODE(place.stat().st_mode) for place in places}


@pytest.mark.usefixtures("umask_0")
@pytest.mark.parametrize("maker", MAKERS)
async def test_the_state_folder_and_what_is_missing_above_it_are_made_for_the_owner_alone_whatever_the_umask(
    maker: str, tmp_path: Path
) -> None:
    await MAKERS[maker](tmp_path / "home" / "state" / "klepaas")
    assert _modes(tmp_path / "home") == {0o700}


@pytest.mark.parametrize("umask", [0, 0o022, 0o777], ids=oct)
def test_a_umask_neither_opens_a_private_folder_nor_closes_it_to_its_owner(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        files.make_private_folder(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert _modes(tmp_path / "a") == {0o700}


@pytest.mark.parametrize("maker", ["store", "audit", "lock"])
async def test_a_state_folder_that_was_open_to_others_is_closed_and_the_log_says_so(
    maker: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (state := tmp_path / "state").mkdir()
    state.chmod(0o777)
    await MAKERS[maker](state)
    assert _modes(state) == {0o700}
    assert f"the folder {state} was open to others (mode 0777) and is closed" in caplog.text


@pytest.mark.parametrize("maker", ["audit", "lock"])
async def test_another_users_folder_that_everybody_may_write_to_is_refused_with_what_to_do(
    maker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (state := tmp_path / "state").mkdir()
    state.chmod(0o1777)
    monkeypatch.setattr(os, "geteuid", lambda: state.stat().st_uid + 1)
    with pytest.raises(PermissionError, match="name a new folder inside it"):
        await MAKERS[maker](state)
    assert list(state.iterdir()) == []
    said = objection_to_changes(Settings(state_dir=state, mode=Mode.WRITES)) or ""
    assert "everybody may write to" in said


async def test_a_folder_that_a_container_mounts_for_our_group_is_used_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (state := tmp_path / "state").mkdir()
    state.chmod(0o2775)
    monkeypatch.setattr(os, "geteuid", lambda: state.stat().st_uid + 1)
    await anyio.to_thread.run_sync(files.make_private_folder, state)
    assert stat.S_IMODE(state.stat().st_mode) == 0o2775


def test_nothing_makes_a_folder_of_the_state_by_itself() -> None:
    """Every other maker of folders writes what is the user's: a new plugin's files."""
    makers = set()
    for folder in ("server", "plugins", "providers", "agents"):
        for path in (ROOT / folder).rglob("*.py"):
            if re.search(r"\bmkdir\b|\bmakedirs\b", path.read_text(encoding="utf-8")):
                makers.add(str(path.relative_to(ROOT)))
    makers.discard("server/klepaas/testing/snapshots.py")
    assert makers == {"server/klepaas/portability/files.py", "server/klepaas/scaffold/__init__.py"}
