"""Every write whose caller answers a person, with its connection cut at the commit: what is said is what happened."""

import re
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from tests.server.store.cutting import Cutter, cutting_proxy
from tests.server.store.postgresql import PostgreSql

import klepaas
from klepaas.plans.model import Draft, Plan, PlanState
from klepaas.plans.plan_store import PlanStore
from klepaas.plans.rendering import preview_of_text
from klepaas.store import CommitUnknown, Store, StoreUnavailable
from klepaas.store.alerts import AlertStore, Keeping, Notice
from klepaas.store.applications import ApplicationKey, Applications
from klepaas.store.history import Deployment, History
from klepaas.store.identities import Identities
from klepaas.store.keys import Keys
from klepaas.store.outbox import Outbox

pytestmark = pytest.mark.anyio

KEY = ApplicationKey("cluster", "shop", "web")
NOTICE = Notice("alertmanager", "f1", 1.0, "firing", "Down")
DRAFT = Draft(
    requested_by="anna", requester="anna", tool="k8s_apply", effect="write", arguments={}, targets=("web",),
    preview=preview_of_text("a line about web", title="Applying web", name="web", content=[]),
)  # fmt: skip


class Writes:
    """The writes, on one store."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.plans = PlanStore(store, Keys(folder, None))
        self.applications, self.alerts = Applications(store), AlertStore(store)
        self.history, self.outbox, self.identities = History(store), Outbox(store), Identities(store)
        self.plan: Plan | None = None

    async def prepare(self) -> None:
        self.plan = await self.plans.make(DRAFT)
        self.alert = (await self.alerts.take([NOTICE], 1.0, Keeping(days=1e6)))[0]

    async def confirm(self) -> bool:
        assert self.plan is not None
        return await self.plans.confirm(self.plan, "anna") is not None

    async def use(self) -> bool:
        assert self.plan is not None
        return await self.plans.end(self.plan, PlanState.USED)

    async def take_open(self) -> bool:
        assert self.plan is not None
        return await self.plans.take_open(self.plan.id, "anna", "k8s_apply", {}) is not None

    async def make(self) -> bool:
        return (await self.plans.make(DRAFT)).state is PlanState.OPEN

    async def set_address(self) -> bool:
        return await self.applications.set_address(KEY, "https://web.example", "anna") is not None

    async def acknowledge(self) -> bool:
        found = await self.alerts.acknowledge(self.alert, "anna", "mine", 2.0)
        return found is not None and found.acknowledged_by == "anna"

    async def keep_notification(self) -> bool:
        return await self.outbox.keep("n1", "kind", {}, ["slack"]) == 1

    async def put_deployment(self) -> bool:
        deployment = Deployment("op-1", "deploy", "succeeded", "cluster", "shop", "web", "anna", 1.0)
        await self.history.put(deployment)
        return [one.operation_id for one in await self.history.find()] == ["op-1"]

    async def join(self) -> bool:
        return await self.identities.join(["one", "two"]) == "one"


NAMES = [name for name, found in vars(Writes).items() if not name.startswith("_") and name != "prepare"]


@pytest.fixture(scope="module")
def cutter(postgresql: PostgreSql) -> Iterator[Cutter]:
    with cutting_proxy(postgresql.port) as found:
        found.marker = b"txid_current"  # every transaction that writes asks for its number
        yield found


@pytest.fixture
async def writes(postgresql: PostgreSql, cutter: Cutter, tmp_path: Path) -> AsyncIterator[Writes]:
    cutter.cuts.clear()
    address = postgresql.new_database(f"w{uuid.uuid4().hex[:12]}")
    store = Store(tmp_path, SecretStr(address.replace(f":{postgresql.port}/", f":{cutter.port}/")))
    found = Writes(store, tmp_path)
    await found.prepare()
    cutter.count = 0
    yield found
    await store.aclose()


async def test_a_write_whose_commit_was_cut_after_it_arrived_gives_its_result(cutter: Cutter, writes: Writes) -> None:
    for name in NAMES:
        if name in ("use", "take_open"):  # a plan is used once
            writes.plan = await writes.plans.make(DRAFT)
        cutter.cuts = ["after"]
        assert await getattr(writes, name)(), name
        assert cutter.cuts == [], name


async def test_a_write_whose_commit_never_arrived_is_refused_and_can_be_made_again(
    cutter: Cutter, writes: Writes
) -> None:
    for name in NAMES:
        if name in ("use", "take_open"):
            writes.plan = await writes.plans.make(DRAFT)
        cutter.cuts = ["before"]
        with pytest.raises(StoreUnavailable) as refused:
            await getattr(writes, name)()
        assert not isinstance(refused.value, CommitUnknown), name
        assert await getattr(writes, name)(), name


def test_every_write_of_the_store_goes_through_the_one_that_knows_what_became_of_its_commit() -> None:
    """Whoever opens transactions of its own would tell "cannot be written" of what is written."""
    folder = Path(klepaas.__file__).parent
    own = [
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.py")
        if re.search(r"\.commit\(\)|\bSession\([^)]*\) as|\.begin\(\) as", path.read_text(encoding="utf-8"))
    ]
    # Migrations run when a store is opened, before anything is asked of it.
    assert sorted(own) == ["store/committing.py", "store/database.py"]
