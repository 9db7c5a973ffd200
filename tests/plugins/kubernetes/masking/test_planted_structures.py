"""Secrets of no form, told by names and structure alone, in every place of an object that carries texts."""

import base64
import copy
import json
from typing import Any

import pytest
import yaml

from klepaas_plugins.kubernetes.masking import mask, mask_arguments, mask_text

from .planted_texts import COMMANDS, FILES, MANIFESTS, MARKUP, PAIRS, SECRET

Data = dict[str, Any]


def _object(kind: str, version: str = "v1", **fields: Any) -> Data:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, **fields}


def _config_map(text: str) -> Data:
    return _object("ConfigMap", data={"file": text})


def _custom(**spec: Any) -> Data:
    return _object("Database", "example.com/v1", spec=spec)


def _pod(**container: Any) -> Data:
    return _object("Pod", spec={"containers": [{"name": "main", "image": "example/app:1", **container}]})


def _annotated(text: str) -> Data:
    return _object("Service") | {"metadata": {"name": "x", "annotations": {"example.com/notes": text}}}


def _check(planted: Data) -> Data:
    """No secret comes out, the object stays as it was, and masking again changes nothing."""
    before = copy.deepcopy(planted)
    shown = mask(planted)
    said = json.dumps(shown, ensure_ascii=False)
    assert SECRET not in said
    assert base64.b64encode(SECRET.encode()).decode()[:-1] not in said
    assert planted == before
    assert mask(shown) == shown
    return shown


@pytest.mark.parametrize("text", MANIFESTS.values(), ids=MANIFESTS)
def test_a_secret_manifest_inside_any_text_is_masked_as_a_secret(text: str) -> None:
    _check(_config_map(text))
    _check(_annotated(text))
    _check(_custom(values=text))
    _check(_custom(manifests=[text]))
    _check(_pod(args=["apply", text]))
    _check(_pod(env=[{"name": "MANIFEST", "value": text}]))


def test_a_secret_object_inside_a_custom_resource_or_helm_values_is_masked_as_a_secret() -> None:
    secret = _object("Secret", stringData={"greeting": SECRET})
    _check(_custom(template=secret))
    _check(_custom(values={"extraObjects": [secret]}))
    _check(_custom(resource={"kind": "Secret", "data": {"greeting": SECRET}}))
    _check(_object("Kustomization", "example.com/v1", secretGenerator=[{"literals": [f"greeting={SECRET}"]}]))
    _check(_object("ControllerRevision", "apps/v1", data={"spec": {"template": _pod(args=["--token", SECRET])}}))


@pytest.mark.parametrize("text", MARKUP.values(), ids=MARKUP)
def test_elements_and_attributes_of_xml_are_masked_by_their_names(text: str) -> None:
    _check(_config_map(text))
    _check(_annotated(text))


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_configuration_of_every_common_form_is_masked_by_its_names(text: str) -> None:
    _check(_config_map(text))
    _check(_custom(config=text))


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_secret_at_its_place_on_a_command_line_is_masked(command: str) -> None:
    _check(_config_map(f"#!/bin/sh\nset -e\n{command}\n"))
    _check(_pod(command=["sh", "-c", command]))
    _check(_pod(lifecycle={"postStart": {"exec": {"command": ["sh", "-c", command]}}}))


@pytest.mark.parametrize(("name", "value"), PAIRS)
def test_a_pair_is_masked_under_any_pair_of_words(name: str, value: str) -> None:
    _check(_custom(parameters=[{name: "DB_PASSWORD", value: SECRET}]))
    _check(_custom(parameters=[{value: SECRET, "type": "string", name: "apiToken", "required": True}]))
    _check(_config_map(f"parameters:\n  - {name}: DB_PASSWORD\n    {value}: {SECRET}\n"))
    _check(_config_map(json.dumps({"parameters": [{name: "DB_PASSWORD", value: SECRET}]})))


