"""Built-in kinds by the API's own schemas: unknown fields, types, list keys, and the documents."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes import sandbox as package
from klepaas_plugins.kubernetes.sandbox import Sandbox
from klepaas_plugins.kubernetes.sandbox.openapi.schemas import node_of
from klepaas_plugins.kubernetes.sandbox.resources import BUILT_IN

pytestmark = pytest.mark.anyio
Make = Any
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
APPLY = {"content-type": "application/apply-patch+yaml"}
MERGE = {"content-type": "application/merge-patch+json"}
DATA = Path(package.__file__).parent / "openapi" / "data"


def test_every_kind_has_a_schema() -> None:
    assert [one.kind for one in BUILT_IN if not node_of(one).raw] == []


def test_the_data_are_small_and_attributed() -> None:
    assert sum(path.stat().st_size for path in DATA.iterdir()) < 150_000
    assert "The Kubernetes Authors" in (DATA / "NOTICE").read_text()


def test_descriptions_are_not_read_before_somebody_asks_for_them() -> None:
    code = (
        "import klepaas_plugins.kubernetes.sandbox as s;"
        "from klepaas_plugins.kubernetes.sandbox.openapi import schemas;"
        "before = schemas.schemas.cache_info().currsize; s.Sandbox();"
        "print(before, schemas.descriptions.cache_info().currsize)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=scale_timeout(30)
    )
    assert run.stdout.split() == ["0", "0"]


@pytest.mark.parametrize("validation", ["Strict", "Warn", "Ignore"])
async def test_unknown_fields_below_containers_are_found(
    api: httpx.AsyncClient, deployment: Make, validation: str
) -> None:
    body = deployment("web", "nginx:1")
    body["spec"]["template"]["spec"]["containers"][0]["livenessProbe"] = {"httpGet": {"port": 80, "paht": "/"}}
    response = await api.post(f"{DEPLOYMENTS}?fieldValidation={validation}", json=body)
    said = 'unknown field "spec.template.spec.containers[0].livenessProbe.httpGet.paht"'
    if validation == "Strict":
        assert response.status_code == 400
        assert response.json()["message"].endswith(f"strict decoding error: {said}")
        return
    assert response.status_code == 201
    assert response.headers.get("warning") == (f"299 - {json.dumps(said)}" if validation == "Warn" else None)
    assert "paht" not in response.text


async def test_fields_given_twice_are_found(api: httpx.AsyncClient) -> None:
    text = '{"metadata":{"name":"c"},"data":{"a":"1","a":"2"}}'
    maps = "/api/v1/namespaces/default/configmaps"
    head = {"content-type": "application/json"}
    warned = await api.post(f"{maps}?dryRun=All", content=text, headers=head)
    assert warned.headers["warning"] == '299 - "duplicate field \\"data.a\\""'
    refused = await api.post(f"{maps}?fieldValidation=Strict", content=text, headers=head)
    assert refused.json()["message"].endswith('strict decoding error: duplicate field "data.a"')


async def test_a_validation_nobody_knows_is_refused(api: httpx.AsyncClient, deployment: Make) -> None:
    response = await api.post(f"{DEPLOYMENTS}?fieldValidation=Hard", json=deployment("web", "nginx:1"))
    assert response.json()["message"] == (
        'CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Hard": supported values: "", '
        '"Ignore", "Strict", "Warn"'
    )


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"replicas": "3"}, "string into Go struct field DeploymentSpec.spec.replicas of type int32"),
        ({"replicas": 1.5}, "number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32"),
        ({"selector": {"matchLabels": {"a": 1}}}, "LabelSelector.spec.selector.matchLabels of type string"),
        ({"template": {"spec": {"containers": {}}}}, "PodSpec.spec.template.spec.containers of type []v1.Container"),
        ({"template": {"spec": {"containers": [1]}}}, "PodSpec.spec.template.spec.containers of type v1.Container"),
        ({"paused": "yes"}, "string into Go struct field DeploymentSpec.spec.paused of type bool"),
    ],
)
async def test_a_wrong_type_is_refused_by_every_verb(
    sandbox: Sandbox, api: httpx.AsyncClient, deployment: Make, spec: dict[str, Any], said: str
) -> None:
    body = deployment("web", "nginx:1")
    refused = await api.post(DEPLOYMENTS, json={**body, "spec": {**body["spec"], **spec}})
    assert refused.status_code == 400
    assert refused.json()["message"].startswith('Deployment in version "v1" cannot be handled as a Deployment: json: ')
    assert refused.json()["message"].endswith(said)
    sandbox.create(body)
    patched = await api.patch(f"{DEPLOYMENTS}/web", json={"spec": spec}, headers=MERGE)
    assert patched.status_code == 422
    assert patched.json()["details"]["causes"][0]["field"] == "patch"
    assert patched.json()["message"].endswith(said)


async def test_apply_merges_by_the_keys_of_the_schema(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    """Lists that no table of names knows: topology constraints, ports of a Service, rules that are taken whole."""
    path = "/apis/networking.k8s.io/v1/namespaces/default/ingresses/web"
    head = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web"}}
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    one = {**head, "spec": {"defaultBackend": backend, "rules": [{"host": "a.example.com"}]}}
    await api.patch(f"{path}?fieldManager=one", json=one, headers=APPLY)
    two = {**head, "spec": {"rules": [{"host": "b.example.com"}]}}
    refused = await api.patch(f"{path}?fieldManager=two", json=two, headers=APPLY)
    assert refused.json()["message"].endswith('conflict with "one": .spec.rules')
    service = "/api/v1/namespaces/default/services/web"
    for manager, port in (("one", 80), ("two", 81)):
        ports = [{"name": f"p{port}", "port": port, "protocol": "TCP"}]
        body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": ports}}
        made = await api.patch(f"{service}?fieldManager={manager}", json=body, headers=APPLY)
    assert [port["port"] for port in made.json()["spec"]["ports"]] == [80, 81]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"replicas": "3"}, ".spec.replicas: expected numeric (int or float), got string"),
        ({"template": []}, ".spec.template: expected map, got &{[]}"),
        ({"paused": "yes"}, ".spec.paused: expected boolean, got &{yes}"),
        (
            {"template": {"spec": {"containers": [{"name": "m", "nope": 1}]}}},
            '.spec.template.spec.containers[name="m"].nope: field not declared in schema',
        ),
        (
            {"template": {"spec": {"containers": [{"name": "a"}, {"name": "a"}]}}},
            '.spec.template.spec.containers: duplicate entries for key [name="a"]',
        ),
    ],
)
async def test_an_applied_configuration_must_fit_the_schema(
    api: httpx.AsyncClient, spec: dict[str, Any], said: str
) -> None:
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}
    refused = await api.patch(f"{DEPLOYMENTS}/web?fieldManager=k", json=body, headers=APPLY)
    assert refused.status_code == 500
    assert refused.json()["message"] == (
        f"failed to create typed patch object (/web; apps/v1, Kind=Deployment): {said}"
    )


async def test_documents_describe_what_is_served(api: httpx.AsyncClient) -> None:
    paths = (await api.get("/openapi/v3")).json()["paths"]
    assert {"api/v1", "apis/apps/v1", "apis/batch/v1"} <= set(paths)
    found = (await api.get(paths["apis/apps/v1"]["serverRelativeURL"])).json()
    schemas = found["components"]["schemas"]
    replicas = schemas["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]["replicas"]
    assert replicas["description"].startswith("Number of desired pods.")
    gvk = schemas["io.k8s.api.apps.v1.Deployment"]["x-kubernetes-group-version-kind"]
    assert gvk == [{"group": "apps", "kind": "Deployment", "version": "v1"}]
    links = json.dumps(schemas).split('"#/components/schemas/')[1:]
    assert {link.split('"')[0] for link in links} <= set(schemas)
    assert (await api.get("/openapi/v3/apis/nothing/v1")).status_code == 404
