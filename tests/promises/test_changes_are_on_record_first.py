"""Every change is on record before it reaches a cluster, without a secret; what cannot be recorded is not made."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastmcp import Client
from mcp_types import ElicitResult

from klepaas.app import create_app
from klepaas.settings import Mode, Settings
from klepaas.testing import scale_timeout
from klepaas.tools import Effect, Tool
from klepaas_plugins.kubernetes.sandbox import mutating

from .calls import plausible
from .conftest import TRANSPORTS, Platform
from .planted import Canaries, plant

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(75))]


def _changing() -> list[Tool]:
    tools = [entry.tool for entry in create_app(Settings(mode=Mode.WRITES)).catalogue]
    return sorted((tool for tool in tools if tool.effect is not Effect.READ), key=lambda tool: tool.name)


def _recorded(platform: Platform) -> list[dict[str, Any]]:
    return [json.loads(line) for line in platform.audit.read_text().splitlines()]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_every_changing_tool_is_on_record_with_its_target(platform: Platform, transport: str) -> None:
    tools = _changing()
    async with platform.client(transport, Mode.WRITES) as client:
        for tool in tools:
            await client.call_tool(tool.name, plausible(tool), raise_on_error=False)
    rows = _recorded(platform)
    events = {tool.name: [row["event"] for row in rows if row["tool"] == tool.name] for tool in tools}
    unplanned = {row["tool"] for row in rows if row.get("outcome") == "not_planned"}
    for name, found in events.items():
        assert found == (["refused"] if name in unplanned else ["intent", "outcome"]), name
    assert {"deploy_application", "k8s_apply", "k8s_create"} <= events.keys() - unplanned
    places = [target for row in rows for target in row["targets"] if target.get("kind") != "operation"]
    assert all(target.get("context") for target in places)
    assert all(row["targets"] for row in rows), "a built-in tool tells what it changes"


async def test_where_nothing_can_be_recorded_nothing_reaches_the_cluster(platform: Platform) -> None:
    platform.audit.parent.write_text("a file where the folder should be")
    async with platform.client("memory, 2026-07-28", Mode.WRITES) as client:
        for tool in _changing():
            result = await client.call_tool(tool.name, plausible(tool), raise_on_error=False)
            assert result.is_error, tool.name
    assert [request for request in platform.sandbox.requests if mutating(request)] == []


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_what_a_person_declines_never_reaches_the_cluster(platform: Platform, era: Any) -> None:
    async def decline(*_: Any) -> ElicitResult:
        return ElicitResult(action="decline")

    async with platform.client(
        "memory, 2026-07-28", Mode.WRITES
    ) as client:  # so that there is a revision to go back to
        deploy = next(tool for tool in _changing() if tool.name == "deploy_application")
        await client.call_tool(deploy.name, plausible(deploy))
    recorded = len(_recorded(platform))
    platform.sandbox.clear_requests()
    server = create_app(Settings(mode=Mode.WRITES, policy=json.loads('[{"decision": "confirm"}]'))).server
    async with Client(server, mode=era, elicitation_handler=decline) as client:
        for tool in _changing():
            result = await client.call_tool(tool.name, plausible(tool), raise_on_error=False)
            # There is no operation to cancel, so nobody is asked.
            expected = "not_found" if tool.name == "cancel_operation" else "forbidden"
            assert (result.meta or {})["code"] == expected, (tool.name, result.content)
    assert [request for request in platform.sandbox.requests if mutating(request)] == []
    assert {row["event"] for row in _recorded(platform)[recorded:]} == {"refused"}


def _variables_with_secrets(canaries: Canaries) -> Iterator[Any]:
    """The variables of an application in every form that is read, and in forms that are refused."""
    for form in ("list", "map", "text of a list", "text of a map"):
        secret = canaries.new
        variables = {"DB_PASSWORD": secret(), "GREETING": secret(), "URL": f"mysql://root:{secret()}@db/x"}
        assignments = [f"{name}={value}" for name, value in variables.items()]
        value: Any = assignments if form.endswith("list") else variables
        yield json.dumps(value) if form.startswith("text") else value
    yield [f"NOT A NAME={canaries.new()}"]
    yield [f"PASSWORD: {canaries.new()}"]
    yield [f"TWICE={canaries.new()}", f"TWICE={canaries.new()}"]
    yield [{"name": "DB_PASSWORD", "value": canaries.new()}]
    yield {"DB_PASSWORD": {"value": canaries.new()}}
    yield {"DB_PASSWORD": [canaries.new()]}
    yield f"DB_PASSWORD={canaries.new()}"
    yield f'["DB_PASSWORD={canaries.new()}"'


def _calls_with_secrets(canaries: Canaries) -> Iterator[tuple[str, dict[str, Any]]]:
    secret = canaries.new
    leaky = {
        "app_name": "leaky",
        "image": "registry.example/leaky:3.0",
        "take_ownership": True,
        "wait_s": 45,
    }
    for variables in _variables_with_secrets(canaries):
        yield "deploy_application", {**leaky, "env_vars": variables}
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "new", "namespace": "default"},
        "stringData": {"password": secret(), "plain": secret()},
    }
    yield "k8s_apply", {"manifests": json.dumps(manifest), "take_ownership": True}
    yield "deploy_application", {"app_name": f"password={secret()}", "image": secret()}


async def test_no_planted_secret_is_recorded_or_shown_to_the_person_who_confirms(platform: Platform) -> None:
    canaries = Canaries()
    plant(platform.sandbox, canaries)
    read: list[str] = []
    said: list[str] = []

    async def confirm(message: str, *_: Any) -> dict[str, bool]:
        read.append(message)
        return {"confirm": True}

    app = create_app(Settings(mode=Mode.WRITES, policy=json.loads('[{"decision": "confirm"}]')))
    known = {tool.name for tool in _changing()}
    async with Client(app.server, elicitation_handler=confirm) as client:
        for tool, arguments in _calls_with_secrets(canaries):
            if tool in known:
                answer = await client.call_tool(tool, arguments, raise_on_error=False)
                said.append(str(answer.content))
    assert len(read) >= 4
    assert any("leaky" in message for message in read)
    assert list(canaries.found_in("\n".join([*read, *said, platform.audit.read_text()]))) == []
