"""Values of Secrets and binary data are named by their size; an immutable object that would change needs recreation."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from klepaas_plugins.kubernetes.sandbox import Sandbox, mutating

pytestmark = pytest.mark.anyio
Ask = Callable[..., Any]
_VALUE = "Zq7hunterLongSecret01xK"


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _secret(**fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, **fields}


def _config_map(**fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, **fields}


def _text(*objects: dict[str, Any]) -> str:
    return "\n---\n".join(json.dumps(one) for one in objects)


async def test_string_data_becomes_data_that_a_second_apply_can_change_and_remove(
    change: Ask, text: Any, sandbox: Sandbox
) -> None:
    await change("k8s_apply", manifests=_text(_secret(stringData={"key": _VALUE, "other": "a"})))
    for fields in ({"stringData": {"key": _VALUE + "2"}}, {"data": {"key": _encoded(_VALUE + "3")}}):
        shown = text(await change("k8s_apply", manifests=_text(_secret(**fields))))
        assert "data.key: 24 bytes, hidden, not compared" in shown
        assert _VALUE not in shown
    assert (sandbox.get("secrets", "s") or {})["data"]["key"] == _encoded(_VALUE + "3")
    gone = text(await change("k8s_apply", manifests=_text(_secret(stringData={"other": None}))))
    assert "data.other" in gone
    assert "(removed)" in gone
    assert list((sandbox.get("secrets", "s") or {})["data"]) == ["key"]


async def test_binary_data_of_a_config_map_is_applied_and_never_shown_whole(
    change: Ask, text: Any, sandbox: Sandbox
) -> None:
    first, second = (base64.b64encode(bytes([start, *range(256)])).decode() for start in (1, 2))
    created = text(await change("k8s_apply", manifests=_text(_config_map(binaryData={"logo": first}))))
    assert created == "created\tconfigmap/c (namespace default)"
    again = text(await change("k8s_apply", manifests=_text(_config_map(binaryData={"logo": first}))))
    assert "binaryData.logo: 257 bytes, hidden, not compared" in again
    shown = text(await change("k8s_apply", manifests=_text(_config_map(binaryData={"logo": second})), dry_run=True))
    assert "binaryData.logo" in shown
    assert second not in shown
    await change("k8s_apply", manifests=_text(_config_map(binaryData={"logo": second})))
    assert (sandbox.get("configmaps", "c") or {})["binaryData"] == {"logo": second}


IMMUTABLE: dict[str, tuple[Callable[..., dict[str, Any]], dict[str, Any], dict[str, Any]]] = {
    "ConfigMap": (_config_map, {"data": {"a": "1"}}, {"data": {"a": "2"}}),
    "ConfigMap binary": (_config_map, {"binaryData": {"a": _encoded("1")}}, {"binaryData": {"a": _encoded("22")}}),
    "Secret": (_secret, {"data": {"a": _encoded(_VALUE)}}, {"data": {"a": _encoded("other" + _VALUE)}}),
    "Secret text": (_secret, {"stringData": {"a": _VALUE}}, {"stringData": {"a": "other" + _VALUE}}),
    "made mutable": (_config_map, {"data": {"a": "1"}}, {"immutable": False}),
}


@pytest.mark.parametrize("case", IMMUTABLE)
async def test_an_immutable_object_that_would_change_needs_recreation_and_is_left_alone(
    change: Ask, text: Any, sandbox: Sandbox, case: str
) -> None:
    make, before, after = IMMUTABLE[case]
    await change("k8s_apply", manifests=_text(make(immutable=True, **before)))
    kind = make()["kind"]
    stored = sandbox.get(kind, make()["metadata"]["name"])
    wanted = make(**{"immutable": True, **after})
    shown = text(await change("k8s_apply", manifests=_text(wanted), dry_run=True))
    assert "(needs recreation)" in shown, shown
    assert _VALUE not in shown
    sandbox.clear_requests()
    refused = await change("k8s_apply", manifests=_text(wanted))
    assert refused.is_error
    assert "needs recreation" in text(refused)
    assert "delete the object yourself" in text(refused)
    assert not any(mutating(one) for one in sandbox.requests)
    assert sandbox.get(kind, make()["metadata"]["name"]) == stored


async def test_one_object_that_needs_recreation_keeps_the_whole_set_from_being_written(
    change: Ask, text: Any, sandbox: Sandbox
) -> None:
    await change("k8s_apply", manifests=_text(_config_map(immutable=True, data={"a": "1"})))
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "first"}}
    wanted = _text(account, _config_map(immutable=True, data={"a": "2"}))
    refused = await change("k8s_apply", manifests=wanted)
    assert refused.is_error
    assert "needs recreation: data.a" in text(refused)
    assert sandbox.get("serviceaccounts", "first") is None


async def test_an_immutable_object_that_stays_as_it_is_is_unchanged(change: Ask, text: Any) -> None:
    manifests = _text(_config_map(immutable=True, data={"a": "1"}))
    await change("k8s_apply", manifests=manifests)
    assert text(await change("k8s_apply", manifests=manifests)) == "unchanged\tconfigmap/c (namespace default)"


async def test_a_hidden_value_of_the_same_size_is_not_compared_by_a_dry_run_and_refused_by_the_server(
    change: Ask, text: Any, sandbox: Sandbox
) -> None:
    await change("k8s_apply", manifests=_text(_secret(immutable=True, stringData={"a": _VALUE})))
    stored = sandbox.get("secrets", "s")
    answers = []
    for value in (_VALUE, _VALUE[::-1]):
        wanted = _text(_secret(immutable=True, stringData={"a": value}))
        shown = text(await change("k8s_apply", manifests=wanted, dry_run=True))
        answers.append([line for line in shown.splitlines() if not line.startswith("Plan ")])
        result = await change("k8s_apply", manifests=wanted)
        assert result.is_error is (value != _VALUE)
        assert sandbox.get("secrets", "s") == stored
    assert answers[0] == answers[1]
    assert "immutable" in text(result)
