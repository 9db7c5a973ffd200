"""A hostile text in any parameter of any tool causes no request outside the tool's own methods and paths."""

import json
import re
from typing import Any

import pytest

from klepaas.app import create_app
from klepaas.parameters import Places
from klepaas.settings import Mode, Settings
from klepaas.tools import Effect, Tool
from klepaas_plugins.kubernetes.sandbox import mutating

from .calls import SAMPLES, plausible
from .conftest import Platform

pytestmark = pytest.mark.anyio

HOSTILE = (
    "",
    " ",
    ".",
    "..",
    "../x",
    "../../namespaces/default",
    "..%2f..%2fnamespaces%2fdefault",
    "%2e%2e",
    "%2e",
    "a/b",
    "a/../b",
    "/",
    "//",
    "x?force=true",
    "x#y",
    "x&dryRun=All",
    "x\ny",
    "x\r\nHost: evil",
    "x\x00y",
    "-n",
    "--all",
    "--kubeconfig=/etc/passwd",
    "a" * 254,
    "a" * 5000,
    "*",
    "web;id",
    "$(id)",
    "`id`",
    "web|id",
    "file:///etc/passwd",
    "http://169.254.169.254/",
    "\u202eweb",
    "we\u200bb",
    "ｗｅｂ",
    "web\u2024x",
    "{}",
    "[]",
    "'; drop table x; --",
    "${jndi:ldap://x}",
)
# What a path may consist of: known segments of the API, and names that keep the rules. Dots only inside a name.
_PATH = re.compile(r"(/[A-Za-z0-9]([-A-Za-z0-9._:]*[A-Za-z0-9])?)+")


# What a changing tool may touch: an object, never a collection or a namespace.
_TOUCHED = {
    "k8s_apply": "PATCH /api/v1/namespaces/default/configmaps/web",
    "k8s_delete": "DELETE /api/v1/namespaces/default/(configmaps|pods)/web",
    "k8s_create": "PATCH /api/v1/namespaces/default/configmaps/new",
}
# The last two: the record of a release, whose name is made of the application's, and the note on a failed revision.
_TOUCHED_BY_OTHERS = (
    "(PATCH|POST|PUT) /.*/namespaces/default/(deployments|services)/web(/scale)?"
    "|POST /api/v1/namespaces/default/configmaps"
    "|(PATCH|DELETE) /api/v1/namespaces/default/configmaps/klepaas[-.a-z0-9]+"
    "|PATCH /apis/apps/v1/namespaces/default/replicasets/web-[a-z0-9]+"
)


def _with(tool: Tool, name: str, value: str) -> list[dict[str, Any]]:
    """The tool's sensible call with a hostile text wherever this parameter can hold one."""
    arguments = plausible(tool)
    sample = SAMPLES.get(name)
    if isinstance(sample, dict):
        return [{**arguments, name: {value: "1"}}, {**arguments, name: {next(iter(sample)): value}}]
    return [{**arguments, name: value}]


async def test_no_hostile_text_leads_a_request_astray(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLEPAAS_K8S_EXEC", "true")
    app_tools = [entry.tool for entry in create_app(Settings(mode=Mode.WRITES)).catalogue]
    async with platform.client("memory, 2025-11-25", Mode.WRITES) as client:
        for tool in app_tools:
            platform.sandbox.clear_requests()
            for parameter in tool.parameters:
                for value in HOSTILE:
                    for arguments in _with(tool, parameter, value):
                        await client.call_tool(tool.name, arguments, raise_on_error=False)
            _check_requests(platform, tool)


def _check_requests(platform: Platform, tool: Tool) -> None:
    for request in platform.sandbox.requests:
        assert _PATH.fullmatch(request.path), (tool.name, request.method, request.path)
        assert ".." not in request.path, (tool.name, request.path)
        if mutating(request):
            allowed = _TOUCHED.get(tool.name, _TOUCHED_BY_OTHERS)
            assert re.fullmatch(allowed, f"{request.method} {request.path}"), (tool.name, request.method, request.path)
        # The releases beyond those that are kept are klepaas' own.
        own = request.path.startswith("/api/v1/namespaces/default/configmaps/klepaas.release.")
        assert request.method != "DELETE" or own or tool.effect is Effect.DESTRUCTIVE, (tool.name, request.path)


MANIFEST = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web", "namespace": "default"}}


def _manifests_with(value: str) -> list[dict[str, Any]]:
    metadata = MANIFEST["metadata"]
    assert isinstance(metadata, dict)
    return [
        {**MANIFEST, "metadata": {**metadata, "name": value}},
        {**MANIFEST, "metadata": {**metadata, "namespace": value}},
        {**MANIFEST, "metadata": {"generateName": value}},
        {**MANIFEST, "kind": value},
        {**MANIFEST, "apiVersion": value},
        {**MANIFEST, "apiVersion": f"{value}/v1"},
    ]


async def test_no_hostile_text_inside_a_manifest_leads_a_request_astray(platform: Platform) -> None:
    tools = [entry.tool for entry in create_app(Settings(mode=Mode.WRITES)).catalogue]
    takers = [tool for tool in tools if "manifests" in tool.parameters]
    assert len(takers) >= 2
    async with platform.client("memory, 2025-11-25", Mode.WRITES) as client:
        for tool in takers:
            platform.sandbox.clear_requests()
            for value in HOSTILE:
                for manifest in _manifests_with(value):
                    answer = await client.call_tool(
                        tool.name, {"manifests": json.dumps(manifest)}, raise_on_error=False
                    )
                    assert answer.is_error, (tool.name, manifest)
            assert [request for request in platform.sandbox.requests if mutating(request)] == []
            _check_requests(platform, tool)


def test_every_parameter_that_can_hold_text_has_a_sample() -> None:
    for entry in create_app(Settings(mode=Mode.WRITES)).catalogue:
        for name, places in entry.tool.parameters.items():
            if places != Places():
                assert name in SAMPLES, f"tests/promises/calls.py has no sample for {name!r} of {entry.tool.name}"
