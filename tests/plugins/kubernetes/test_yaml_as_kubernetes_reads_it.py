"""YAML and JSON of manifests, held to what sigs.k8s.io/yaml makes of the same texts.

The table was made by the library itself (`yaml.YAMLToJSON`, as Kubernetes 1.36 vendors it): a text and its JSON, or
that it is refused. Numbers are compared as the API server reads them: whole ones of 64 bits, others as floats.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from klepaas.errors import BadRequest
from klepaas_plugins.kubernetes import yaml_text
from klepaas_plugins.kubernetes.manifests import read_manifests
from klepaas_plugins.kubernetes.sandbox import Sandbox

pytestmark = pytest.mark.anyio
Ask = Callable[..., Any]
_TABLE = Path(__file__).parents[2] / "fixtures" / "yaml-as-kubernetes-reads-it.json"
_ROWS: dict[str, Any] = json.loads(_TABLE.read_text(encoding="utf-8"))
_ERROR = {"error": True}


def _stored(value: Any) -> Any:
    """A value as an API server's JSON decoder has it."""
    if isinstance(value, dict):
        return {key: _stored(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_stored(inner) for inner in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)
    is_long = type(value) is int and not -(2**63) <= value < 2**63
    return float(value) if is_long else value


def test_the_table_holds_at_least_sixty_scalars() -> None:
    assert len([text for text in _ROWS if text.startswith("a: ")]) >= 60


@pytest.mark.parametrize("text", _ROWS)
def test_a_text_is_read_as_kubernetes_reads_it(text: str) -> None:
    wanted = _ROWS[text]
    if wanted == _ERROR:
        with pytest.raises(BadRequest):
            yaml_text.documents(text)
        return
    found = yaml_text.documents(text)
    assert json.dumps(found, sort_keys=True) == json.dumps([_stored(wanted)], sort_keys=True)


def test_a_key_that_stands_twice_is_refused_where_kubernetes_would_take_the_last() -> None:
    for text in ("a: 1\na: 2", '{"a": 1, "a": 2}', "1: a\n0x1: b", "true: a\nyes: b"):
        with pytest.raises(BadRequest, match="twice"):
            yaml_text.documents(text)


def test_binary_that_is_no_text_is_refused_where_kubernetes_would_store_something_else() -> None:
    with pytest.raises(BadRequest, match=r"line 1, column 4.*no UTF-8 text.*binaryData"):
        yaml_text.documents("a: !!binary /9j/4A==")


def test_types_of_programs_are_refused_and_own_tags_are_data() -> None:
    with pytest.raises(BadRequest, match="line 1, column 4"):
        yaml_text.documents("x: !!python/object/apply:os.system [id]")
    assert yaml_text.documents("x: !Ref [a, !Sub b]\ny1: !x {c: !y 1}") == [{"x": ["a", "b"], "y1": {"c": "1"}}]


@pytest.mark.parametrize("between", ["", "\n", "\n\n", "\n---\n", "\n---   \n\n---\n", " "])
def test_several_json_documents_are_read(between: str) -> None:
    first, second = {"a": 1, "b": '}{"'}, {"c": [1.5, None, {"d": "é"}]}
    text = between.join((json.dumps(first), json.dumps(second), json.dumps(first, indent=2)))
    assert yaml_text.documents(text) == [first, second, first]


def test_yaml_may_follow_json_documents_and_a_byte_order_mark_may_come_first() -> None:
    assert yaml_text.documents('\ufeff{"a": 1}\n---\nb: yes\n---\n{c: 8_080}\n') == [{"a": 1}, {"b": True}, {"c": 8080}]
    assert yaml_text.documents("{a: 1, b: [x]}") == [{"a": 1, "b": ["x"]}]


def test_an_alias_is_read_where_it_stands_and_a_merge_counts_from_where_it_stands() -> None:
    text = "base: &base {a: 1, b: 1}\nx: {<<: *base, b: 2}\ny1: {b: 2, <<: *base}\nz: {<<: [{a: 1}, {a: 2, c: 3}]}"
    found = yaml_text.documents(text)[0]
    assert found["x"] == {"a": 1, "b": 2}
    assert found["y1"] == {"a": 1, "b": 1}, "as go-yaml 2 does it"
    assert found["z"] == {"a": 1, "c": 3}


def _role(name: str | None = None, **head: str) -> dict[str, Any]:
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
    return {**head, "metadata": {"name": name}, "rules": rules}


def test_a_list_of_one_kind_holds_objects_that_may_leave_out_their_kind() -> None:
    listed = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleList", "metadata": {"resourceVersion": "1"}}
    other = _role("c", apiVersion="rbac.authorization.k8s.io/v1", kind="ClusterRole")
    text = json.dumps({**listed, "items": [_role("a"), _role("b", kind="Role"), other]})
    found = read_manifests(text)
    assert [(one.number, one.api_version, one.kind, one.name) for one in found] == [
        (1, "rbac.authorization.k8s.io/v1", "Role", "a"),
        (2, "rbac.authorization.k8s.io/v1", "Role", "b"),
        (3, "rbac.authorization.k8s.io/v1", "ClusterRole", "c"),
    ]
    nested = json.dumps({"apiVersion": "v1", "kind": "List", "items": [{**listed, "items": [_role("d")]}]})
    assert [one.name for one in read_manifests(nested)] == ["d"]


def test_an_empty_list_has_no_objects_and_a_kind_that_ends_in_list_without_items_is_an_object() -> None:
    for items in ("[]", "null"):
        with pytest.raises(BadRequest, match="no object"):
            read_manifests(f"apiVersion: v1\nkind: ConfigMapList\nitems: {items}")
    text = "apiVersion: example.com/v1\nkind: AllowList\nmetadata: {name: x}\nspec: {items: [a]}"
    assert [one.kind for one in read_manifests(text)] == ["AllowList"]


@pytest.mark.parametrize("version", ["v1", "apps/v1", "resources.azure.com/v1api20200601", "stable.example.com/2019"])
def test_every_version_that_a_definition_may_have_is_taken(version: str) -> None:
    assert read_manifests(f"apiVersion: {version}\nkind: Thing\nmetadata: {{name: x}}")[0].api_version == version


@pytest.mark.parametrize("version", ["", "v2", "apps", "apps/", "/v1", "a/b/v1", "apps/V1", "../v1", "apps/.."])
def test_what_is_no_version_is_refused(version: str) -> None:
    with pytest.raises(BadRequest, match="apiVersion"):
        read_manifests(f'apiVersion: "{version}"\nkind: Thing\nmetadata: {{name: x}}')


FORMS = {
    "a list of one kind": json.dumps(
        {"apiVersion": "v1", "kind": "ConfigMapList", "items": [{"metadata": {"name": "one"}, "data": {"a": "b"}}]}
    ),
    "JSON documents": "".join(
        json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}) for name in ("one", "two")
    ),
    "base64 of YAML": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {a: !!binary aGVsbG8=}",
    "NEL as the end of lines": "apiVersion: v1\x85kind: ConfigMap\x85metadata:\x85  name: one\x85",
    "underscores in numbers": (
        "apiVersion: v1\nkind: Service\nmetadata: {name: one}\nspec: {ports: [{port: 8_080}], selector: {a: b}}"
    ),
    "YAML 1.1 booleans": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\nimmutable: off",
    "octal numbers": (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: one}\nspec:\n  containers: [{name: a, image: example/app:1}]\n"
        "  volumes: [{name: c, configMap: {name: x, defaultMode: 0644}}]"
    ),
}


