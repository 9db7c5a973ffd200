"""What is no secret stays readable: labels, selectors, enumerations, the usual variables, arguments, annotations."""

import copy
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.processor_time import least_processor_s

from klepaas.testing import time_budget
from klepaas_plugins.kubernetes.masking import mask, mask_text

VARIABLES = {
    "REGION": "ap-northeast-2",
    "HOST": "db.team.example.com",
    "API_URL": "https://api.example.com/v1/orders?page=2",
    "JAVA_OPTS": "-Xms512m -Xmx2g -XX:+UseG1GC -Dspring.profiles.active=prod -Dfile.encoding=UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LOG_FORMAT": "json",
    "TZ": "Asia/Seoul",
    "LANG": "en_US.UTF-8",
    "GOMAXPROCS": "2",
    "NODE_ENV": "production",
    "NODE_OPTIONS": "--max-old-space-size=4096",
    "KAFKA_BROKERS": "kafka-0.kafka:9092,kafka-1.kafka:9092",
    "REDIS_URL": "redis://cache.team.svc.cluster.local:6379/0",
    "DATABASE_URL": "postgres://db:5432/orders",
    "S3_BUCKET": "acme-prod-assets-2024",
    "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/Web2Role",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/secrets/eks.amazonaws.com/serviceaccount/token",
    "TOKEN_TTL": "15m",
    "MAX_TOKENS": "4096",
    "AUTH_MODE": "oidc",
    "AUTH_ISSUER": "https://login.example.com/realms/shop",
    "PASSWORD_POLICY": "length(12)",
    "DB_PASSWORD_FILE": "/run/secrets/db-password",
    "DB_PASSWORD": "$(DB_PASSWORD_FROM_SECRET)",
    "COOKIE_DOMAIN": "example.com",
    "GIT_COMMIT": "9fceb02d0ae598e95dc970b74767f19372d61af8",
    "IMAGE_DIGEST": "sha256:" + "0a1b" * 16,
    "INSTANCE_TYPE": "Standard_D4s_v3",
    "TLS_CIPHERS": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_AES_256_GCM_SHA384",
    "OTEL_RESOURCE_ATTRIBUTES": "service.name=web,service.version=1.4.2,deployment.environment=prod",
    "FEATURES": "checkout-v2,search",
    "GREETING": "Welcome to the shop!",
    "CLUSTER_ID": "3836ebab-7388-4823-a0e7-7d109bd1bcce",
}
ARGUMENTS = [
    "--log-level=info",
    "--leader-elect",
    "--token-ttl=15m",
    "--v=2",
    "--port",
    "8080",
    "serve",
    "--config=/etc/app/config.yaml",
    "--authorization-mode=Node,RBAC",
    "--client-ca-file=/etc/kubernetes/pki/ca.crt",
    "--secret-name=web-tls",
    "--service-account-key-file=/etc/kubernetes/pki/sa.pub",
    "--bind-address=0.0.0.0",
    "--metrics-addr=:8080",
    "--enable-admission-plugins=NodeRestriction",
    "--cert-dir=/tmp",
    "--kubelet-preferred-address-types=InternalIP",
    "--storage.tsdb.retention.time=15d",
    "--web.enable-lifecycle",
    "--upstream=http://localhost:9000/",
    "--password-file=/run/secrets/db",
    "--auth-mode",
    "server",
    "--tls-secret=web-tls",
    "--default-ssl-certificate=web/tls",
    "--publish-service=$(POD_NAMESPACE)/ingress-nginx",
    "-c",
    "/etc/x.conf",
    "--password=$(DB_PASSWORD)",
]
ANNOTATIONS = {
    "checksum/config": "4e1243bd22c66e76c2ba9eddc1f91394e57f9f83f0e7c4a5b0d8b5e0a1b2c3d4",
    "prometheus.io/scrape": "true",
    "prometheus.io/port": "9102",
    "prometheus.io/path": "/metrics",
    "nginx.ingress.kubernetes.io/rewrite-target": "/$2",
    "nginx.ingress.kubernetes.io/auth-type": "basic",
    "nginx.ingress.kubernetes.io/auth-secret": "basic-auth",
    "nginx.ingress.kubernetes.io/auth-realm": "Authentication Required",
    "nginx.ingress.kubernetes.io/auth-tls-verify-depth": "1",
    "nginx.ingress.kubernetes.io/affinity": "cookie",
    "nginx.ingress.kubernetes.io/session-cookie-name": "route",
    "nginx.ingress.kubernetes.io/session-cookie-max-age": "172800",
    "nginx.ingress.kubernetes.io/proxy-body-size": "8m",
    "cert-manager.io/cluster-issuer": "letsencrypt-prod",
    "kubernetes.io/change-cause": "kubectl set image deployment/web web=registry.example/web:1.2",
    "deployment.kubernetes.io/revision": "3",
    "service.beta.kubernetes.io/aws-load-balancer-ssl-cert": "arn:aws:acm:eu-west-1:1:certificate/0a-1b",
    "eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/web",
    "kubectl.kubernetes.io/restartedAt": "2026-11-21T00:00:00Z",
    "kubectl.kubernetes.io/default-container": "web",
}
LABELS = {
    "app.kubernetes.io/name": "web",
    "environment": "prod",
    "token": "blue",
    "pod-template-hash": "7d9f8b6c5",
    "app.kubernetes.io/managed-by": "Helm",
    "rev": "Zq81aBcD9xYz12",
}


