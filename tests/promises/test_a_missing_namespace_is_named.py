"""Whatever takes a namespace says of one that does not exist that it does not, and the nearest name, at little cost."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import mcp_types as mt
import pytest
import yaml
from fastmcp import Client
from mcp import MCPError

from klepaas.app import App, create_app
from klepaas.resources import Resource
from klepaas.settings import Mode, Settings
from klepaas.testing import FakeHttp
from klepaas.tools import Tool
from klepaas_plugins.kubernetes.sandbox import mutating

from .calls import SAMPLES, plausible
from .conftest import Platform

pytestmark = pytest.mark.anyio

WRONG = "defualt"
_NAMESPACES = "/api/v1/namespaces"
_QUESTIONS = ("query_metrics",)
# Every way of asking for metrics.
_METRICS: tuple[dict[str, Any], ...] = (
    {"question": "cpu"},
    {"question": "restarts", "app_name": "web"},
    {"query": "up", "range_s": 600, "points": True},
    {"query": "up", "points": True},
    {"query": "up"},
    {"query": "up", "range_s": 600},
)
_DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: "registry.example/web:1.1"}]}}
"""
_IN_TEXT = 'up{namespace="defualt", pod=~"web-.*"}'
# What names a namespace inside another parameter, where nothing is found.
_NAMED_IN_TEXT: tuple[tuple[str, dict[str, Any]], ...] = (
    ("query_metrics", {"query": _IN_TEXT}),
    ("query_metrics", {"query": _IN_TEXT, "range_s": 600}),
    ("query_metrics", {"query": _IN_TEXT, "range_s": 600, "points": True}),
    *(("list_alerts", {"what": what, "matchers": ["namespace=defualt"]}) for what in ("alerts", "groups", "silences")),
    ("silence_alerts", {"matchers": ["namespace=defualt"], "duration_min": 5, "comment": "quiet"}),
)


@pytest.fixture(autouse=True)
async def metrics(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeHttp]:
    """A Prometheus with no series, and an Alertmanager with no alert, at all."""
    async with FakeHttp() as fake:
        monkeypatch.setenv("KLEPAAS_PROMETHEUS_BASE_URL", fake.url)
        monkeypatch.setenv("KLEPAAS_ALERTMANAGER_URL", fake.url)
        for path in ("/api/v2/alerts", "/api/v2/alerts/groups", "/api/v2/silences"):
            fake.answer("GET", path, [])
        fake.answer("POST", "/api/v2/silences", {"silenceID": SAMPLES["silence_id"]})
        for method in ("GET", "POST"):
            fake.answer(method, "/api/v1/series", {"status": "success", "data": []})
            for path, kind in (("/api/v1/query", "vector"), ("/api/v1/query_range", "matrix")):
                fake.answer(method, path, {"status": "success", "data": {"resultType": kind, "result": []}})
        yield fake


def _app() -> App:
    return create_app(Settings(mode=Mode.WRITES, external_plugins=False))


def _tools(app: App) -> Iterator[Tool]:
    for tool in (entry.tool for entry in app.catalogue):
        if "namespace" in tool.parameters:
            yield tool


def _calls(tool: Tool) -> Iterator[dict[str, Any]]:
    """The sensible call of a tool in the wrong namespace; also its dry run, and with an application where it may."""
    arguments = {**plausible(tool), "namespace": WRONG}
    if tool.name in _QUESTIONS:
        yield from ({**arguments, **more} for more in _METRICS)
        return
    if "manifests" in tool.parameters:
        is_deployment = tool.name == "deploy_application"
        text = _DEPLOYMENT if is_deployment else arguments.get("manifests") or SAMPLES["manifests"]
        if "manifests" in arguments:
            arguments["manifests"] = text.replace(", namespace: default", "")
        named = {**arguments, "manifests": text.replace("namespace: default", f"namespace: {WRONG}")}
        named.pop("image", None)
        yield named
        if not is_deployment:  # whose namespace is the call's
            yield {name: value for name, value in named.items() if name != "namespace"}
    yield arguments
    if "dry_run" in tool.parameters:
        yield {**arguments, "dry_run": True}
    for name in ("app_name", "name"):
        if name in tool.parameters and name not in arguments:
            yield {**arguments, name: SAMPLES[name]}


async def _text(client: Client[Any], tool: Tool, arguments: dict[str, Any]) -> tuple[str, bool]:
    result = await client.call_tool(tool.name, arguments, raise_on_error=False)
    block = result.content[0]
    assert isinstance(block, mt.TextContent)
    return block.text, result.is_error


