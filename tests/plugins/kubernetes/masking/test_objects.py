import base64
import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from klepaas.output.redaction import MARK, is_secret_name
from klepaas_plugins.kubernetes.masking import is_harmless, mask, mask_arguments, mask_text

Place = Callable[[str], dict[str, Any]]


def _meta(kind: str, **rest: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "x", "namespace": "n"}, **rest}


def _pod(**container: Any) -> dict[str, Any]:
    return _meta("Pod", spec={"containers": [{"name": "main", "image": "example/app:1", **container}]})


def _template(**container: Any) -> dict[str, Any]:
    return _meta("Deployment", spec={"template": {"spec": {"initContainers": [{"name": "i", **container}]}}})


def _annotated(name: str, text: str) -> dict[str, Any]:
    return {**_meta("Service"), "metadata": {"name": "x", "annotations": {name: text}}}


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


# Each puts a secret somewhere in an object; none of them may survive.
PLACES: dict[str, Place] = {
    "secret data": lambda s: _meta("Secret", data={"key": _b64(s)}),
    "secret data that is not base64": lambda s: _meta("Secret", data={"key": s}),
    "secret stringData": lambda s: _meta("Secret", stringData={"key": s}),
    "secret in a list": lambda s: {
        "kind": "SecretList",
        "items": [{"metadata": {"name": "x"}, "data": {"k": _b64(s)}}],
    },
    "secret in a mixed list": lambda s: {"kind": "List", "items": [_meta("Secret", stringData={"k": s})]},
    "secret inside another object": lambda s: _meta("Work", spec={"manifests": [_meta("Secret", data={"k": s})]}),
    "docker configuration": lambda s: _meta(
        "Secret", data={".dockerconfigjson": _b64(json.dumps({"auths": {"r": {"auth": s}}}))}
    ),
    "helm release": lambda s: _meta("Secret", type="helm.sh/release.v1", data={"release": _b64(s)}),
    "helm release in a config map": lambda s: {
        **_meta("ConfigMap", data={"release": s}),
        "metadata": {"name": "x", "labels": {"owner": "helm"}},
    },
    "last applied": lambda s: _annotated(
        "kubectl.kubernetes.io/last-applied-configuration", json.dumps({"stringData": {"k": s}})
    ),
    "last applied elsewhere": lambda s: (
        _template() | {"spec": {"template": {"metadata": {"annotations": {"acme.io/last-applied-config": s}}}}}
    ),
    "managed fields": lambda s: {**_meta("Pod"), "metadata": {"name": "x", "managedFields": [{"manager": s}]}},
    "annotation with a secret name": lambda s: _annotated("acme.io/api-token", s),
    "annotation with an address": lambda s: _annotated("acme.io/url", f"postgres://user:{s}@db:5432/x"),
    "annotation with a document": lambda s: _annotated(
        "acme.io/spec", json.dumps({"env": [{"name": "DB_PASSWORD", "value": s}], "password": s})
    ),
    "environment": lambda s: _pod(env=[{"name": "DB_PASSWORD", "value": s}]),
    "environment of a template": lambda s: _template(env=[{"name": "DB_PASSWORD", "value": s}]),
    "environment as a mapping": lambda s: _meta("App", spec={"env": {"DB_PASSWORD": s}}),
    "environment as words": lambda s: _meta("App", spec={"environment": [f"DB_PASSWORD={s}"]}),
    "flag": lambda s: _pod(args=[f"--password={s}"]),
    "flag and value": lambda s: _pod(args=["--api-key", s, "--verbose"]),
    "flag in a shell": lambda s: _pod(command=["sh", "-c", f"export TOKEN={s}\nrun --db-password {s} -v"]),
    "short flag": lambda s: _pod(command=["sh", "-c", f"mysql -uroot -p{s} -h db"]),
    "user of curl": lambda s: _pod(command=["curl", "-u", f"me:{s}", "https://x"]),
    "probe header": lambda s: _pod(
        livenessProbe={"httpGet": {"httpHeaders": [{"name": "Authorization", "value": f"Bearer {s}"}]}}
    ),
    "config map key": lambda s: _meta("ConfigMap", data={"DB_PASSWORD": s}),
    "config map binary": lambda s: _meta("ConfigMap", binaryData={"x": _b64(s)}),
    "yaml": lambda s: _meta("ConfigMap", data={"a.yaml": f"db:\n  user: me\n  password: {s}\n"}),
    "yaml of several words": lambda s: _meta("ConfigMap", data={"a.yaml": f"password: it is {s}, really\n"}),
    "yaml block": lambda s: _meta("ConfigMap", data={"a.yaml": f"password: |\n  one\n  {s}\nuser: me\n"}),
    "yaml list": lambda s: _meta("ConfigMap", data={"a.yaml": f"tokens:\n- first\n- {s}\n"}),
    "yaml quoted": lambda s: _meta("ConfigMap", data={"a.yaml": f'  "password" : "it is {s}",\n'}),
    "properties": lambda s: _meta("ConfigMap", data={"app.properties": f"db.url=x\ndb.password={s}\n"}),
    "properties with spaces": lambda s: _meta("ConfigMap", data={"app.conf": f"requirepass {s}\nmasterauth {s}\n"}),
    "address in a file": lambda s: _meta("ConfigMap", data={"x": f"broker = amqp://me:{s}@mq:5672/\n"}),
    "json": lambda s: _meta("ConfigMap", data={"a.json": json.dumps({"db": {"password": f"it is {s}"}})}),
    "json list": lambda s: _meta("ConfigMap", data={"a.json": json.dumps({"tokens": ["a", s]})}),
    "xml": lambda s: _meta("ConfigMap", data={"a.xml": f"<db><password>{s}</password></db>"}),
    "a manifest in a text": lambda s: _meta(
        "ConfigMap", data={"pod.yaml": f"env:\n- name: DB_PASSWORD\n  value: {s}\n"}
    ),
    "kubeconfig": lambda s: _meta(
        "ConfigMap", data={"kubeconfig": f"users:\n- name: u\n  user:\n    token: {s}\n    client-key-data: {s}\n"}
    ),
    "private key": lambda s: _meta(
        "ConfigMap", data={"k": f"-----BEGIN RSA PRIVATE KEY-----\n{s}\n-----END RSA PRIVATE KEY-----\n"}
    ),
    "custom resource": lambda s: _meta("Database", spec={"auth": {"username": "me", "password": s}}),
    "custom resource, deep": lambda s: _meta("Database", spec={"x": [{"y": {"clientSecret": {"value": s}}}]}),
    "custom resource, list": lambda s: _meta("Database", spec={"tokens": [s, {"literal": s}]}),
    "custom resource, number": lambda s: _meta("Database", spec={"pin": s}),
    "custom resource, pair": lambda s: _meta("Database", spec={"settings": [{"name": "adminPassword", "value": s}]}),
    "custom resource, address": lambda s: _meta("Database", spec={"url": f"redis://:{s}@cache:6379"}),
    "webhook": lambda s: _meta("Alert", spec={"webhookUrl": f"https://hooks.example/{s}"}),
}
_SECRETS = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=6, max_size=24).map(
    lambda text: f"Zq{text}7"
)