def _deployment() -> dict[str, Any]:
    env = [{"name": name, "value": value} for name, value in VARIABLES.items()]
    env.append({"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}})  # type: ignore[dict-item]
    probe = {"httpGet": {"path": "/healthz", "port": "http", "httpHeaders": [{"name": "X-Probe", "value": "kubelet"}]}}
    container = {
        "name": "auth",
        "image": "registry.example:5000/team/token-service:1.2@sha256:" + "0a1b" * 16,
        "env": env,
        "envFrom": [{"secretRef": {"name": "token-secret"}}, {"prefix": "TOKEN_", "configMapRef": {"name": "x"}}],
        "args": list(ARGUMENTS),
        "readinessProbe": probe,
        "volumeMounts": [{"name": "token", "mountPath": "/var/run/secrets/tokens", "readOnly": True}],
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
        "imagePullPolicy": "IfNotPresent",
    }
    projected = {
        "sources": [{"serviceAccountToken": {"path": "token", "audience": "vault", "expirationSeconds": 3600}}]
    }
    spec = {
        "serviceAccountName": "token-service",
        "automountServiceAccountToken": False,
        "imagePullSecrets": [{"name": "registry-secret"}],
        "nodeSelector": {"environment": "prod", "password": "no"},
        "tolerations": [{"key": "token", "operator": "Equal", "value": "Zq81aBcD9xYz12", "effect": "NoSchedule"}],
        "volumes": [
            {"name": "tls", "secret": {"secretName": "web-tls", "items": [{"key": "tls.key", "path": "key.pem"}]}},
            {"name": "token", "projected": projected},
        ],
        "containers": [container],
    }
    metadata = {"labels": LABELS, "annotations": ANNOTATIONS}
    selector = {"matchLabels": LABELS, "matchExpressions": [{"key": "token", "operator": "In", "values": ["secret"]}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "token-service", "uid": "3836ebab-7388-4823-a0e7-7d109bd1bcce", **metadata},
        "spec": {"selector": selector, "template": {"metadata": metadata, "spec": spec}},
        "status": {"conditions": [{"type": "Progressing", "reason": "NewReplicaSetAvailable", "message": "It runs."}]},
    }


def test_labels_selectors_and_enumerations_are_always_plain() -> None:
    shown = mask(_deployment())
    for path in (("spec", "selector"), ("metadata", "labels")):
        assert shown[path[0]][path[1]] == _deployment()[path[0]][path[1]]
    for field in ("nodeSelector", "tolerations", "volumes", "imagePullSecrets"):
        assert shown["spec"]["template"]["spec"][field] == _deployment()["spec"]["template"]["spec"][field]


@pytest.mark.parametrize(("name", "value"), VARIABLES.items())
def test_a_harmless_variable_stays(name: str, value: str) -> None:
    pod = {"kind": "Pod", "spec": {"containers": [{"name": "a", "env": [{"name": name, "value": value}]}]}}
    assert mask(pod) == pod
    custom = {"apiVersion": "example.com/v1", "kind": "App", "spec": {"env": {name: value}}}
    assert mask(custom) == custom
    assert mask({"kind": "ConfigMap", "data": {name: value}}) == {"kind": "ConfigMap", "data": {name: value}}


@pytest.mark.parametrize(("name", "value"), ANNOTATIONS.items())
def test_a_usual_annotation_stays(name: str, value: str) -> None:
    service = {"kind": "Service", "metadata": {"annotations": {name: value}}}
    assert mask(service) == service


def test_usual_arguments_stay() -> None:
    pod = {"kind": "Pod", "spec": {"containers": [{"name": "a", "args": list(ARGUMENTS)}]}}
    assert mask(pod) == pod


def test_a_usual_deployment_stays_as_it_is() -> None:
    assert mask(_deployment()) == _deployment()


def test_the_same_pod_template_in_a_custom_resource_stays_as_it_is() -> None:
    rollout = {"apiVersion": "example.com/v1", "kind": "Rollout", "spec": _deployment()["spec"]}
    assert mask(rollout) == rollout


def test_an_external_secret_keeps_the_names_of_what_it_reads() -> None:
    data = [{"secretKey": "password", "remoteRef": {"key": "prod/db", "property": "password"}}]
    spec = {"secretStoreRef": {"name": "vault", "kind": "SecretStore"}, "target": {"name": "db"}, "data": data}
    external = {"apiVersion": "example.com/v1", "kind": "ExternalSecret", "spec": spec}
    assert mask(external) == external


_LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=30)
_FIELDS = """
    kind metadata annotations data stringData env args name value items password
    token spec labels auth containers secretGenerator literals key default image command httpHeaders
"""
_WORDS = st.sampled_from(_FIELDS.split())
_TREES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=4), max_leaves=15
)
_KINDS = st.sampled_from(["Secret", "ConfigMap", "Pod", "Deployment", "List", "Custom"])


