"""The store keeps no secret: what operations are asked to do is encrypted while it is needed, and gone afterwards."""

# Files of a test are small and local.

import copy
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr
from sqlalchemy import update
from sqlalchemy.orm import Session
from tests.server.operations.warehouse import Warehouse
from tests.server.operations.work import ANNA, at_work, submitted

from klepaas.errors import Conflict, Forbidden
from klepaas.operations import Kind, Operation, Operations, Outcome, Run, State
from klepaas.operations.bodies import Bodies, BodyUnreadable, mask
from klepaas.output.redaction import MARK
from klepaas.store import Store
from klepaas.store.keys import FILE_NAME, Keys
from klepaas.store.tables import OperationRow
from klepaas.testing import scale_timeout

pytestmark = pytest.mark.anyio

SECRETS = ("plain-words-that-look-like-nothing", "hunter2-9f86d081884c7d65", "in-a-manifest-of-many-lines")
REQUEST: dict[str, Any] = {
    "app_name": "web",
    "replicas": 3,
    "env_vars": {"GREETING": SECRETS[0], "DB_PASSWORD": SECRETS[1]},
    "variables": [f"GREETING={SECRETS[0]}"],
    "manifests": f"kind: ConfigMap\ndata:\n  greeting: {SECRETS[2]}\n",
    "planned": {"body": {"data": {"greeting": SECRETS[2]}}},
}


def expect_no_secret(folder: Path) -> None:
    """None of the store's files, its log included, holds a planted secret."""
    for path in folder.iterdir():
        content = path.read_bytes()
        assert not [secret for secret in SECRETS if secret.encode() in content], path
        assert path.stat().st_mode & 0o077 == 0, path


class Stages:
    """A kind of operation that stops at each stage until a test has looked at the store."""

    def __init__(self) -> None:
        self.reached = anyio.Event()
        self.go_on = anyio.Event()
        self.seen: list[Any] = []

    async def _stop(self) -> None:
        self.reached.set()
        await self.go_on.wait()
        self.go_on = anyio.Event()

    async def next(self) -> None:
        """Let it go on to the next stage."""
        self.reached = anyio.Event()
        self.go_on.set()

    async def run(self, run: Run) -> Outcome:
        request = run.operation.request
        self.seen.append(copy.deepcopy(dict(request)))
        await self._stop()

        async def use() -> dict[str, Any]:
            return {"used": request["env_vars"], "text": request["manifests"]}

        given = await run.step("use", use)
        await self._stop()
        assert given["used"]["GREETING"] == SECRETS[0]
        assert await run.step("use", use) == given, "what a step gave is read back"
        return Outcome(State.SUCCEEDED, "it is done")


async def test_the_store_and_its_log_hold_no_secret_at_any_stage_and_only_a_masked_form_afterwards(
    warehouse: Warehouse, folder: Path
) -> None:
    stages = Stages()
    async with at_work(folder, warehouse.url) as operations:
        operations.kinds["stages"] = Kind("stages", stages.run)
        with anyio.fail_after(scale_timeout(30)):
            asked = await submitted(operations, "stages", **REQUEST)
            for _ in range(2):
                await stages.reached.wait()
                expect_no_secret(folder)
                assert not [one for one in SECRETS if one in repr(await operations.get(asked.id, ANNA))]
                await stages.next()
            found = await operations.wait(asked.id, scale_timeout(20))
        assert found.state is State.SUCCEEDED, found
        expect_no_secret(folder)
        kept = await Store.of(operations._host).read(partial(_row, operation_id=asked.id))
    assert stages.seen == [REQUEST], "who carries it out gets it whole"
    assert found.request == {
        "app_name": "web",
        "replicas": 3,
        "env_vars": {"GREETING": MARK, "DB_PASSWORD": MARK},
        "variables": [f"GREETING={MARK}"],
        "manifests": "[62 characters]",
    }
    assert "sealed" not in kept.request, "the body is gone"
    assert ":" in kept.request_digest, "its digest stays"


def _row(session: Session, operation_id: str) -> OperationRow:
    return session.get_one(OperationRow, operation_id)


