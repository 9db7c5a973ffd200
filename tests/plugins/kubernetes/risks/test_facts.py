"""The decisive fields of a new object: named, whole, and without secrets."""

import json
from typing import Any

import pytest

from klepaas_plugins.kubernetes.risks import facts_of

from .objects import Json, account, binding, deployment, made, role, rule, service

SECRET = "S3cr3t-hunter2-value"
CONTAINER: Json = {
    "name": "web",
    "image": "example/app:1",
    "command": ["sh", "-c", "run it"],
    "ports": [{"containerPort": 80, "hostPort": 8080}],
    "env": [
        {"name": "DB_PASSWORD", "value": SECRET},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "db", "key": "t"}}},
    ],
    "envFrom": [{"configMapRef": {"name": "settings"}}],
    "volumeMounts": [{"name": "root", "mountPath": "/host"}],
    "securityContext": {"privileged": True},
}  # fmt: skip
POD = deployment(
    containers=[CONTAINER],
    volumes=[{"name": "root", "hostPath": {"path": "/"}}],
    hostNetwork=True,
    serviceAccountName="web",
)


@pytest.mark.parametrize(
    ("obj", "name", "value"),
    [
        (POD, "container web image", "example/app:1"),
        (POD, "container web command", 'sh -c "run it"'),
        (POD, "container web ports", "80/TCP as port 8080 of the node"),
        (POD, "container web mount /host", 'hostPath {"path": "/"}'),
        (POD, "container web securityContext", '{"privileged": true}'),
        (POD, "hostNetwork", "true"),
        (POD, "serviceAccountName", "web"),
        (service(type="LoadBalancer"), "type", "LoadBalancer"),
        (service(externalIPs=["10.0.0.1"]), "externalIPs", "10.0.0.1"),
        (role(rule("get", "secrets"), rule("*", "*", "*")), "rule 2", "every verb on everything"),
        (binding("ClusterRole", "admin", account()), "role", "ClusterRole admin"),
        (binding("ClusterRole", "admin", account()), "subject", "ServiceAccount shop/web"),
        (made("v1", "ConfigMap", data={"a": "1\n2"}), "data a", "1\n2"),
        (made("v1", "Namespace", metadata={"labels": {"a": "b"}}), "label a", "b"),
        (made("x.dev/v1", "Thing", spec={"a": {"b": [1, 2]}}), "spec.a.b", "1 2"),
        (made("v1", "ConfigMap", metadata={"annotations": {"a": "b"}}), "annotation a", "b"),
        (made("batch/v1", "CronJob", spec={"schedule": "* * * * *"}), "spec.schedule", "* * * * *"),
    ],
)
def test_the_decisive_fields_of_a_new_object_are_named(obj: Json, name: str, value: str) -> None:
    assert dict(facts_of(obj))[name] == value


def test_variables_are_named_with_where_they_come_from() -> None:
    shown = dict(facts_of(POD))
    assert shown["container web variable TOKEN"] == "from secret db t"
    assert shown["container web variables"] == "all of configMap settings"


@pytest.mark.parametrize(
    "obj",
    [
        POD,
        made("v1", "Secret", stringData={"password": SECRET}),
        made("v1", "ConfigMap", data={"app.conf": f"password={SECRET}"}),
        made("x.dev/v1", "Thing", spec={"password": SECRET}),
    ],
)
def test_no_fact_holds_a_secret(obj: Json) -> None:
    assert SECRET not in json.dumps(facts_of(obj))


def test_a_hidden_value_is_named_by_its_size() -> None:
    shown: dict[str, Any] = dict(facts_of(made("v1", "Secret", stringData={"password": SECRET})))
    assert shown["data password"] == f"{len(SECRET)} bytes, hidden, not compared"
