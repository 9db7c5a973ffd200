"""`/metrics`: what is counted, that it is counted right, and that no caller can put anything into it."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import httpx
import pytest
from fastmcp import Client

from klepaas.app import App
from klepaas.settings import Mode

from .conftest import HEADERS, asking, modern_call, numbers, numbers_in, served

pytestmark = pytest.mark.anyio


async def test_each_call_is_counted_once_by_tool_effect_and_outcome(klepaas: Callable[..., App], era: Any) -> None:
    app = klepaas(mode=Mode.WRITES)
    async with Client(app.server, mode=era) as client:
        for tool in ("quick", "quick", "missing", "crash", "change"):
            await client.call_tool(tool, raise_on_error=False)
        await client.call_tool("quick", {"no": "such"}, raise_on_error=False)
    found = {name: value for name, value in numbers(app).items() if name.startswith("mcp_tool_calls_total")}
    assert found == {
        'mcp_tool_calls_total{effect="read",outcome="ok",tool="quick"}': 2,
        'mcp_tool_calls_total{effect="read",outcome="not_found",tool="missing"}': 1,
        'mcp_tool_calls_total{effect="read",outcome="internal",tool="crash"}': 1,
        'mcp_tool_calls_total{effect="write",outcome="ok",tool="change"}': 1,
        'mcp_tool_calls_total{effect="read",outcome="bad_request",tool="quick"}': 1,
    }
    assert numbers(app)['mcp_tool_call_latency_seconds_count{effect="read",tool="quick"}'] == 3
    assert numbers(app)['mcp_gate_refusals_total{reason="bad_arguments"}'] == 1
    assert numbers(app)["mcp_tool_calls_running"] == 0


async def test_latency_is_that_of_the_call(klepaas: Callable[..., App]) -> None:
    app = klepaas()
    async with Client(app.server) as client:
        await client.call_tool("nap")
    assert 0.9 < numbers(app)['mcp_tool_call_latency_seconds_sum{effect="read",tool="nap"}'] < 2
    assert numbers(app)['mcp_tool_call_latency_seconds_bucket{effect="read",le="0.5",tool="nap"}'] == 0


async def test_every_refusal_of_the_gate_is_counted_by_its_reason(
    klepaas: Callable[..., App], plugin: ModuleType, era: Any
) -> None:
    app = klepaas()
    async with Client(app.server, mode=era) as client:
        for tool in ("change", "no_such_tool", "another"):
            await client.call_tool(tool, raise_on_error=False)
        app.plugins.fail(app.plugins.all[0], "it broke")
        await client.call_tool("quick", raise_on_error=False)
    found = {name: value for name, value in numbers(app).items() if name.startswith("mcp_gate_refusals_total")}
    assert found == {
        'mcp_gate_refusals_total{reason="read_only"}': 1,
        'mcp_gate_refusals_total{reason="unknown_tool"}': 2,
        'mcp_gate_refusals_total{reason="plugin_failed"}': 1,
    }


async def test_a_name_that_a_caller_invents_is_never_a_label(klepaas: Callable[..., App], era: Any) -> None:
    app = klepaas()
    async with served(app) as url:
        async with Client(url, mode=era) as client:
            for number in range(20):
                await client.call_tool(f"invented_{number}", raise_on_error=False)
        async with httpx.AsyncClient() as http:
            for number in range(20):
                await http.request(f"VERB{number}", url.replace("/mcp", f"/invented_{number}"))
            text = (await http.get(url.replace("/mcp", "/metrics"))).text
    assert "invented" not in text.lower()
    assert "VERB" not in text
    found = numbers_in(text)
    assert found['mcp_tool_calls_total{effect="none",outcome="not_found",tool="(unknown)"}'] == 20
    assert sum(value for name, value in found.items() if 'path="other"' in name) == 20


async def test_requests_are_counted_by_path_method_and_status(klepaas: Callable[..., App]) -> None:
    app = klepaas(http_body_max_bytes=4096)
    async with asking(app) as http:
        for _ in range(2):
            await http.get("/healthz")
        await http.get("/readyz")
        await http.post("/readyz")
        await http.post("/mcp", **modern_call("quick"))
        await http.post("/mcp", content=b"x" * 5000, headers=HEADERS)
        await http.get("/metrics", headers={"Host": "evil.example"})
        found = numbers_in((await http.get("/metrics")).text)
    assert {name: value for name, value in found.items() if name.startswith("mcp_http")} == {
        'mcp_http_requests_total{method="GET",path="/healthz",status="200"}': 2,
        'mcp_http_requests_total{method="GET",path="/readyz",status="200"}': 1,
        'mcp_http_requests_total{method="POST",path="/readyz",status="405"}': 1,
        'mcp_http_requests_total{method="POST",path="/mcp",status="200"}': 1,
        'mcp_http_requests_total{method="POST",path="/mcp",status="413"}': 1,
        'mcp_http_requests_total{method="GET",path="/metrics",status="421"}': 1,
    }


async def test_the_process_is_measured_too(klepaas: Callable[..., App]) -> None:
    async with asking(klepaas()) as http:
        answer = await http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = numbers_in(answer.text)
    assert found["process_resident_memory_bytes"] > 1e7
    assert found["process_open_fds"] > 3
    assert "_created" not in answer.text


async def test_no_secret_gets_into_the_metrics(klepaas: Callable[..., App], plugin: ModuleType) -> None:
    app = klepaas()
    async with asking(app) as http:
        for tool in ("missing", "crash", "who", plugin.PASSWORD):
            await http.post("/mcp", **modern_call(tool))
        await http.get(f"/{plugin.PASSWORD}", headers={"Authorization": f"Bearer {plugin.PASSWORD}"})
        text = (await http.get("/metrics")).text
    assert plugin.PASSWORD not in text