@pytest.mark.parametrize(
    "container",
    [
        {"args": [f"--db-password={SECRET}"]},
        {"args": ["--db-password", SECRET]},
        {"args": ["--set", f"auth.password={SECRET}"]},
        {"args": [f"-Ddb.password={SECRET}"]},
        {"args": [f"--dsn=postgres://a:{SECRET}@h/x"]},
        {"args": ["--header", f"Authorization: Bearer {SECRET}abc1"]},
        {"env": [{"name": "DATABASE_URL", "value": f"postgres://app:{SECRET}@db/x"}]},
        {"env": [{"name": "JAVA_OPTS", "value": f"-Xmx1g -Dkey.password={SECRET} -Dmode=x"}]},
        {"env": [{"name": "APP_JSON", "value": json.dumps({"db": {"password": SECRET}})}]},
        {"image": f"https://me:{SECRET}@registry.example/x:1"},
        {"image": f"me:{SECRET}@registry.example/x:1"},
        {"livenessProbe": {"httpGet": {"path": f"/healthz?token={SECRET}"}}},
        {"livenessProbe": {"httpGet": {"httpHeaders": [{"name": "X-Api-Key", "value": SECRET}]}}},
        {"livenessProbe": {"exec": {"command": ["redis-cli", "-a", SECRET, "ping"]}}},
    ],
)
def test_every_place_of_a_container_is_judged_by_name_and_form(container: Data) -> None:
    _check(_pod(**container))
    _check(_object("Deployment", "apps/v1", spec={"template": _pod(**container)}))
    _check(_custom(template=_pod(**container)["spec"]))


@pytest.mark.parametrize(
    "spec",
    [
        {"auth": {"username": "me", "password": SECRET}},
        {"secrets": {"database": SECRET, "user": SECRET}},
        {"passwords": {"admin": SECRET}},
        {"credentials": {"username": "me", "anything": SECRET}},
        {"env": {"DB_PASSWORD": {"value": SECRET}}},
        {"containers": [{"name": "a"}], "parameters": [{"name": "DB_PASSWORD", "value": SECRET}]},
        {"headers": ["X-Api-Key: " + SECRET]},
        {"params": [{"name": "tokens", "value": [SECRET]}]},
    ],
)
def test_fields_of_a_custom_resource_are_judged_by_their_names(spec: Data) -> None:
    _check(_custom(**spec))


def test_the_default_of_a_secret_field_in_a_schema_is_masked() -> None:
    password = {"type": "string", "description": "The password.", "default": SECRET, "example": SECRET}
    schema = {"properties": {"spec": {"properties": {"password": password, "size": {"default": 3}}}}}
    versions = [{"name": "v1", "schema": {"openAPIV3Schema": schema}}]
    shown = _check(_object("CustomResourceDefinition", "apiextensions.k8s.io/v1", spec={"versions": versions}))
    fields = shown["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    assert fields["password"]["description"] == "The password."
    assert fields["size"] == {"default": 3}


def test_parameters_of_storage_are_judged_by_their_names() -> None:
    volume = {"name": "v", "csi": {"driver": "d", "volumeAttributes": {"password": SECRET, "share": "a"}}}
    _check(_object("Pod", spec={"volumes": [volume]}))
    _check(_object("PersistentVolume", spec={"mountOptions": ["username=x", f"password={SECRET}"]}))
    _check(_object("StorageClass", "storage.k8s.io/v1", parameters={"adminSecret": SECRET, "pool": "a"}))


def test_only_the_secret_part_of_an_address_is_hidden() -> None:
    shown = mask(_pod(env=[{"name": "DATABASE", "value": f"postgres://app:{SECRET}@db:5432/x?sslmode=require"}]))
    assert shown["spec"]["containers"][0]["env"][0]["value"] == "postgres://app:‹redacted›@db:5432/x?sslmode=require"
    words = mask_arguments([f"--upstream=https://me:{SECRET}@example.com/x", "--port=80"])
    assert words == ["--upstream=https://me:‹redacted›@example.com/x", "--port=80"]


def test_a_masked_document_keeps_its_layout_its_comments_and_its_other_values() -> None:
    text = (
        f"# who\nuser: me  # here\npassword: '{SECRET}'\nlist:\n  - name: API_TOKEN\n    value: \"{SECRET}\"\nport: 1\n"
    )
    expected = text.replace(SECRET, "‹redacted›")
    assert mask_text(text) == expected
    indented = json.dumps({"user": "me", "nested": {"password": SECRET}}, indent=2)
    assert json.loads(mask_text(indented)) == {"user": "me", "nested": {"password": "‹redacted›"}}
    found = yaml.safe_load(mask_text(MANIFESTS["yaml in a block"]))
    assert yaml.safe_load(found["manifest"])["metadata"] == {"name": "s"}


def test_a_key_that_stands_twice_hides_no_secret() -> None:
    for text in (f'{{"password": "{SECRET}", "password": true}}', f"password: {SECRET}\npassword: true\n"):
        _check(_config_map(text))
