"""Rules about what holds for a namespace or the cluster, and about objects that are credentials."""

import re
from collections.abc import Iterator
from typing import Any

from klepaas.changes import foreign
from klepaas.effects import Effect
from klepaas_plugins.kubernetes.risks.contents import content_of
from klepaas_plugins.kubernetes.risks.marks import LAST_APPLIED
from klepaas_plugins.kubernetes.risks.model import Found, Object, Pair, Rule, child, children

__all__ = ["CLUSTER_RULES"]

_POD_SECURITY = re.compile(r"pod-security\.kubernetes\.io/(enforce|audit|warn)(-version)?")
_LEVELS = ("privileged", "baseline", "restricted")
_SYSTEM = re.compile(r"kube-(?:system|public|node-lease)")
# ConfigMaps that configure a part of the cluster, wherever they stand.
_CONFIGURATION = re.compile(
    r"argocd-(?:cm|rbac-cm|cmd-params-cm|ssh-known-hosts-cm|tls-certs-cm)|aws-auth|coredns.*|kube-dns|kube-proxy.*"
    r"|cluster-info|extension-apiserver-authentication|kubeadm-config|kubelet-config.*|(?=.*ingress-nginx).*controller"
    r"|nginx-configuration|istio(?:-sidecar-injector)?|linkerd-config|calico-config|cilium-config|kyverno"
    r"|feature-flags|config-(?:features|defaults|network|domain|deployment)|(?:tcp|udp)-services|kube-root-ca\.crt"
    r"|workflow-controller-configmap|kiam-.*|kube-flannel-cfg|cluster-autoscaler-.*"
)
_SECRETS = {
    "kubernetes.io/service-account-token": "makes a lasting token of ServiceAccount {account}",
    "bootstrap.kubernetes.io/token": "makes a token that lets nodes join the cluster",
    "helm.sh/release.v1": "changes what Helm takes for its release",
}


def _find_pod_security(pair: Pair) -> Iterator[Found]:
    """Levels of Pod Security that are lower, on a namespace."""
    if (pair.group, pair.kind) != ("", "Namespace") or pair.is_deleted:
        return
    old, new = (child(obj, "metadata", "labels") for obj in (pair.before, pair.after))
    for key in sorted({*old, *new}):
        found = _POD_SECURITY.fullmatch(key)
        before, after = old.get(key), new.get(key)
        if not found or found[2] or before == after:
            continue
        if _level(after) < _level(before) or (pair.is_new and after == "privileged"):
            severity = None if found[1] == "enforce" else Effect.WRITE
            levels = f"{foreign(before or 'not set')} -> {foreign(after or 'not set')}"
            yield Found(f"lets pods of the namespace do more: {key} {levels}", severity)


def _level(value: Any) -> int:
    return _LEVELS.index(value) if value in _LEVELS else 0


def _find_namespace(pair: Pair) -> Iterator[str]:
    """A change of an existing namespace; policies, webhooks and quotas select it by its labels."""
    if (pair.group, pair.kind) != ("", "Namespace") or pair.is_new or pair.is_deleted:
        return
    old, new = (_without_copy(obj) for obj in (pair.before, pair.after))
    changed = [
        key for key in ("labels", "annotations", "finalizers") if old["metadata"].get(key) != new["metadata"].get(key)
    ]
    changed += ["spec"] if old.get("spec") != new.get("spec") else []
    if changed:
        what = f"{foreign(pair.name)} ({', '.join(changed)})"
        yield f"changes namespace {what}: network policies, webhooks and quotas go by these"


def _without_copy(obj: Object | None) -> dict[str, Any]:
    content = content_of(obj)
    notes = {key: value for key, value in child(content, "metadata", "annotations").items() if key != LAST_APPLIED}
    return {**content, "metadata": {**content["metadata"], "annotations": notes}}


def _find_deletion(pair: Pair) -> Iterator[str]:
    """What a deletion takes with it, by kind."""
    texts = {
        "Namespace": "deletes everything in namespace {name}",
        "CustomResourceDefinition": "deletes every object of the kind that {name} defines",
        "PersistentVolumeClaim": "the data of claim {name} may be lost",
        "PersistentVolume": "the data of volume {name} may be lost",
        "ServiceAccount": "pods that run as {name} lose their token",
        "Secret": "what reads Secret {name} does not start again",
    }
    if pair.is_deleted and pair.kind in texts:
        yield texts[pair.kind].format(name=foreign(pair.name))


def _find_system_object(pair: Pair) -> Iterator[str]:
    verb = "creates" if pair.is_new else "deletes" if pair.is_deleted else "changes"
    if not pair.is_new and not pair.is_deleted and content_of(pair.before) == content_of(pair.after):
        return
    if _SYSTEM.fullmatch(pair.place or ""):
        yield f"{verb} {foreign(pair.kind)} {foreign(pair.name)} of the cluster itself (namespace {pair.place})"
    elif (pair.group, pair.kind) == ("", "ConfigMap") and _CONFIGURATION.fullmatch(pair.name):
        yield f"{verb} ConfigMap {foreign(pair.name)}, which configures a part of the cluster"


