"""A sensible call of every tool, made from its declaration, so that a new tool cannot be forgotten by the walks."""

import typing
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
    "env_vars": {"LOG_LEVEL": "debug"},
    "resources": {"cpu": "100m"},
    "cursor": "eyJ2IjoxfQ",
    "wait_s": 5,
}


def plausible(tool: Tool) -> dict[str, Any]:
    """Arguments with which the tool does something on the cluster of the promises' tests.

    Args:
        tool: The tool.
    """
    arguments: dict[str, Any] = {}
    for name, parameter in parameters(tool).items():
        if parameter["required"]:
            assert name in SAMPLES, f"tests/promises/calls.py has no sample for {name!r} of {tool.name}"
            arguments[name] = SAMPLES[name]
    if "wait_s" in parameters(tool):
        arguments["wait_s"] = 5
    return arguments


def parameters(tool: Tool) -> dict[str, dict[str, Any]]:
    """The tool's parameters that a client can give: required or not, and their annotation."""
    import inspect

    from fastmcp import Context

    hints = typing.get_type_hints(tool.function, include_extras=True)
    return {
        name: {"required": parameter.default is inspect.Parameter.empty, "annotation": hints.get(name)}
        for name, parameter in inspect.signature(tool.function).parameters.items()
        if hints.get(name) is not Context
    }