async def _left(folder: Path, url: str, kind: str, until: Callable[[Operation], bool]) -> Operation:
    """An operation that a server has left when it stopped."""
    async with at_work(folder, url) as operations:
        operations.kinds["idle"] = Kind("idle", _idle)
        asked = await submitted(operations, kind, for_s=60, **REQUEST)
        with anyio.fail_after(scale_timeout(20)):
            while not until(found := await operations.get(asked.id, ANNA)):
                await operations.wait(asked.id, 0.02)
    return found


async def _idle(_run: Run) -> Outcome:
    await anyio.sleep_forever()
    raise AssertionError("unreachable")


async def _ended(folder: Path, url: str, operation_id: str) -> Operation:
    async with at_work(folder, url) as operations:
        operations.kinds["idle"] = Kind("idle", _idle)
        return await operations.wait(operation_id, scale_timeout(20))


@pytest.mark.parametrize("trouble", ["lost", "another"])
async def test_an_operation_that_has_not_begun_ends_with_nothing_changed_when_its_key_is_lost(
    warehouse: Warehouse, folder: Path, trouble: str
) -> None:
    left = await _left(folder, warehouse.url, "idle", lambda found: found.state is State.RUNNING)
    _lose_key(folder, trouble)
    found = await _ended(folder, warehouse.url, left.id)
    assert found.state is State.FAILED
    assert found.outcome is not None
    assert "it was made with another key. It had not begun: nothing was changed" in found.outcome.text
    assert warehouse.made == {}
    expect_no_secret(folder)


async def test_an_operation_that_has_begun_says_that_it_is_not_known_and_names_it_when_its_key_is_lost(
    warehouse: Warehouse, folder: Path
) -> None:
    left = await _left(folder, warehouse.url, "wait", lambda found: any(step.ended_at for step in found.steps))
    _lose_key(folder, "lost")
    found = await _ended(folder, warehouse.url, left.id)
    assert found.state is State.UNKNOWN
    assert found.outcome is not None
    assert "It had begun (before)" in found.outcome.text
    assert "Look at target of wait" in found.outcome.text
    assert warehouse.made == {f"{left.id}/before": 1}


async def _look(run: Run, why: str) -> Outcome | None:
    """What a kind sees of an operation that cannot be read, and one more step."""
    step = run.operation.steps[0]
    assert (step.name, run.operation.target, run.operation.request["app_name"]) == ("before", "target of wait", "web")
    assert (await run.step("before", _not_again)) == {}, "what it gave cannot be read"

    async def put_back() -> dict[str, Any]:
        return {"back": True}

    assert await run.step("put back", put_back) == {"back": True}
    return Outcome(State.ROLLED_BACK, f"it is put back, since {why}")


async def _not_again() -> dict[str, Any]:
    raise AssertionError("it is done")


async def _breaks(_run: Run, _why: str) -> Outcome | None:
    raise RuntimeError("a defect")


async def _refused(_run: Run, _why: str) -> Outcome | None:
    raise Forbidden("it may not be read")


async def _cannot_tell(_run: Run, _why: str) -> Outcome | None:
    return None


@pytest.mark.parametrize(
    ("end_unread", "state", "said"),
    [
        (_look, State.ROLLED_BACK, "it is put back, since it was made with another key"),
        (_breaks, State.UNKNOWN, "ended by a defect of klepaas or a plugin"),
        (_refused, State.UNKNOWN, "is not known: it may not be read"),
        (_cannot_tell, State.UNKNOWN, "Look at target of wait"),
    ],
)
async def test_a_kind_ends_what_has_begun_from_what_stays_readable_when_its_key_is_lost(
    warehouse: Warehouse, folder: Path, end_unread: Any, state: State, said: str
) -> None:
    left = await _left(folder, warehouse.url, "wait", lambda found: any(step.ended_at for step in found.steps))
    _lose_key(folder, "another")
    async with at_work(folder, warehouse.url) as operations:
        operations.kinds["wait"] = replace(operations.kinds["wait"], end_unread=end_unread)
        found = await operations.wait(left.id, scale_timeout(20))
    assert found.state is state
    assert found.outcome is not None
    assert said in found.outcome.text
    assert warehouse.made == {f"{left.id}/before": 1}
    expect_no_secret(folder)


