"""What an attack on content is: objects that are sent, what is there before, and the fact that a person must read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
CORE, APPS, RBAC, NETWORK = "v1", "apps/v1", "rbac.authorization.k8s.io/v1", "networking.k8s.io/v1"
LABELS = {"app": "web"}
# Kinds that the sandbox does not serve by itself: plural, and whether they have namespaces.
KINDS: Mapping[tuple[str, str], tuple[str, bool]] = {
    ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"): ("mutatingwebhookconfigurations", False),
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"): ("validatingwebhookconfigurations", False),
    ("apiregistration.k8s.io/v1", "APIService"): ("apiservices", False),
    ("certificates.k8s.io/v1", "CertificateSigningRequest"): ("certificatesigningrequests", False),
    ("scheduling.k8s.io/v1", "PriorityClass"): ("priorityclasses", False),
    ("node.k8s.io/v1", "RuntimeClass"): ("runtimeclasses", False),
    ("flowcontrol.apiserver.k8s.io/v1", "FlowSchema"): ("flowschemas", False),
    ("resource.k8s.io/v1", "ResourceClaim"): ("resourceclaims", True),
    ("argoproj.io/v1alpha1", "Application"): ("applications", True),
    ("kustomize.toolkit.fluxcd.io/v1", "Kustomization"): ("kustomizations", True),
    ("kubernetes.crossplane.io/v1alpha2", "Object"): ("objects", False),
    ("tekton.dev/v1", "TaskRun"): ("taskruns", True),
    ("kubevirt.io/v1", "VirtualMachine"): ("virtualmachines", True),
    ("kyverno.io/v2", "PolicyException"): ("policyexceptions", True),
    ("helm.cattle.io/v1", "HelmChart"): ("helmcharts", True),
    ("example.dev/v1", "Application"): ("exampleapplications", True),
    ("keda.sh/v1alpha1", "ScaledObject"): ("scaledobjects", True),
    ("networking.istio.io/v1alpha3", "EnvoyFilter"): ("envoyfilters", True),
    ("gateway.networking.k8s.io/v1beta1", "ReferenceGrant"): ("referencegrants", True),
    ("external-secrets.io/v1alpha1", "PushSecret"): ("pushsecrets", True),
}


@dataclass(frozen=True, kw_only=True)
class Content:
    """An attack.

    Attributes:
        name: What it tries, as a sentence.
        sent: The objects that the model sends.
        fact: What the question must hold.
        source: The advisory or report that it comes from. None: made for klepaas.
        there: The objects before.
    """

    name: str
    sent: tuple[Json, ...]
    fact: str
    source: str | None = None
    there: tuple[Json, ...] = ()


def attack(name: str, *sent: Json, fact: str, source: str | None = None, there: Any = ()) -> Content:
    """An attack on content."""
    before = (there,) if isinstance(there, dict) else tuple(there)
    return Content(name=name, sent=sent, fact=fact, source=source, there=before)


def obj(version: str, kind: str, name: str = "web", **content: Any) -> Json:
    """An object; `namespace` and `metadata` in the content go to its metadata."""
    metadata = {"name": name, **content.pop("metadata", {})}
    if "namespace" in content:
        metadata["namespace"] = content.pop("namespace")
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **content}


def web(image: str = "example/app:1", container: Json | None = None, **pod: Any) -> Json:
    """A Deployment of one container."""
    spec = {"containers": [{"name": "web", "image": image, **(container or {})}], **pod}
    template = {"metadata": {"labels": LABELS}, "spec": spec}
    return obj(APPS, "Deployment", spec={"replicas": 2, "selector": {"matchLabels": LABELS}, "template": template})


def secure(**context: Any) -> Json:
    """A container with such a security context."""
    return {"securityContext": context}


def volume(source: Json) -> Json:
    """A pod with one volume, mounted."""
    return {"volumes": [{"name": "v", **source}]}


def annotated(kind: str, version: str, key: str, value: str, **content: Any) -> Json:
    return obj(version, kind, metadata={"annotations": {key: value}}, **content)


def ingress(key: str = "", value: str = "", path: str = "/") -> Json:
    """An Ingress with an annotation of nginx."""
    notes = {"annotations": {f"nginx.ingress.kubernetes.io/{key}": value}} if key else {}
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    rule = {
        "host": "a.example",
        "http": {"paths": [{"path": path, "pathType": "ImplementationSpecific", "backend": backend}]},
    }
    return obj(NETWORK, "Ingress", metadata=notes, spec={"rules": [rule]})


def service(**spec: Any) -> Json:
    return obj(CORE, "Service", spec={"selector": LABELS, "ports": [{"port": 80}], **spec})


def rule(verbs: str, resources: str, group: str = "") -> Json:
    return {"apiGroups": [group], "verbs": verbs.split(), "resources": resources.split()}


def role(*rules: Json, kind: str = "ClusterRole", name: str = "app", **metadata: Any) -> Json:
    return obj(RBAC, kind, name, metadata=metadata, rules=list(rules))


def binding(role_kind: str, role_name: str, *subjects: Json, kind: str = "ClusterRoleBinding", name: str = "b") -> Json:
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": role_name}
    return obj(RBAC, kind, name, roleRef=reference, subjects=list(subjects))


def group(name: str) -> Json:
    return {"kind": "Group", "name": name, "apiGroup": "rbac.authorization.k8s.io"}


def user(name: str) -> Json:
    return {**group(name), "kind": "User"}


def account(name: str, namespace: str = "default") -> Json:
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}


def namespace(name: str = "shop", **labels: str) -> Json:
    return obj(CORE, "Namespace", name, metadata={"labels": labels})