def _renderings(obj: Any) -> str:
    return json.dumps(obj, ensure_ascii=False) + yaml.safe_dump(obj, allow_unicode=True)


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@settings(max_examples=25, deadline=None)
@given(secret=_SECRETS)
def test_a_planted_secret_survives_nowhere(place: Place, secret: str) -> None:
    planted = place(secret)
    before = copy.deepcopy(planted)
    shown = _renderings(mask(planted))
    assert secret not in shown
    assert _b64(secret) not in shown
    assert planted == before


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_masking_twice_is_masking_once(place: Place) -> None:
    once = mask(place("Canary7Canary7"))
    assert mask(once) == once


_LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=40)
_KEYS = st.sampled_from(
    [
        *("kind", "metadata", "annotations", "data", "stringData", "env", "args", "command", "name", "value", "items"),
        *("password", "token", "spec", "secretRef", "labels", "apiVersion", "auth", "path"),
    ]
) | st.text(max_size=8)
_TREES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4), max_leaves=20
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(_KEYS, _TREES, max_size=5), st.sampled_from(["Secret", "ConfigMap", "Pod", "SecretList", "X"]))
def test_any_object_can_be_masked_and_stays_as_it_was(tree: dict[str, Any], kind: str) -> None:
    obj = {**tree, "kind": kind}
    before = copy.deepcopy(obj)
    once = mask(obj)
    assert obj == before
    assert mask(once) == once


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ab: =-\n'\"|>{}[],<>/$password token\t#"), max_size=80))
def test_masking_any_text_twice_is_masking_it_once(text: str) -> None:
    once = mask_text(text)
    assert mask_text(once) == once