async def _elsewhere(_request: Any) -> bool:
    return False


async def _not_here(_run: Run, _why: str) -> Outcome | None:
    raise AssertionError("this server does not reach what it works on")


async def test_what_has_begun_is_left_to_a_server_that_reaches_it_until_its_deadline_when_its_key_is_lost(
    warehouse: Warehouse, folder: Path
) -> None:
    left = await _left(folder, warehouse.url, "wait", lambda found: any(step.ended_at for step in found.steps))
    _lose_key(folder, "another")
    asked = anyio.Event()

    async def elsewhere(_request: Any) -> bool:
        asked.set()
        return False

    async with at_work(folder, warehouse.url) as operations:
        operations.kinds["wait"] = Kind("wait", _idle, takes=elsewhere, end_unread=_not_here)
        with anyio.fail_after(scale_timeout(20)):
            await asked.wait()
        assert not (await operations.get(left.id, ANNA)).ended
    async with at_work(folder, warehouse.url) as operations:
        operations.kinds["wait"] = replace(operations.kinds["wait"], end_unread=_look)
        assert (await operations.wait(left.id, scale_timeout(20))).state is State.ROLLED_BACK


async def test_what_has_begun_ends_as_unknown_after_its_deadline_where_no_server_reaches_it_and_its_key_is_lost(
    warehouse: Warehouse, folder: Path
) -> None:
    left = await _left(folder, warehouse.url, "wait", lambda found: any(step.ended_at for step in found.steps))
    _lose_key(folder, "another")
    store = Store(folder)
    await store.write(lambda session: session.execute(update(OperationRow).values(deadline_at=1.0)))
    await store.aclose()
    async with at_work(folder, warehouse.url) as operations:
        operations.kinds["wait"] = Kind("wait", _idle, takes=_elsewhere, end_unread=_cannot_tell)
        assert (await operations.wait(left.id, scale_timeout(20))).state is State.UNKNOWN


async def test_what_has_not_begun_ends_at_once_whoever_reaches_its_target_when_its_key_is_lost(
    warehouse: Warehouse, folder: Path
) -> None:
    left = await _left(folder, warehouse.url, "idle", lambda found: found.state is State.RUNNING)
    _lose_key(folder, "another")
    async with at_work(folder, warehouse.url) as operations:
        operations.kinds["idle"] = Kind("idle", _idle, takes=_elsewhere, end_unread=_not_here)
        found = await operations.wait(left.id, scale_timeout(20))
    assert found.state is State.FAILED
    assert found.outcome is not None
    assert "nothing was changed" in found.outcome.text


def _lose_key(folder: Path, trouble: str) -> None:
    (folder / FILE_NAME).unlink()
    if trouble == "another":
        (folder / FILE_NAME).write_bytes(Fernet.generate_key())
        (folder / FILE_NAME).chmod(0o600)


async def test_what_was_altered_or_moved_in_the_store_is_not_carried_out(warehouse: Warehouse, folder: Path) -> None:
    def swap(session: Session, ids: list[str]) -> None:
        one, two = (session.get_one(OperationRow, operation_id) for operation_id in ids)
        one.request, two.request = dict(two.request), dict(one.request)

    ids: list[str] = []
    async with at_work(folder, warehouse.url) as operations:
        operations.kinds["idle"] = Kind("idle", _idle)
        for number in range(2):
            ids.append((await submitted(operations, "idle", f"t{number}", for_s=1)).id)
    store = Store(folder)
    await store.write(partial(swap, ids=ids))
    await store.aclose()
    async with at_work(folder, warehouse.url) as operations:
        operations.kinds["idle"] = Kind("idle", _idle)
        for operation_id in ids:
            found = await operations.wait(operation_id, scale_timeout(20))
            assert found.state is State.FAILED
            assert found.outcome is not None
            assert "it was put there from elsewhere" in found.outcome.text


