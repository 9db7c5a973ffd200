"""Namespaces and definitions come first, then what needs them, which waits until its kind is established."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import anyio
import pytest

from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing
from klepaas_plugins.kubernetes.write import awaiting

pytestmark = pytest.mark.anyio
Ask = Callable[..., Any]
ESTABLISH_S = 1.2


@pytest.fixture
async def sandbox(anyio_backend: str) -> AsyncIterator[Sandbox]:
    """A cluster that takes its time to serve new kinds."""
    async with Sandbox(timing=replace(Timing.instant(), establish_s=ESTABLISH_S)) as running:
        yield running


def _crd(name: str = "widgets", kind: str = "Widget") -> dict[str, Any]:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    spec = {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"kind": kind, "plural": name, "singular": name.rstrip("s"), "listKind": f"{kind}List"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
    }
    head = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    return {**head, "metadata": {"name": f"{name}.example.com"}, "spec": spec}


def _widget(name: str = "one") -> dict[str, Any]:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name, "namespace": "shop"}}


_NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}


def _text(*objects: dict[str, Any]) -> str:
    return "\n---\n".join(json.dumps(one) for one in objects)


async def test_a_set_in_any_order_is_written_in_the_order_that_its_objects_need(
    change: Ask, text: Any, sandbox: Sandbox
) -> None:
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "shop"}}
    answer = await change("k8s_apply", manifests=_text(_widget(), settings, _crd(), _NAMESPACE))
    assert text(answer).splitlines() == [
        "created\tcustomresourcedefinition/widgets.example.com",
        "created\tnamespace/shop",
        "created\tconfigmap/settings (namespace shop)",
        "created\twidget/one (namespace shop)",
    ]
    definition = sandbox.get("CustomResourceDefinition", "widgets.example.com", "") or {}
    assert [one["status"] for one in definition["status"]["conditions"]] == ["True", "True"]


async def test_a_kind_that_is_not_established_in_time_ends_the_rest_and_says_so(
    change: Ask, text: Any, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(awaiting, "SERVED_TIMEOUT_S", ESTABLISH_S / 4)
    refused = await change("k8s_apply", manifests=_text(_NAMESPACE, _crd(), _widget()))
    assert refused.is_error
    assert "2 of 3 objects were done, then widget/one (namespace shop) failed" in text(refused)
    assert "does not serve Widget 0.3 s after its definition was made" in text(refused)
    assert "Look at the definition's conditions" in text(refused)


async def test_a_definition_whose_names_are_taken_is_named_at_once(change: Ask, text: Any, sandbox: Sandbox) -> None:
    await change("k8s_apply", manifests=_text(_NAMESPACE, _crd("gadgets"), _widget()))
    with anyio.fail_after(scale_timeout(15)):
        while not any(_established(one) for one in sandbox.list("CustomResourceDefinition")):
            await sandbox.changed()
    taken = {**_crd("widgets"), "spec": {**_crd("widgets")["spec"]}}
    other = {**_widget(), "apiVersion": "example.com/v2"}
    taken["spec"]["versions"] = [{**taken["spec"]["versions"][0], "name": "v2"}]
    refused = await change("k8s_apply", manifests=_text(taken, other))
    assert refused.is_error
    assert 'KindConflict: "Widget" is already in use' in text(refused).replace("\\", "")
    assert awaiting.SERVED_TIMEOUT_S > 10, "it did not wait for that"


def _established(definition: dict[str, Any]) -> bool:
    conditions = definition["status"].get("conditions") or ()
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)
