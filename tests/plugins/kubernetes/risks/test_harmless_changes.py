"""Ordinary changes raise nothing: deployments of a new image, and the objects of an ordinary application."""

from typing import Any

import pytest

from klepaas.changes import Action, ObjectChange, ObjectIdentity
from klepaas.effects import Effect
from klepaas_plugins.kubernetes.risks import ABSENT, Known, Ref, judge

from .objects import CONTAINER, LABELS, POD, Json, at, deployment, made, service


class Empty(Known):
    """A cluster in which nothing else is."""

    def _look(self, ref: Ref) -> Any:
        return [] if ref.name is None else ABSENT


def raised(before: Json | None, after: Json) -> list[str]:
    """What raises the effect of a change."""
    metadata = after["metadata"]
    identity = ObjectIdentity(
        kind=after["kind"], name=metadata["name"], namespace=metadata.get("namespace"), api_version=after["apiVersion"]
    )
    action = Action.CREATE if before is None else Action.UPDATE
    change = ObjectChange(identity=identity, action=action, before=before, after=after, body=after)
    (judged,) = judge([change], Empty())
    return [risk.text for risk in judged.risks if risk.severity is Effect.DESTRUCTIVE]


PRIVATE = {"allowPrivilegeEscalation": False, "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}}
HELM = {"labels": {"app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": "web-1.0"}}
TLS = {"cert-manager.io/cluster-issuer": "le", "nginx.ingress.kubernetes.io/rewrite-target": "/$2"}
PATHS = [{"path": "/api(/|$)(.*)", "pathType": "ImplementationSpecific", "backend": {"service": {"name": "web"}}}]
MOUNTS = [
    {"name": "config", "configMap": {"name": "web"}},
    {"name": "tmp", "emptyDir": {}},
    {"name": "data", "persistentVolumeClaim": {"claimName": "web"}},
    {"name": "tls", "secret": {"secretName": "web-tls"}},
]
ORDINARY: dict[str, Json] = {
    "a Deployment": deployment(),
    "a hardened Deployment of Helm": {**at(deployment(), f"{CONTAINER} securityContext", PRIVATE)},
    "a Deployment with volumes": deployment(volumes=MOUNTS, imagePullSecrets=[{"name": "registry"}]),
    "a Deployment with its own service account": deployment(serviceAccountName="web"),
    "a Deployment that tolerates its pool": deployment(tolerations=[{"key": "pool", "operator": "Exists"}]),
    "a Service": service(),
    "a Service with a load balancer": service(type="LoadBalancer"),
    "an Ingress": made("networking.k8s.io/v1", "Ingress", metadata={"annotations": TLS}, spec={
        "rules": [{"host": "*.example.com", "http": {"paths": PATHS}}]}),
    "a ConfigMap": made("v1", "ConfigMap", metadata=HELM, data={"app.conf": "listen 80; server { location / {} }"}),
    "a Secret": made("v1", "Secret", type="Opaque", data={"password": "aHVudGVyMg=="}),
    "a ServiceAccount": made("v1", "ServiceAccount", metadata=HELM, imagePullSecrets=[{"name": "registry"}]),
    "a Namespace": made("v1", "Namespace", "shop", None, metadata={"labels": {"team": "shop"}}),
    "a restricted Namespace": made("v1", "Namespace", "shop", None, metadata={
        "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}),
    "an autoscaler": made("autoscaling/v2", "HorizontalPodAutoscaler", spec={"minReplicas": 1, "maxReplicas": 5}),
    "a budget": made("policy/v1", "PodDisruptionBudget", spec={"minAvailable": 1}),
    "a claim": made("v1", "PersistentVolumeClaim", spec={"resources": {"requests": {"storage": "1Gi"}}}),
    "a NetworkPolicy": made("networking.k8s.io/v1", "NetworkPolicy", spec={
        "podSelector": LABELS, "ingress": [{"from": [{"podSelector": LABELS}]}]}),
    "a Job": made("batch/v1", "Job", spec={
        "ttlSecondsAfterFinished": 3600, "template": {"spec": {"containers": [{"name": "j", "image": "x"}]}}}),
    "a definition": made("apiextensions.k8s.io/v1", "CustomResourceDefinition", "t.x.dev", None, spec={
        "group": "x.dev", "names": {"kind": "T"}, "versions": [{"name": "v1", "schema": {"openAPIV3Schema": {
            "properties": {
                "hostPath": {"type": "object"}, "privileged": {"type": "boolean"}, "seLinuxOptions": {"type": "object"},
                "ttlStrategy": {"type": "object"}, "rules": [{"verbs": ["*"], "resources": ["*"]}]}}}}]}),
    "a custom resource": made("example.dev/v1", "Database", spec={"version": 15, "replicas": 3, "storage": "10Gi"}),
    "a certificate": made("cert-manager.io/v1", "Certificate", spec={"secretName": "web-tls", "dnsNames": ["a.b"]}),
    "a ServiceMonitor": made("monitoring.coreos.com/v1", "ServiceMonitor", spec={"endpoints": [{"port": "http"}]}),
    "a StatefulSet": made("apps/v1", "StatefulSet", spec={
        "replicas": 3, "volumeClaimTemplates": [made("v1", "PersistentVolumeClaim", "data", spec={})],
        "template": {"spec": {"containers": [{"name": "db", "image": "db:1"}], "securityContext": {"fsGroup": 1}}}}),
}  # fmt: skip


@pytest.mark.parametrize("case", ORDINARY)
def test_creating_an_ordinary_object_raises_nothing(case: str) -> None:
    assert raised(None, ORDINARY[case]) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (f"{CONTAINER} image", "example/app:2"),
        (f"{CONTAINER} image", "registry.example/app:2"),
        (f"{CONTAINER} resources", {"limits": {"memory": "1Gi"}}),
        (f"{CONTAINER} env", [{"name": "MODE", "value": "fast"}]),
        (f"{POD} terminationGracePeriodSeconds", 60),
        ("spec replicas", 5),
        ("spec replicas", 1),
        ("metadata labels", {"team": "shop"}),
        ("spec template metadata annotations", {"kubectl.kubernetes.io/restartedAt": "2026-11-30T00:00:00Z"}),
        (f"{POD} imagePullSecrets", [{"name": "registry"}]),
    ],
)
def test_an_ordinary_update_of_an_application_raises_nothing(path: str, value: Any) -> None:
    assert raised(deployment(), at(deployment(), path, value)) == []


def test_a_new_image_of_a_privileged_agent_from_the_same_repository_raises_nothing() -> None:
    before = deployment("example/agent:1", hostNetwork=True, volumes=[{"name": "r", "hostPath": {"path": "/"}}])
    assert raised(before, at(before, f"{CONTAINER} image", "example/agent:2")) == []


def test_the_order_of_containers_and_volumes_does_not_matter() -> None:
    spec = {"containers": [{"name": "a", "securityContext": {"privileged": True}}, {"name": "b"}]}
    before, after = (made("v1", "Pod", spec={**spec, "containers": spec["containers"][::step]}) for step in (1, -1))
    assert raised(before, after) == []


@pytest.mark.parametrize("finalizer", ["kubernetes", "kubernetes.io/pvc-protection", "kubernetes.io/pv-protection"])
def test_finalizers_of_the_server_itself_are_not_named(finalizer: str) -> None:
    obj = made("v1", "PersistentVolumeClaim", metadata={"finalizers": [finalizer]}, spec={})
    identity = ObjectIdentity(kind="PersistentVolumeClaim", name="web", namespace="shop", api_version="v1")
    change = ObjectChange(identity=identity, action=Action.CREATE, after=obj, body=obj)
    assert judge([change], Empty())[0].risks == ()