async def test_the_same_request_is_the_same_operation_although_no_digest_can_be_guessed(
    warehouse: Warehouse, folder: Path
) -> None:
    async with at_work(folder, warehouse.url) as operations:
        operations.kinds["idle"] = Kind("idle", _idle)
        ask: Callable[..., Awaitable[Operation]] = partial(submitted, operations, "idle", **REQUEST)
        assert (await ask()).id == (await ask()).id
        with pytest.raises(Conflict):
            await submitted(operations, "idle", **{**REQUEST, "replicas": 4})


def test_of_a_list_of_keys_the_first_encrypts_and_each_opens(tmp_path: Path) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    before = Bodies(Keys(tmp_path, SecretStr(old)))
    both_keys = Keys(tmp_path, SecretStr(f"{new},{old}"))
    both, digest = Bodies(both_keys), before.digest("op-1", REQUEST)
    kept = before.seal_request("op-1", REQUEST, digest)
    assert both.open_request("op-1", kept, digest) == REQUEST
    assert both.is_equal(digest, "op-1", REQUEST)
    assert both.seal_request("op-1", REQUEST, digest)["key"] == both_keys.current().id != kept["key"]
    with pytest.raises(BodyUnreadable, match="another key"):
        Bodies(Keys(tmp_path, SecretStr(new))).open_request("op-1", kept, digest)


@pytest.mark.parametrize(("operation_id", "digest"), [("op-2", "d1"), ("op-1", "d2"), ("op-1", "")])
def test_a_token_counts_for_its_operation_and_its_digest_alone(tmp_path: Path, operation_id: str, digest: str) -> None:
    bodies = Bodies(Keys(tmp_path))
    kept = bodies.seal_request("op-1", REQUEST, "d1")
    with pytest.raises(BodyUnreadable, match="from elsewhere"):
        bodies.open_request(operation_id, kept, digest)
    with pytest.raises(BodyUnreadable, match="from elsewhere"):
        bodies.open_result("op-1", "use", kept)


def test_a_token_that_was_altered_is_not_opened(tmp_path: Path) -> None:
    bodies = Bodies(Keys(tmp_path))
    kept = bodies.seal_request("op-1", REQUEST, "d1")
    token = str(kept["sealed"])
    for place in range(0, len(token), len(token) // 20):
        other = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        with pytest.raises(BodyUnreadable):
            bodies.open_request("op-1", {**kept, "sealed": other}, "d1")


def test_the_key_is_made_once_for_its_owner_alone_and_is_no_setting_that_shows(tmp_path: Path) -> None:
    keys = [Keys(tmp_path / "state").current() for _ in range(3)]
    assert len({key.id for key in keys}) == 1
    assert (tmp_path / "state" / FILE_NAME).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert keys[0].material.hex() not in repr(keys)
    (tmp_path / "state" / FILE_NAME).chmod(0o644)
    with pytest.raises(Exception, match="can be read by other users"):
        Keys(tmp_path / "state").current()


async def test_many_that_need_the_key_first_at_once_get_one(tmp_path: Path) -> None:
    found: set[str] = set()

    async def ask() -> None:
        found.add((await anyio.to_thread.run_sync(Keys(tmp_path / "state").current)).id)

    async with anyio.create_task_group() as group:
        for _ in range(12):
            group.start_soon(ask)
    assert len(found) == 1


def test_the_masked_form_keeps_names_and_numbers_and_no_value() -> None:
    masked = repr(mask(REQUEST))
    assert not [secret for secret in SECRETS if secret in masked]
    assert mask({"app_name": "web", "wait": True, "port": 80}) == {"app_name": "web", "wait": True, "port": 80}


def test_operations_of_one_server_share_its_keys(folder: Path) -> None:
    from klepaas.host import Host
    from klepaas.settings import Settings

    host = Host(Settings(state_dir=folder))
    assert Keys.of(host) is Keys.of(host)
    assert Operations.of(host) is Operations.of(host)
