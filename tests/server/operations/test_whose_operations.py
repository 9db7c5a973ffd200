"""Whose an operation is, where several machines share one store."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.server.operations.warehouse import Warehouse
from tests.server.operations.work import at_work

from klepaas.errors import BadRequest, Conflict, NotFound
from klepaas.operations import Operations
from klepaas.principals import Principal

pytestmark = pytest.mark.anyio

ROOT = Principal("root", "stdio", 0)
HERE, THERE = replace(ROOT, realm="machine-a"), replace(ROOT, realm="machine-b")


async def begin(operations: Operations, whose: Principal, key: str | None = None, for_s: int = 30) -> str:
    wanted = await operations.submit(
        "wait", target="t", title="Waiting", request={"for_s": for_s}, principal=whose, idempotency_key=key
    )
    return wanted.id


async def test_root_on_another_machine_neither_sees_nor_cancels_what_root_began_here(
    warehouse: Warehouse, folder: Path, address: str | None
) -> None:
    async with (
        at_work(folder, warehouse.url, address) as here,
        at_work(folder, warehouse.url, address, runs=False) as there,
    ):
        begun = await begin(here, HERE)
        assert [one.id for one in await here.find(HERE)] == [begun]
        assert await there.find(THERE) == []
        with pytest.raises(NotFound):
            await there.cancel(begun, THERE)
        with pytest.raises(Conflict):
            await begin(here, THERE)


async def test_what_an_earlier_klepaas_began_without_naming_a_machine_is_still_found_and_not_begun_again(
    warehouse: Warehouse, folder: Path
) -> None:
    async with at_work(folder, warehouse.url) as operations:
        begun = await begin(operations, ROOT, key="one")
        assert [one.id for one in await operations.find(HERE)] == [begun]
        assert await begin(operations, HERE, key="one") == begun
        with pytest.raises(BadRequest, match="used for another request"):
            await begin(operations, HERE, key="one", for_s=31)