def test_what_is_no_secret_stays_readable() -> None:
    deployment = _meta(
        "Deployment",
        spec={
            "template": {
                "spec": {
                    "serviceAccountName": "web",
                    "automountServiceAccountToken": False,
                    "imagePullSecrets": [{"name": "registry"}],
                    "volumes": [
                        {"name": "v", "secret": {"secretName": "tls", "items": [{"key": "a", "path": "b"}]}},
                        {"name": "p", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
                    ],
                    "containers": [
                        {
                            "name": "main",
                            "image": "registry.example/team/web@sha256:" + "0a" * 32,
                            "args": ["--port=8080", "--log-level", "debug", "serve"],
                            "env": [
                                {"name": "LOG_LEVEL", "value": "debug"},
                                {"name": "PORT", "value": "8080"},
                                {"name": "DEBUG", "value": "true"},
                                {"name": "DB_HOST", "value": "db.team.svc.cluster.local:5432"},
                                {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}},
                            ],
                        }
                    ],
                }
            }
        },
        status={"conditions": [{"type": "Available", "message": "Deployment has minimum availability."}]},
    )
    assert mask(deployment) == deployment
    pod = _meta("Pod") | {"metadata": {"name": "x", "uid": "3836ebab-7388-4823-a0e7-7d109bd1bcce"}}
    assert mask(pod) == pod
    settings_map = _meta("ConfigMap", data={"app.yaml": "log:\n  level: debug\nport: 8080\n", "feature": "on"})
    assert mask(settings_map) == settings_map


def test_a_definition_of_a_custom_resource_keeps_its_schema() -> None:
    schema = {"properties": {"password": {"type": "string", "description": "the password"}}}
    definition = _meta("CustomResourceDefinition", spec={"versions": [{"schema": {"openAPIV3Schema": schema}}]})
    assert mask(definition) == definition


def test_a_secret_tells_its_keys_and_their_sizes() -> None:
    shown = mask(_meta("Secret", type="Opaque", data={"password": _b64("hello"), "empty": ""}))
    assert shown["data"] == {"password": f"{MARK} (5 bytes)", "empty": f"{MARK} (0 bytes)"}
    assert shown["type"] == "Opaque"


def test_a_value_that_only_begins_with_the_mark_is_masked() -> None:
    shown = mask(_meta("Secret", stringData={"k": f"{MARK} canary"}))
    assert "canary" not in _renderings(shown)


def test_a_text_keeps_its_form() -> None:
    text = 'user: me\npassword: "x y"\nport: 1\n'
    assert mask_text(text) == f'user: me\npassword: "{MARK}"\nport: 1\n'
    assert yaml.safe_load(mask_text(text))["user"] == "me"
    assert mask_text("password: ${PASSWORD}\n") == "password: ${PASSWORD}\n"
    assert "canary" not in mask_text("password: ${PASSWORD:-canary}\n")


def test_command_lines_keep_what_is_no_secret() -> None:
    words = ["run", "--password", "x", "--token=y", "--port", "80", "-v"]
    assert mask_arguments(words) == ["run", "--password", MARK, f"--token={MARK}", "--port", "80", "-v"]


@pytest.mark.parametrize(
    "name", ["DB_PASSWORD", "dbpassword", "apiKey", "tokens", "requirepass", "a.io/token", "PGPASS"]
)
def test_names_of_secrets_are_known(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["LOG_LEVEL", "replicas", "secretName", "passed", "tokenizer"])
def test_other_names_are_left_alone(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "value", ["true", "8080", "30s", "512Mi", "info", "web.team.svc", "http://web.team.svc:80", ""]
)
def test_plain_values_are_harmless(value: str) -> None:
    assert is_harmless(value)


@pytest.mark.parametrize(
    "value", ["hunter2", "1234567", "correct horse", "postgres://u:p@db", "s3cr3t", "db.example.com"]
)
def test_other_values_are_not(value: str) -> None:
    assert not is_harmless(value)
