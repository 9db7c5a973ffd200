"""The promises about tools hold for resources, prompts and completion too: no bad name leaves, no secret, no change.

Every declaration of klepaas' own plugins is walked; a new one whose variables have no sample here fails.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import anyio
import mcp_types as mt
import pytest
from fastmcp import Client
from mcp import MCPError

from klepaas.app import App, create_app
from klepaas.prompts import Prompt
from klepaas.resources import Resource
from klepaas.settings import Settings
from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.sandbox import mutating

from .calls import SAMPLES
from .conftest import TRANSPORTS, Platform
from .planted import Canaries, plant
from .test_no_bad_name_leaves import _PATH, HOSTILE

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(75))]

VALUES = {**SAMPLES, "kind": "deployments", "step": "2"}
# A kind without namespaces has other objects.
CLUSTER_OBJECT = {"kind": "nodes", "name": "node-0"}
OBJECTS = (
    *("secrets/opaque", "secrets/applied", "configmaps/settings", "deployments/leaky", "services/leaky"),
    "events",
)


def _app() -> App:
    return create_app(Settings(external_plugins=False))


def _resources(app: App) -> list[Resource]:
    return [offer.item for offer in app.offers.resources]


def _prompts(app: App) -> dict[str, Prompt]:
    return {name: offer.item for name, offer in app.offers.prompts.items()}


def _sample(item: Resource | Prompt) -> dict[str, str]:
    """A good value for each variable that must be given."""
    needed = [name for name, variable in item.variables.items() if variable.required]
    for name in needed:
        assert name in VALUES, f"tests/promises/calls.py has no sample for {name!r} of {item.name}"
    own = CLUSTER_OBJECT if "kind" in needed and "namespace" not in needed else {}
    return {name: own.get(name, VALUES[name]) for name in needed}


async def _read(client: Client[Any], uri: str) -> str:
    """What a client gets, an error too, with all its data."""
    try:
        return str(await client.session.read_resource(uri))
    except MCPError as exc:
        return f"error: {exc.message} {exc.data}"


async def _prompt(client: Client[Any], name: str, arguments: dict[str, str]) -> str:
    try:
        return str(await client.get_prompt(name, arguments))
    except MCPError as exc:
        return f"error: {exc.message} {exc.data}"


def _references(app: App) -> Iterator[tuple[mt.PromptReference | mt.ResourceTemplateReference, Resource | Prompt]]:
    for resource in _resources(app):
        yield mt.ResourceTemplateReference(uri=resource.uri), resource
    for name, prompt in _prompts(app).items():
        yield mt.PromptReference(name=name), prompt


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_everything_can_be_read_in_both_eras_everywhere_and_changes_nothing(
    platform: Platform, transport: str
) -> None:
    app = _app()
    async with platform.client(transport) as client:
        listed = {str(found.uri) for found in await client.list_resources()}
        listed |= {found.uri_template for found in await client.list_resource_templates()}
        assert listed == {resource.uri for resource in _resources(app)}
        assert {found.name for found in await client.list_prompts()} == set(_prompts(app))
        for resource in _resources(app):
            assert not (await _read(client, resource.template.expand(_sample(resource)))).startswith("error")
        for name, prompt in _prompts(app).items():
            assert not (await _prompt(client, name, _sample(prompt))).startswith("error")
        for ref, item in _references(app):
            for name in item.completions:
                found = await client.complete(ref, {"name": name, "value": ""}, _sample(item))
                assert found.values, (ref, name)
    assert platform.sandbox.requests, "something should have been read"
    assert [request for request in platform.sandbox.requests if mutating(request)] == []


async def test_no_hostile_segment_leads_a_request_astray(platform: Platform) -> None:
    async with platform.client("memory, 2025-11-25") as client:
        for resource in _resources(_app()):
            for name in resource.variables:
                for value in HOSTILE:
                    good = _sample(resource)
                    await _read(client, resource.template.expand({**good, name: value}))
                    for spelled in (value, quote(quote(value, safe=""), safe="")):
                        uri = resource.template.expand({**good, name: "(here)"}).replace("%28here%29", spelled)
                        await _read(client, uri)
    _check_paths(platform)


async def test_no_hostile_text_that_somebody_types_or_chose_reaches_a_cluster(platform: Platform) -> None:
    async with platform.client("memory, 2026-07-28") as client:
        for ref, item in _references(_app()):
            for value in HOSTILE:
                for name in item.variables:
                    await client.complete(ref, {"name": name, "value": value}, dict.fromkeys(item.variables, value))
    _check_paths(platform)


async def test_nothing_hostile_that_is_filled_into_a_prompt_reaches_a_cluster_or_is_an_error(
    platform: Platform,
) -> None:
    """It is passed on as it was said, visibly; only what must be given and is empty is an error."""
    async with platform.client("memory, 2025-11-25") as client:
        for name, prompt in _prompts(_app()).items():
            for variable in prompt.variables.values():
                for value in HOSTILE:
                    filled = {**_sample(prompt), variable.name: value}
                    if value == "" and variable.required:
                        assert (await _prompt(client, name, filled)).startswith("error")
                        continue
                    (message,) = (await client.get_prompt(name, filled)).messages
                    assert isinstance(message.content, mt.TextContent)
                    assert not set("\x00\r\u202e\u200b") & set(message.content.text), (name, variable.name, value)
    _check_paths(platform)


def _check_paths(platform: Platform) -> None:
    for request in platform.sandbox.requests:
        assert _PATH.fullmatch(request.path), (request.method, request.path)
        assert ".." not in request.path
        assert not mutating(request)


@pytest.mark.parametrize("transport", ["memory, 2025-11-25", "http, 2026-07-28"])
async def test_no_planted_secret_leaves(platform: Platform, transport: str, capfd: pytest.CaptureFixture[str]) -> None:
    canaries = Canaries()
    plant(platform.sandbox, canaries)
    assert len(canaries.all) >= 40
    with anyio.fail_after(scale_timeout(10)):
        while not (platform.sandbox.get("deployments", "leaky") or {}).get("status", {}).get("availableReplicas"):
            await platform.sandbox.changed()
    shown: list[str] = []
    async with platform.client(transport) as client:
        for path in OBJECTS:
            shown.append(await _read(client, f"klepaas://kubernetes/sandbox/default/{path}"))
        for path in ("default", "default/leaky"):
            shown.append(await _read(client, f"klepaas://applications/sandbox/{path}"))
        for fixed in ("contexts", "upstreams"):
            shown.append(await _read(client, f"klepaas://{fixed}"))
        for kind in ("secrets", "configmaps", "pods", "replicasets"):
            template = mt.ResourceTemplateReference(uri="klepaas://kubernetes/{context}/{namespace}/{kind}/{name}")
            chosen = {"context": "sandbox", "namespace": "default", "kind": kind}
            names = (await client.complete(template, {"name": "name", "value": ""}, chosen)).values
            assert names
            shown += [str(names)]
            for name in names:
                shown.append(await _read(client, f"klepaas://kubernetes/sandbox/default/{kind}/{quote(name)}"))
    said = "\n".join([*shown, *capfd.readouterr(), platform.stderr.read_text()])
    assert list(canaries.found_in(said)) == []
    assert "opaque" in said, "the secrets themselves should have been seen, without their values"


async def test_what_an_upstream_says_in_an_error_is_redacted(platform: Platform) -> None:
    canaries = Canaries()
    message = f"etcd at https://root:{canaries.new()}@etcd refused, password={canaries.new()}"
    platform.sandbox.fail("GET", "/api/v1/namespaces/default/pods/x", 500, reason="InternalError", message=message)
    async with platform.client("memory, 2025-11-25") as client:
        said = await _read(client, "klepaas://kubernetes/sandbox/default/pods/x")
    assert said.startswith("error")
    assert list(canaries.found_in(said)) == []
