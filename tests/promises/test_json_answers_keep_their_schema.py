"""What `output="json"` answers has the names and types that docs/json-output.schema.json promises."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from klepaas.settings import Mode
from klepaas.testing import scale_timeout

from .conftest import Platform

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(45))]

SCHEMAS = json.loads((Path(__file__).parents[2] / "docs" / "json-output.schema.json").read_text(encoding="utf-8"))
GOOD, BROKEN = "registry.example/shop:1.0", "registry.example/shop:1.1-crash"
_ABOUT = {"app_name": "shop"}
CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("get_overview", {}),
    ("get_overview", {"since_s": 3600, "namespace": "default"}),
    ("list_applications", {"all_namespaces": True}),
    ("get_deployment_status", _ABOUT),
    ("list_releases", _ABOUT),
    ("get_deployment_history", {}),
    ("get_operation", {}),
)


async def answers(platform: Platform) -> list[dict[str, Any]]:
    """Every answer of every tool that gives data: of nothing, of what is well, and of what failed."""
    found: list[dict[str, Any]] = []
    async with platform.client("memory, 2026-07-28", Mode.WRITES) as client:

        async def call(tool: str, **arguments: Any) -> Any:
            return await client.call_tool(tool, arguments, raise_on_error=False)

        async def look(*more: tuple[str, dict[str, Any]]) -> None:
            for tool, arguments in (*CALLS, *more):
                result = await call(tool, **arguments, output="json")
                if not result.is_error:
                    found.append(json.loads(result.content[0].text))

        await look()
        good = await call("deploy_application", app_name="shop", image=GOOD, port=8080, wait_s=60)
        await look(("get_operation", {"operation_id": good.meta["operation_id"]}))
        bad = await call("deploy_application", app_name="shop", image=BROKEN, wait_s=60, auto_rollback=False)
        await look(
            ("get_operation", {"operation_id": bad.meta["operation_id"]}),
            ("diff_releases", {"app_name": "shop", "before": 1, "after": 2}),
        )
    return found


async def test_every_json_answer_is_held_to_the_schema_that_is_published_for_it(platform: Platform) -> None:
    seen = set()
    for answer in await answers(platform):
        seen.add(answer["schema"])
        Draft202012Validator(SCHEMAS["$defs"][answer["schema"]]).validate(answer)
    assert seen == set(SCHEMAS["$defs"])


def test_every_schema_requires_what_the_answer_rests_on_what_was_not_checked_and_when() -> None:
    basis = {"observed", "not_checked", "at"}
    assert [name for name, schema in SCHEMAS["$defs"].items() if not basis <= set(schema["required"])] == []
