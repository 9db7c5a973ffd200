"""What a tool answers stands in its text: nothing structured beside it, and in `_meta` ids and codes alone."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from fastmcp.client.client import CallToolResult
from mcp_types import TextContent

from klepaas.app import create_app
from klepaas.settings import Mode, Settings
from klepaas.testing import scale_timeout
from klepaas.way_out import META_KEYS

from .calls import plausible
from .conftest import Platform

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(45))]

# The caller said it, it is in `_meta`, or it moves on between two looks.
_NOT_SHOWN = ("schema", "target", "attempt", "code", "context", "workload", "age", "events", "restarts", "at", "what")
ERAS = ("memory, 2025-11-25", "memory, 2026-07-28")
GOOD, BROKEN = "registry.example/shop:1.0", "registry.example/shop:1.1-crash"


def _text(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))


def _expect_text_alone(tool: str, result: CallToolResult) -> None:
    assert result.structured_content is None, tool
    meta = {
        name: value for name, value in (result.meta or {}).items() if not name.startswith("io.modelcontextprotocol/")
    }
    assert set(meta) <= set(META_KEYS), (tool, meta)
    assert {"code", "retryable"} <= set(meta) if result.is_error else "code" not in meta, (tool, meta)
    for name in ("operation_id", "plan_id"):
        assert str(meta.get(name, "")) in _text(result), f"{tool}: {name} is not in the text"


@pytest.mark.parametrize("transport", ERAS)
async def test_no_tool_sends_structured_content_or_an_output_schema_on_success_or_on_error(
    platform: Platform, transport: str
) -> None:
    tools = [entry.tool for entry in create_app(Settings(mode=Mode.WRITES)).catalogue]
    outcomes = set()
    async with platform.client(transport, Mode.WRITES) as client:
        assert [tool.name for tool in await client.list_tools() if tool.output_schema is not None] == []
        for tool in tools:
            for arguments in (plausible(tool), {"nothing_like_this": 1}):
                result = await client.call_tool(tool.name, arguments, raise_on_error=False)
                _expect_text_alone(tool.name, result)
                assert _text(result).strip(), tool.name
                outcomes.add(result.is_error)
    assert outcomes == {True, False}


def _leaves(data: Any) -> Iterator[str]:
    """The facts that a text can show: names, words and numbers; a code is in `_meta`, an age stands for a moment."""
    if isinstance(data, Mapping):
        for name, value in data.items():
            if name not in _NOT_SHOWN and not name.endswith("_at"):
                yield from _leaves(value)
    elif isinstance(data, list):
        for value in data:
            yield from _leaves(value)
    elif isinstance(data, str) or (isinstance(data, int) and not isinstance(data, bool) and data):
        yield from str(data).splitlines()


@pytest.mark.parametrize("transport", ERAS)
async def test_every_fact_of_a_failed_deployment_is_in_the_text_of_each_tool_that_tells_of_it(
    platform: Platform, transport: str
) -> None:
    async with platform.client(transport, Mode.WRITES) as client:

        async def call(tool: str, **arguments: Any) -> CallToolResult:
            return await client.call_tool(tool, arguments, raise_on_error=False)

        assert not (await call("deploy_application", app_name="shop", image=GOOD, port=8080, wait_s=30)).is_error
        failed = await call("deploy_application", app_name="shop", image=BROKEN, wait_s=30, auto_rollback=False)
        assert failed.is_error
        _expect_text_alone("deploy_application", failed)
        operation_id = (failed.meta or {})["operation_id"]
        for tool, arguments in (
            ("get_operation", {"operation_id": operation_id}),
            ("get_deployment_status", {"app_name": "shop"}),
            ("list_releases", {"app_name": "shop"}),
            ("diff_releases", {"app_name": "shop", "before": 1, "after": 2}),
        ):
            missing = [""]
            for _ in range(20):  # a container that crashes is another moment's later
                if missing:
                    data = await call(tool, **arguments, output="json")
                    _expect_text_alone(tool, data)
                    text = _text(await call(tool, **arguments))
                    missing = [fact for fact in _leaves(json.loads(_text(data))) if fact.strip() not in text]
            assert missing == [], (tool, missing, text)
        status = json.loads(_text(await call("get_deployment_status", app_name="shop", output="json")))
        for said in (_text(failed), "\n".join(status["cause"]["log"])):
            assert "could not connect to postgres" in said


async def test_an_error_says_in_its_text_when_to_try_again(platform: Platform) -> None:
    async with platform.client(ERAS[0]) as client:
        platform.sandbox.fail("GET", "^/api/v1/namespaces/default/pods", 429, retry_after_s=37)
        result = await client.call_tool("k8s_get", {"kind": "pods"}, raise_on_error=False)
    assert (result.meta or {}).get("code") == "rate_limited", result
    assert f"{(result.meta or {})['retry_after_s']:.0f} s" in _text(result)
