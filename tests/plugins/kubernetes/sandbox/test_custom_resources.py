"""Custom resources are held to their definition, as a real API server was seen to hold them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from klepaas_plugins.kubernetes.sandbox import Sandbox

pytestmark = pytest.mark.anyio
Json = dict[str, Any]
GADGETS = "/apis/example.com/v1/namespaces/default/gadgets"
APPLY = {"content-type": "application/apply-patch+yaml"}
MERGE = {"content-type": "application/merge-patch+json"}
SPEC: Json = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "integer", "minimum": 1, "maximum": 10, "description": "How large it is."},
        "colour": {"type": "string", "enum": ["red", "blue"], "default": "red"},
        "name": {"type": "string", "pattern": "^[a-z]+$", "minLength": 2, "maxLength": 4},
        "parts": {
            "type": "array",
            "maxItems": 2,
            "items": {
                "type": "object",
                "required": ["key"],
                "properties": {"key": {"type": "string"}, "count": {"type": "integer", "default": 7}},
            },
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["key"],
        },
        "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "port": {"x-kubernetes-int-or-string": True},
        "note": {"type": "string", "nullable": True},
        "replicas": {"type": "integer"},
    },
}
SCHEMA: Json = {
    "type": "object",
    "properties": {
        "spec": SPEC,
        "status": {
            "type": "object",
            "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}},
        },
    },
}
VERSION: Json = {
    "name": "v1",
    "served": True,
    "storage": True,
    "schema": {"openAPIV3Schema": SCHEMA},
    "subresources": {
        "status": {},
        "scale": {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    },
    "additionalPrinterColumns": [
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
        {"name": "Since", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ],
}
OLD: Json = {"name": "v1beta1", "served": True, "deprecated": True, "schema": {"openAPIV3Schema": SCHEMA}}
GONE: Json = {"name": "v1alpha1", "served": False, "schema": {"openAPIV3Schema": SCHEMA}}


def definition(*versions: Json) -> Json:
    names = {"plural": "gadgets", "kind": "Gadget"}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": list(versions)}
    head = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    return {**head, "metadata": {"name": "gadgets.example.com"}, "spec": spec}


def gadget(version: str = "v1", **spec: Any) -> Json:
    head = {"apiVersion": f"example.com/{version}", "kind": "Gadget", "metadata": {"name": "g"}}
    return {**head, "spec": {"size": 2, **spec}}


@pytest.fixture
async def sandbox(sandbox: Sandbox) -> Sandbox:
    sandbox.create(definition(VERSION, OLD, GONE))
    return sandbox


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"size": "x"}, 'spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"'),
        ({"size": 0}, "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1"),
        ({"size": 11}, "spec.size: Invalid value: 11: spec.size in body should be less than or equal to 10"),
        ({"size": None}, "spec.size: Required value"),
        ({"colour": "green"}, 'spec.colour: Unsupported value: "green": supported values: "red", "blue"'),
        ({"name": "a"}, 'spec.name: Invalid value: "a": spec.name in body should be at least 2 chars long'),
        ({"name": "abcde"}, "spec.name: Too long: may not be more than 4 bytes"),
        ({"name": "A1"}, "spec.name: Invalid value: \"A1\": spec.name in body should match '^[a-z]+$'"),
        ({"parts": [{"count": 1}]}, "spec.parts[0].key: Required value"),
        ({"parts": [{"key": "a"}, {"key": "a"}]}, 'spec.parts[1]: Duplicate value: {"key":"a"}'),
        ({"parts": [{"key": "a"}] * 3}, "Too many: 3: must have at most 2 items"),
        ({"tags": ["a", "a"]}, 'spec.tags[1]: Duplicate value: "a"'),
        ({"port": True}, 'spec.port in body must be of type integer,string: "boolean"'),
        ({"free": 1}, 'spec.free in body must be of type object: "integer"'),
    ],
)
async def test_a_value_against_the_schema_is_refused(
    sandbox: Sandbox, api: httpx.AsyncClient, spec: Json, said: str
) -> None:
    response = await api.post(GADGETS, json=gadget(**spec))
    assert response.status_code == 422
    assert said in response.json()["message"]
    assert response.json()["details"]["causes"]


async def test_defaults_are_filled_in_and_unknown_fields_pruned(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sent = gadget(parts=[{"key": "a"}], free={"any": [{"thing": 1}]}, note=None, nope=1)
    response = await api.post(GADGETS, json=sent)
    assert response.headers["warning"] == '299 - "unknown field \\"spec.nope\\""'
    assert response.json()["spec"] == {
        "size": 2,
        "colour": "red",
        "parts": [{"key": "a", "count": 7}],
        "free": {"any": [{"thing": 1}]},
        "note": None,
    }
    strict = await api.post(f"{GADGETS}?fieldValidation=Strict", json=sent)
    assert strict.json()["message"].endswith('strict decoding error: unknown field "spec.nope"')


async def test_apply_merges_lists_by_the_keys_of_the_schema(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    for manager, key in (("one", "a"), ("two", "b")):
        body = gadget(parts=[{"key": key, "count": 1}])
        response = await api.patch(f"{GADGETS}/g?fieldManager={manager}", json=body, headers=APPLY)
    assert [part["key"] for part in response.json()["spec"]["parts"]] == ["a", "b"]
    refused = await api.patch(f"{GADGETS}/g?fieldManager=one", json=gadget(size="x"), headers=APPLY)
    assert refused.status_code == 500
    assert refused.json()["message"].endswith(".spec.size: expected numeric (int or float), got string")


async def test_versions_are_served_side_by_side(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    old = GADGETS.replace("/v1/", "/v1beta1/")
    made = await api.post(old, json=gadget("v1beta1"))
    assert made.headers["warning"] == ('299 - "example.com/v1beta1 Gadget is deprecated; use example.com/v1 Gadget"')
    assert (await api.get(f"{GADGETS}/g")).json()["apiVersion"] == "example.com/v1"
    assert [one["apiVersion"] for one in (await api.get(old)).json()["items"]] == ["example.com/v1beta1"]
    assert (await api.get(GADGETS.replace("/v1/", "/v1alpha1/"))).status_code == 404
    group = (await api.get("/apis/example.com")).json()
    assert [one["version"] for one in group["versions"]] == ["v1", "v1beta1"]


async def test_status_and_scale_are_resources_of_their_own(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    made = await api.post(GADGETS, json={**gadget(replicas=1), "status": {"replicas": 9}})
    assert "status" not in made.json()
    status = {"status": {"replicas": 1, "selector": "a=b"}, "spec": {"size": 9}}
    written = await api.patch(f"{GADGETS}/g/status", json=status, headers=MERGE)
    assert (written.json()["status"]["replicas"], written.json()["spec"]["size"]) == (1, 2)
    scaled = await api.patch(f"{GADGETS}/g/scale", json={"spec": {"replicas": 3}}, headers=MERGE)
    assert (scaled.json()["spec"], scaled.json()["status"]) == ({"replicas": 3}, {"replicas": 1, "selector": "a=b"})
    assert (await api.get(f"{GADGETS}/g")).json()["spec"]["replicas"] == 3


async def test_their_columns_are_those_of_the_definition(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    await api.post(GADGETS, json=gadget())
    table = (await api.get(GADGETS, headers={"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"})).json()
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Size", "Since"]
    assert table["rows"][0]["cells"][:2] == ["g", 2]


async def test_rules_in_cel_are_checked_as_far_as_they_are_understood(api: httpx.AsyncClient, sandbox: Sandbox) -> None:
    sandbox.delete("CustomResourceDefinition", "gadgets.example.com")
    rule = {"rule": "self.colour != 'blue' || self.size > 5", "message": "blue ones are large"}
    ruled = {**SCHEMA, "properties": {"spec": {**SPEC, "x-kubernetes-validations": [rule]}}}
    sandbox.create(definition({**VERSION, "schema": {"openAPIV3Schema": ruled}}))
    refused = await api.post(GADGETS, json=gadget(colour="blue"))
    assert refused.json()["message"] == ('Gadget.example.com "g" is invalid: spec: Invalid value: blue ones are large')
    assert (await api.post(GADGETS, json=gadget(colour="blue", size=6))).status_code == 201


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"versions": []}, "spec.versions: Invalid value: []: must have exactly one version marked as storage version"),
        ({"group": "x"}, 'spec.group: Invalid value: "x": should be a domain with at least one dot'),
        ({"scope": "x"}, 'spec.scope: Unsupported value: "x": supported values: "Cluster", "Namespaced"'),
        ({"names": {"plural": "z", "kind": "Z"}}, 'must be spec.names.plural+"."+spec.group'),
        ({"versions": [{**VERSION, "schema": {}}]}, "spec.versions[0].schema.openAPIV3Schema: Required value"),
    ],
)
async def test_a_definition_with_a_mistake_is_refused(api: httpx.AsyncClient, change: Json, said: str) -> None:
    wrong = definition(VERSION)
    wrong["metadata"]["name"] = "q.example.com"
    wrong["spec"] |= {"names": {"plural": "q", "kind": "Q"}, **change}
    response = await api.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", json=wrong)
    assert response.status_code == 422
    assert said in response.json()["message"]


async def test_their_document_holds_schema_and_descriptions(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    schemas = (await api.get("/openapi/v3/apis/example.com/v1")).json()["components"]["schemas"]
    found = schemas["com.example.v1.Gadget"]
    assert found["properties"]["spec"]["properties"]["size"]["description"] == "How large it is."
    assert found["x-kubernetes-group-version-kind"] == [{"group": "example.com", "kind": "Gadget", "version": "v1"}]
    assert "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta" in schemas