async def test_every_tool_that_takes_a_namespace_says_that_it_does_not_exist_and_names_the_nearest(
    platform: Platform,
) -> None:
    app = _app()
    tools = list(_tools(app))
    assert {"get_overview", "list_applications", "k8s_events", "get_deployment_history", *_QUESTIONS} <= {
        one.name for one in tools
    }
    wrong = []
    async with Client(app.server) as client:
        for tool in tools:
            for arguments in _calls(tool):
                text, is_error = await _text(client, tool, arguments)
                if not is_error or f"no namespace {WRONG} in context sandbox. Did you mean default?" not in text:
                    wrong.append((tool.name, arguments, text))
    assert not wrong, "\n".join(map(repr, wrong))


async def test_a_namespace_inside_a_query_or_a_matcher_is_said_not_to_exist_where_nothing_is_found(
    platform: Platform,
) -> None:
    async with Client(_app().server) as client:
        for name, arguments in _NAMED_IN_TEXT:
            result = await client.call_tool(name, arguments, raise_on_error=False)
            text = result.content[0].text
            assert "no namespace defualt in context sandbox. Did you mean default?" in text, (name, arguments, text)
            assert not result.is_error, text


async def test_every_resource_with_a_namespace_says_that_it_does_not_exist(platform: Platform) -> None:
    app = _app()
    async with Client(app.server) as client:
        for resource in _resources(app):
            values = {name: SAMPLES[name] for name in resource.variables}
            with pytest.raises(MCPError, match=f"no namespace {WRONG} in context sandbox. Did you mean default"):
                await client.session.read_resource(resource.template.expand({**values, "namespace": WRONG}))


def _resources(app: App) -> Iterator[Resource]:
    for offer in app.offers.resources:
        if "namespace" in offer.item.variables:
            yield offer.item


async def test_an_answer_that_is_not_empty_asks_for_no_namespace_and_an_empty_one_once(platform: Platform) -> None:
    platform.sandbox.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "empty"}})
    app = _app()
    async with Client(app.server) as client:
        for tool in _tools(app):
            if tool.effect != "read":
                continue
            for namespace, most in (("default", 0), ("empty", 1)):
                platform.sandbox.clear_requests()
                text, is_error = await _text(client, tool, {**plausible(tool), "namespace": namespace})
                asked = [
                    request
                    for request in platform.sandbox.requests
                    if re.fullmatch(rf"{_NAMESPACES}(/[^/]+)?", request.path)
                ]
                empty = is_error or tool.name == "get_deployment_history"
                assert len(asked) <= max(most, empty), (tool.name, namespace, text)
                assert "no namespace" not in text
                assert not any(mutating(request) for request in platform.sandbox.requests)


async def test_credentials_that_may_not_see_namespaces_get_the_empty_answer_with_what_was_not_checked(
    platform: Platform,
) -> None:
    for verb in ("list", "get"):
        platform.sandbox.deny(verb, "namespaces")
    app = _app()
    reading = [
        tool for tool in _tools(app) if tool.name in ("get_overview", "list_applications", "k8s_events", "k8s_get")
    ]
    async with Client(app.server) as client:
        for tool in reading:
            text, is_error = await _text(client, tool, {**plausible(tool), "namespace": WRONG})
            assert not is_error
            assert f"Not checked whether namespace {WRONG} exists" in text


async def test_metrics_of_a_namespace_that_exists_or_without_a_cluster_are_only_said_to_be_none(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = _app()
    tool = next(one for one in _tools(app) if one.name == "query_metrics")
    async with Client(app.server) as client:
        text, is_error = await _text(client, tool, {"question": "cpu", "namespace": "default"})
        assert (is_error, text.startswith("No data on cpu"), "no namespace" in text) == (False, True, False)
    monkeypatch.setenv("KUBECONFIG", str(platform.kubeconfig.with_name("none")))
    app = _app()
    async with Client(app.server) as client:
        text, is_error = await _text(client, tool, {"question": "cpu", "namespace": WRONG})
        assert (is_error, text.startswith("No data on cpu"), "no namespace" in text) == (False, True, False)


async def test_metrics_where_several_clusters_are_configured_say_where_the_namespace_was_not_found(
    platform: Platform,
) -> None:
    document = yaml.safe_load(platform.kubeconfig.read_text())
    document["contexts"].append({**document["contexts"][0], "name": "other"})
    platform.kubeconfig.write_text(json.dumps(document))
    app = _app()
    tool = next(one for one in _tools(app) if one.name == "query_metrics")
    async with Client(app.server) as client:
        text, is_error = await _text(client, tool, {"question": "cpu", "namespace": WRONG})
    assert not is_error
    assert text.startswith("No data on cpu")
    assert f"no namespace {WRONG} in context sandbox. Did you mean default" in text
