"""A hostile text in any parameter of any tool causes no request outside the tool's own methods and paths."""

import re
from typing import Any

import pytest

from klepaas.app import create_app
from klepaas.parameters import Places
from klepaas.settings import Mode, Settings
from klepaas.tools import Tool
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


def _with(tool: Tool, name: str, value: str) -> list[dict[str, Any]]:
    """The tool's sensible call with a hostile text wherever this parameter can hold one."""
    arguments = plausible(tool)
    sample = SAMPLES.get(name)
    if isinstance(sample, dict):
        return [{**arguments, name: {value: "1"}}, {**arguments, name: {next(iter(sample)): value}}]
    return [{**arguments, name: value}]


async def test_no_hostile_text_leads_a_request_astray(platform: Platform) -> None:
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
        assert request.method != "DELETE", (tool.name, request.path)
        if mutating(request):
            # An object, never a collection or a namespace: the last segments are a kind and a name.
            assert re.search(r"/namespaces/default/(deployments|services)/web(/scale)?$", request.path), (
                tool.name,
                request.method,
                request.path,
            )


def test_every_parameter_that_can_hold_text_has_a_sample() -> None:
    for entry in create_app(Settings(mode=Mode.WRITES)).catalogue:
        for name, places in entry.tool.parameters.items():
            if places != Places():
                assert name in SAMPLES, f"tests/promises/calls.py has no sample for {name!r} of {entry.tool.name}"
