"""What get_operation shows of changes in a cluster: where they are, and of finished ones nothing that is over."""

from typing import Any

import pytest

pytestmark = pytest.mark.anyio

CHANGES: dict[str, dict[str, Any]] = {
    "deploy_application": {"image": "example/app:2"},
    "scale_application": {"replicas": 2},
    "restart_application": {},
    "rollback_deployment": {"steps": 1},
}


def rows(text: str) -> list[dict[str, str]]:
    """The rows of a table, by the names of its columns."""
    head, *lines, _basis = text.splitlines()
    return [dict(zip(head.split("\t"), line.split("\t"), strict=True)) for line in lines]


async def test_every_change_names_its_namespace_and_its_context(bench: Any) -> None:
    await bench.deploy()  # a rollback to what runs anyway is no operation
    for tool, arguments in CHANGES.items():
        await bench.call(tool, app_name="web", **arguments)
    listed = rows((await bench.call("get_operation")).text)
    assert len(listed) == 1 + len(CHANGES)
    assert {(row["NAMESPACE"], row["CONTEXT"]) for row in listed} == {("default", "sandbox")}
    one = (await bench.call("get_operation", operation_id=listed[0]["ID"])).text
    assert " in namespace default of context sandbox: " in one.splitlines()[0]


async def test_one_that_is_under_way_names_them_too(bench: Any) -> None:
    begun = await bench.call("deploy_application", app_name="web", image="example/unready:1", wait_s=0)
    operation_id = begun.text.partition(":")[0]
    there = (await bench.call("get_operation", operation_id=operation_id)).text
    assert there.startswith(f"{operation_id}: Deploying example/unready:1 as web in namespace default of context ")
    await bench.call("cancel_operation", operation_id=operation_id)


async def test_what_a_finished_one_was_waiting_for_is_told_no_more(bench: Any) -> None:
    said = await bench.deploy()
    assert not said.is_error
    assert said.progress, "it was told while it ran"
    (row,) = rows((await bench.call("get_operation")).text)
    assert (row["STATE"], row["AT"]) == ("succeeded", "-")
    one = (await bench.call("get_operation", operation_id=row["ID"])).text
    assert not any(line in one.splitlines() for line in said.progress)