@pytest.mark.parametrize("form", FORMS)
async def test_every_form_is_created_and_then_unchanged(change: Ask, text: Any, sandbox: Sandbox, form: str) -> None:
    first = await change("k8s_apply", manifests=FORMS[form])
    assert text(first).startswith("created\t"), text(first)
    again = text(await change("k8s_apply", manifests=FORMS[form]))
    assert all(line.startswith("unchanged\t") for line in again.splitlines()), again


@pytest.mark.parametrize("tool", ["k8s_apply", "k8s_create"])
async def test_an_object_may_have_the_name_of_a_namespace_that_comes_with_it(
    change: Ask, text: Any, sandbox: Sandbox, tool: str
) -> None:
    parts = [
        f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: ingress, namespace: ingress}}"
        for kind in ("ServiceAccount", "ConfigMap")
    ]
    manifests = "\n---\n".join([*parts, "apiVersion: v1\nkind: Namespace\nmetadata: {name: ingress}"])
    shown = text(await change(tool, manifests=manifests, dry_run=True))
    assert shown.count("its namespace does not exist yet") == 2, shown
    assert text(await change(tool, manifests=manifests)).splitlines() == [
        "created\tnamespace/ingress",
        "created\tserviceaccount/ingress (namespace ingress)",
        "created\tconfigmap/ingress (namespace ingress)",
    ]
    assert sandbox.get("configmaps", "ingress", "ingress") is not None


async def test_a_missing_namespace_is_named_where_the_object_has_its_name(change: Ask, text: Any) -> None:
    manifest = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: nowhere, namespace: nowhere}"
    refused = await change("k8s_apply", manifests=manifest)
    assert refused.is_error
    assert "There is no namespace nowhere" in text(refused)