def _same_shape(before: Any, after: Any) -> bool:
    if isinstance(before, dict):
        kept = {key: value for key, value in before.items() if key != "managedFields"}
        return (
            isinstance(after, dict)
            and kept.keys() == after.keys()
            and all(_same_shape(value, after[key]) for key, value in kept.items())
        )
    if isinstance(before, list):
        return isinstance(after, list) and len(before) == len(after) and all(map(_same_shape, before, after))
    return before == after or isinstance(after, str)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(_WORDS, _TREES, max_size=5), _KINDS)
def test_masking_never_turns_an_object_into_another_shape(tree: dict[str, Any], kind: str) -> None:
    obj = {**tree, "kind": kind}
    before = copy.deepcopy(obj)
    once = mask(obj)
    assert obj == before
    assert _same_shape(obj, once)
    assert mask(once) == once


@settings(max_examples=100, deadline=None)
@given(_TREES)
def test_a_document_in_a_text_keeps_its_shape(tree: Any) -> None:
    text = json.dumps({"spec": tree}, indent=1)
    assert _same_shape(json.loads(text), json.loads(mask_text(text)))


def test_a_large_object_is_masked_in_linear_time() -> None:
    """Four times the text takes about four times as long; measured by the processor's time, whoever else works."""
    entry = "".join(f"key{at}:\n  name: user{at}\n  value: some text {at}\n" for at in range(1000))

    def cost_s(files: int) -> float:
        obj = {"kind": "ConfigMap", "data": {f"file{at}": entry for at in range(files)}}
        return least_processor_s(lambda: mask(obj))

    one, four = cost_s(4), cost_s(16)
    assert four < 8 * one
    assert four < time_budget(4, "0.8 MB would be looked at again and again")


@pytest.mark.parametrize("piece", ["[", "{a: ", "- ", "a: |\n ", '{"a":', "<a>", "kind: Secret\n", "((", "{{ "])
def test_no_repetition_of_anything_stops_masking(piece: str) -> None:
    text = piece * (60_000 // len(piece))
    started = time.thread_time()
    mask({"kind": "ConfigMap", "data": {"x": text}})
    assert time.thread_time() - started < time_budget(4, "a repetition would be looked at again and again")


@pytest.mark.parametrize("depth", [50, 300, 900])
def test_what_is_nested_too_deeply_to_be_masked_is_not_shown(depth: int) -> None:
    nested: Any = {"password": "plumTree9"}
    for _ in range(depth):
        nested = {"a": [nested]}
    custom = {"apiVersion": "example.com/v1", "kind": "App", "metadata": {"name": "x"}, "spec": nested}
    assert "plumTree9" not in str(mask(custom)).replace("...", "")
    text = '{"a":[' * depth + '{"password":"plumTree9"}' + "]}" * depth
    assert "plumTree9" not in str(mask({"kind": "ConfigMap", "data": {"x": text}}))
