"""Names of a cluster are joined while operations begin: one application never gets two operations."""

import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import SecretStr
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from klepaas.errors import Conflict
from klepaas.operations import journal
from klepaas.operations.bodies import Bodies
from klepaas.operations.journal import Submission
from klepaas.principals import Principal
from klepaas.store import Store
from klepaas.store.identities import Identities, group_of, join
from klepaas.store.keys import Keys
from klepaas.testing import scale_timeout

BODIES = Bodies(Keys(Path("unused"), SecretStr("A" * 43 + "=")))
pytestmark = pytest.mark.anyio
ANNA = Principal("anna", "stdio", 1001, "some client")
ROUNDS, SERVERS = 8, 6


@pytest.fixture
async def servers(store: Store, folder: Path) -> AsyncIterator[list[Store]]:
    """Several servers on one store."""
    await store.write(lambda session: session.execute(text("SELECT 1")))
    opened = [Store(folder, store._address) for _ in range(SERVERS)]
    yield opened
    for one in opened:
        await one.aclose()


def _wanted(cluster: str, application: str, number: int) -> Submission:
    return Submission(
        kind="deploy", target=f"{cluster}/default/{application}", title=f"Deployment {number}",
        request={"number": number}, principal=ANNA, idempotency_key=None, deadline_s=60.0,
    )  # fmt: skip


async def test_while_servers_see_one_cluster_by_other_names_only_one_operation_begins_on_an_application(
    servers: list[Store],
) -> None:
    begun: dict[str, list[int]] = {f"web-{number}": [] for number in range(ROUNDS)}
    refused: list[str] = []

    async def deploy(server: Store, number: int, application: str) -> None:
        # As `Clusters.observe_identity`: a name of its own, and one that all see.
        own = [f"{application}-address-{number}", f"namespace-of-{application}"]
        cluster = await Identities(server).join(own)
        try:
            wanted = _wanted(cluster, application, number)
            await server.write(lambda session: journal.submit(session, wanted, f"server {number}", 60.0, bodies=BODIES))
            begun[application].append(number)
        except Conflict as exc:
            refused.append(exc.what)

    with anyio.fail_after(scale_timeout(30)):
        for application in begun:
            async with anyio.create_task_group() as group:
                for number, server in enumerate(servers):
                    group.start_soon(deploy, server, number, application)
    assert {application: len(numbers) for application, numbers in begun.items()} == dict.fromkeys(begun, 1)
    assert len(refused) == ROUNDS * (SERVERS - 1)
    assert all("is under way" in text for text in refused)


async def test_names_that_are_joined_while_an_operation_begins_wait_for_it(servers: list[Store]) -> None:
    one, other, *_ = servers
    await Identities(one).join(["old"])
    await Identities(one).join(["new", "namespace-1"])
    looked, joined = threading.Event(), threading.Event()
    names: list[list[str]] = []

    def begin(session: Session) -> None:
        connection = session.connection()

        def after(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if "identities" in statement and not looked.is_set():
                looked.set()
                joined.wait(0.5)  # a join that did not wait would have come in between

        event.listen(connection, "after_cursor_execute", after)
        names.append(group_of(session, "new", lock=True))
        journal.submit(session, _wanted("new", "web", 1), "one", 60.0, bodies=BODIES)

    def join_all(session: Session) -> None:
        join(session, ["old", "namespace-1"])
        joined.set()

    async def join_meanwhile() -> None:
        await anyio.to_thread.run_sync(looked.wait, scale_timeout(10))
        await other.write(join_all)

    with anyio.fail_after(scale_timeout(30)):
        async with anyio.create_task_group() as group:
            group.start_soon(join_meanwhile)
            await one.write(begin)
    assert names == [["namespace-1", "new"]]
    assert joined.is_set()
    with pytest.raises(Conflict, match="is under way"):
        await other.write(
            lambda session: journal.submit(session, _wanted("old", "web", 2), "other", 60.0, bodies=BODIES)
        )
