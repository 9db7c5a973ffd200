"""A sensible call of every tool, made from its declaration, so that a new tool cannot be forgotten by the walks."""

import inspect
from typing import Any

from klepaas.tools import Tool

# By parameter name. A new tool whose required parameter is not here fails the walks, with this file's name.
SAMPLES: dict[str, Any] = {
    "app_name": "web",
    "name": "web",
    "image": "registry.example/web:1.1",
    "replicas": 2,
    "kind": "pods",
    "namespace": "default",
    "context": "sandbox",
    "container": "web",
    "label_selector": "app.kubernetes.io/name=web",
    "field_selector": "metadata.name=web",
    "health_path": "/healthz",
    "env_vars": ["LOG_LEVEL=debug"],
    "resources": {"cpu": "100m"},
    "cursor": "eyJ2IjoxfQ",
    "uid": "0b0d8b4c-7f5e-4f6e-8d55-5d0d3a0f7a11",
    "resource_version": "12",
    "confirm_name": "web",
    "since_time": "2026-01-01T00:00:00Z",
    "grep": "a.*b|c",
    "field": "spec",
    "pod": "web",
    "command": ["id"],
    "columns": "NAME:.metadata.name,.data",
    "sort_by": "-AGE",
    "wait_s": 45,
    "operation_id": "op-0123456789ab",
    "component": "disk",
    # The application of these tests was made by somebody else.
    "take_ownership": True,
    "idempotency_key": "release-42",
    "commit": "0123abc",
    "url": "https://shop.example",
    "silence_id": "7d8b5b0e-2d0f-4a3c-9e39-0f4d3a1c2b10",
    "matchers": ["alertname=ShopDown"],
    "duration_min": 30,
    "comment": "known, see 42",
    "notification_id": 1,
    "server": "default",
    "what": "targets",
    "status": "degraded",
    "upstream": "kubernetes/prod",
    "message": "it does not answer",
    "manifests": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web, namespace: default}\ndata: {host: db}\n",
}
# What a tool needs that the samples above do not fit.
_NEW = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: new, namespace: default}\ndata: {host: db}\n"
_OF_TOOL: dict[str, dict[str, Any]] = {
    "k8s_create": {"manifests": _NEW},
    "deploy_application": {"image": SAMPLES["image"]},
    "k8s_logs": {"name": "web"},
    "query_metrics": {"query": "up"},
    "k8s_delete": {"kind": "configmap"},
}
_ALWAYS = ("wait_s", "take_ownership")


def plausible(tool: Tool) -> dict[str, Any]:
    """Arguments with which the tool does something on the cluster of the promises' tests.

    Args:
        tool: The tool.
    """
    required = [
        name
        for name, parameter in inspect.signature(tool.function).parameters.items()
        if name in tool.parameters and parameter.default is inspect.Parameter.empty
    ]
    for name in required:
        assert name in SAMPLES, f"tests/promises/calls.py has no sample for {name!r} of {tool.name}"
    chosen = {name: SAMPLES[name] for name in tool.parameters if name in required or name in _ALWAYS}
    return {**chosen, **_OF_TOOL.get(tool.name, {})}