def _find_priority(pair: Pair) -> Iterator[str]:
    if pair.kind != "PriorityClass" or pair.is_deleted:
        return
    new, old = pair.after or {}, pair.before or {}
    if new.get("globalDefault") is True and old.get("globalDefault") is not True:
        title = f"{foreign(pair.name)} ({foreign(new.get('value'))})"
        yield f"every pod without a priority gets that of {title}, and may evict others"


def _find_critical_pods(pair: Pair) -> Iterator[str]:
    old = {(one.path, one.value) for one in pair.old.named("priorityClassName")}
    for one in pair.new.named("priorityClassName"):
        if str(one.value).startswith("system-") and (one.path, one.value) not in old:
            yield f"its pods may evict all others ({foreign(one.path)}: {foreign(one.value)})"


def _find_secret(pair: Pair) -> Iterator[str]:
    if (pair.group, pair.kind) != ("", "Secret") or pair.is_deleted:
        return
    text = _SECRETS.get(str(pair.present.get("type")))
    if text and (pair.is_new or content_of(pair.before) != content_of(pair.after)):
        account = child(pair.present, "metadata", "annotations").get("kubernetes.io/service-account.name")
        yield text.format(account=foreign(f"{pair.place}/{account}"))


def _find_service_account(pair: Pair) -> Iterator[Found]:
    if (pair.group, pair.kind) != ("", "ServiceAccount") or pair.is_deleted:
        return
    for key in ("secrets", "imagePullSecrets"):
        had = [one.get("name") for one in children(pair.before, key)]
        news = [str(one.get("name")) for one in children(pair.after, key) if one.get("name") not in had]
        if news:
            yield Found(
                f"every pod of ServiceAccount {foreign(pair.name)} may use {', '.join(map(foreign, news))} ({key})"
            )


def _find_approval(pair: Pair) -> Iterator[str]:
    if pair.kind != "CertificateSigningRequest" or pair.is_deleted:
        return
    kinds = [
        {str(one.get("type")) for one in children(obj, "status", "conditions")} for obj in (pair.before, pair.after)
    ]
    if "Approved" in kinds[1] - kinds[0]:
        yield f"approves the certificate that {foreign(pair.name)} asks for"


def _find_conversion(pair: Pair) -> Iterator[str]:
    if pair.kind != "CustomResourceDefinition" or pair.is_deleted:
        return
    old, new = (child(obj, "spec", "conversion", "webhook", "clientConfig") for obj in (pair.before, pair.after))
    if new and dict(new) != dict(old):
        service = child(new, "service")
        named = f"{service.get('namespace')}/{service.get('name')}"
        target = foreign(new["url"]) if new.get("url") else f"Service {foreign(named)}"
        yield f"every object of {foreign(pair.name)} passes through {target} (conversion webhook)"


def _find_binding_of_volume(pair: Pair) -> Iterator[str]:
    if pair.kind != "PersistentVolume" or pair.is_deleted or pair.is_new:
        return
    old, new = (child(obj, "spec", "claimRef") for obj in (pair.before, pair.after))
    if new and any(new.get(key) != old.get(key) for key in ("namespace", "name", "uid")):
        claim = f"{new.get('namespace')}/{new.get('name')}"
        yield f"gives volume {foreign(pair.name)} to claim {foreign(claim)}"


CLUSTER_RULES = (
    Rule(code="changes-admission", name="pod-security", find=_find_pod_security,
         content="a lower level of Pod Security on a namespace (`pod-security.kubernetes.io/*`)"),
    Rule(code="changes-the-cluster", name="namespace", find=_find_namespace,
         content="labels, annotations or finalizers of an existing namespace"),
    Rule(code="changes-the-cluster", name="system", find=_find_system_object, deleted=True,
         content="any object in kube-system, kube-public or kube-node-lease, and ConfigMaps that configure a part of "
         "the cluster (aws-auth, coredns, argocd-rbac-cm and others)"),
    Rule(code="changes-the-cluster", name="default-priority", find=_find_priority,
         content="a PriorityClass that becomes the default"),
    Rule(code="changes-the-cluster", name="critical-pods", find=_find_critical_pods,
         content="`priorityClassName: system-*`"),
    Rule(code="changes-the-cluster", name="volume-claim", find=_find_binding_of_volume,
         content="another `claimRef` of a PersistentVolume"),
    Rule(code="deletes-data", name="deletion", find=_find_deletion, deleted=True,
         content="deleted namespaces, definitions, claims, volumes, service accounts and Secrets"),
    Rule(code="issues-credentials", name="secret", find=_find_secret,
         content="Secrets that are a token of a service account, a token to join, or a release of Helm"),
    Rule(code="issues-credentials", name="approval", find=_find_approval,
         content="an approved CertificateSigningRequest"),
    Rule(code="gives-identity", name="account-secrets", find=_find_service_account, created=Effect.WRITE,
         content="`secrets` and `imagePullSecrets` that a ServiceAccount had not"),
    Rule(code="extends-the-api", name="conversion", find=_find_conversion,
         content="a conversion webhook of a CustomResourceDefinition"),
)  # fmt: skip
