"""Kinds whose objects are policy of the cluster, extensions of its API, or orders to somebody who deploys.

Each row is data: which kinds, what they mean, and the effect of creating, changing and deleting one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from klepaas.changes import foreign
from klepaas.effects import Effect
from klepaas_plugins.kubernetes.risks.contents import content_of
from klepaas_plugins.kubernetes.risks.model import Found, Object, Pair, Rule, child, children, texts

__all__ = ["KIND_RULES"]

_WRITE, _DESTRUCTIVE = Effect.WRITE, Effect.DESTRUCTIVE


@dataclass(frozen=True, kw_only=True)
class _Row:
    """One row: kinds that matter as a whole.

    Attributes:
        code: The risk's code.
        name: What tells the row from others.
        kinds: The kinds, as `group/Kind`; `group/*` is all of a group, `*/Kind` a kind of any group.
        meaning: What such an object does.
        created: The effect of a new one. None: nothing worth a line.
        changed: The effect of a change. None: nothing worth a line.
        details: What an object does in particular. None: no more than the meaning.
    """

    code: str
    name: str
    kinds: tuple[str, ...]
    meaning: str
    created: Effect | None = _DESTRUCTIVE
    changed: Effect | None = _DESTRUCTIVE
    details: Callable[[Object], str] | None = None

    def rule(self) -> Rule:
        return Rule(
            code=self.code, name=self.name, content=f"{', '.join(f'`{kind}`' for kind in self.kinds)}: {self.meaning}",
            find=self._find, severity=self.changed or _WRITE, created=self.created or _WRITE, deleted=True,
        )  # fmt: skip

    def _find(self, pair: Pair) -> Iterator[Found]:
        if not {f"{pair.group}/{pair.kind}", f"{pair.group}/*", f"*/{pair.kind}"} & set(self.kinds):
            return
        verb, severity = self._change(pair)
        if severity is None:
            return
        details = self.details(pair.present) if self.details is not None else ""
        yield Found(
            f"{verb} {foreign(pair.kind)} {foreign(pair.name)}: {self.meaning}{f'; {details}' if details else ''}",
            severity,
        )

    def _change(self, pair: Pair) -> tuple[str, Effect | None]:
        if pair.is_new:
            return "creates", self.created
        if pair.is_deleted:
            return "deletes", _DESTRUCTIVE
        return "changes", None if content_of(pair.before) == content_of(pair.after) else self.changed


def _words(value: object) -> str:
    return " ".join(map(foreign, texts(value)))


def _of_service(service: Object) -> str:
    return f"{service.get('namespace')}/{service.get('name')}"


def _webhooks(obj: Object) -> str:
    shown = []
    for one in children(obj, "webhooks"):
        service = child(one, "clientConfig", "service")
        url = child(one, "clientConfig").get("url")
        url = foreign(url) if url else f"Service {foreign(_of_service(service))}"
        rules = [
            f"{_words(rule.get('operations'))} of {_words(rule.get('resources'))}" for rule in children(one, "rules")
        ]
        policy = one.get("failurePolicy", "Fail")
        calls = f"{foreign(one.get('name'))} calls {url} for {', '.join(rules) or 'nothing'}"
        shown.append(f"{calls} (failurePolicy {foreign(policy)})")
    return "; ".join(shown)


def _definition(obj: Object) -> str:
    spec = child(obj, "spec")
    versions = ", ".join(foreign(one.get("name")) for one in children(spec, "versions"))
    conversion = child(spec, "conversion", "webhook", "clientConfig")
    service = child(conversion, "service")
    hook = conversion.get("url") or (f"{service.get('namespace')}/{service.get('name')}" if service else "")
    converted = f"; objects pass the conversion webhook {foreign(hook)}" if conversion else ""
    return f"{foreign(child(spec, 'names').get('kind'))} of {foreign(spec.get('group'))} in {versions}{converted}"


def _api_service(obj: Object) -> str:
    spec = child(obj, "spec")
    service = child(spec, "service")
    served = f"{foreign(spec.get('version'))} of {foreign(spec.get('group'))}"
    return f"{served} is served by {foreign(_of_service(service))}"


def _signing_request(obj: Object) -> str:
    spec = child(obj, "spec")
    return f"signer {foreign(spec.get('signerName'))}, usages {_words(spec.get('usages'))}"


def _addresses(obj: Object) -> str:
    named = [str(one.get("ip")) for part in children(obj, "subsets") for one in children(part, "addresses")]
    named += [address for one in children(obj, "endpoints") for address in texts(one.get("addresses"))]
    service = child(obj, "metadata", "labels").get("kubernetes.io/service-name")
    target = service or child(obj, "metadata").get("name")
    return f"traffic of Service {foreign(target)} goes to {', '.join(map(foreign, named)) or 'nothing'}"


def _source(obj: Object) -> str:
    spec = child(obj, "spec")
    source = child(spec, "source")
    shown = [source.get(key) or spec.get(key) for key in ("repoURL", "chart", "path", "url", "package", "repo", "ref")]
    server = child(spec, "destination").get("server") or child(spec, "destination").get("name")
    wanted = " ".join(foreign(part) for part in shown if isinstance(part, str))
    return ", ".join([*([f"from {wanted}"] if wanted else []), *([f"to {foreign(server)}"] if server else [])])


_POLICY_GROUPS = (
    "kyverno.io", "policies.kyverno.io", "constraints.gatekeeper.sh", "templates.gatekeeper.sh",
    "mutations.gatekeeper.sh", "config.gatekeeper.sh", "policies.kubewarden.io", "policy.jspolicy.com",
)  # fmt: skip
_DEPLOYERS = (
    "argoproj.io/Application", "argoproj.io/ApplicationSet", "argoproj.io/AppProject",
    "kustomize.toolkit.fluxcd.io/*", "helm.toolkit.fluxcd.io/*", "source.toolkit.fluxcd.io/*",
    "image.toolkit.fluxcd.io/*", "fluxcd.controlplane.io/*", "kubernetes.crossplane.io/*", "helm.crossplane.io/*",
    "kubernetes.m.crossplane.io/*", "apiextensions.crossplane.io/*", "pkg.crossplane.io/*", "tekton.dev/*",
    "triggers.tekton.dev/*", "operator.tekton.dev/*", "helm.cattle.io/*", "fleet.cattle.io/*",
    "work.open-cluster-management.io/*", "apps.open-cluster-management.io/*", "policy.karmada.io/*",
    "work.karmada.io/*", "operators.coreos.com/*", "addons.cluster.x-k8s.io/*", "cluster.x-k8s.io/*", "kro.run/*",
    "infra.contrib.fluxcd.io/*", "pulumi.com/*", "velero.io/Restore", "velero.io/BackupStorageLocation",
    "template.openshift.io/*", "build.openshift.io/*", "kappctrl.k14s.io/*", "packaging.carvel.dev/*",
    "operator.cluster.x-k8s.io/*", "iam.cnrm.cloud.google.com/*", "iam.services.k8s.aws/*", "eks.services.k8s.aws/*",
)  # fmt: skip
_ROWS = (
    _Row(code="changes-admission", name="webhook", kinds=("admissionregistration.k8s.io/*",), details=_webhooks,
         meaning="decides what the cluster accepts"),
    _Row(code="changes-admission", name="policy-engine", kinds=tuple(f"{group}/*" for group in _POLICY_GROUPS),
         meaning="decides what the cluster accepts"),
    _Row(code="changes-admission", name="pod-policy", meaning="decides what pods may do",
         kinds=("policy/PodSecurityPolicy", "security.openshift.io/SecurityContextConstraints")),
    _Row(code="extends-the-api", name="api-service", kinds=("apiregistration.k8s.io/APIService",), details=_api_service,
         meaning="another server answers a part of the API"),
    _Row(code="extends-the-api", name="definition", kinds=("apiextensions.k8s.io/CustomResourceDefinition",),
         created=_WRITE, details=_definition, meaning="what the objects of a kind hold and keep"),
    _Row(code="changes-the-cluster", name="node", kinds=("/Node",), meaning="where pods run"),
    _Row(code="changes-the-cluster", name="cluster-policy", meaning="holds for the whole cluster",
         kinds=("node.k8s.io/RuntimeClass", "storage.k8s.io/CSIDriver", "storage.k8s.io/CSINode", "/Binding",
                "flowcontrol.apiserver.k8s.io/*", "resource.k8s.io/DeviceClass", "resource.k8s.io/ResourceSlice",
                "config.openshift.io/*", "machineconfiguration.openshift.io/*", "operator.openshift.io/*")),
    _Row(code="changes-the-cluster", name="class", created=_WRITE, meaning="holds for all that name it",
         kinds=("scheduling.k8s.io/PriorityClass", "storage.k8s.io/StorageClass", "networking.k8s.io/IngressClass",
                "gateway.networking.k8s.io/GatewayClass", "snapshot.storage.k8s.io/VolumeSnapshotClass")),
    _Row(code="changes-the-cluster", name="limits", created=_WRITE, changed=_WRITE,
         kinds=("/ResourceQuota", "/LimitRange", "policy/PodDisruptionBudget"),
         meaning="limits what a namespace may use or lose"),
    _Row(code="changes-the-cluster", name="volume", kinds=("/PersistentVolume",), created=_WRITE,
         meaning="storage of the cluster"),
    _Row(code="issues-credentials", name="signing-request", kinds=("certificates.k8s.io/CertificateSigningRequest",),
         details=_signing_request, meaning="a certificate to sign in with"),
    _Row(code="issues-credentials", name="trust", meaning="who is trusted",
         kinds=("certificates.k8s.io/ClusterTrustBundle", "trust.cert-manager.io/Bundle")),
    _Row(code="issues-credentials", name="token", kinds=("authentication.k8s.io/TokenRequest",),
         meaning="a token to sign in with"),
    _Row(code="redirects-traffic", name="endpoints", kinds=("/Endpoints", "discovery.k8s.io/EndpointSlice"),
         details=_addresses, meaning="made by hand, says where the traffic of a Service goes"),
    _Row(code="redirects-traffic", name="mesh", kinds=("networking.istio.io/EnvoyFilter",
         "networking.istio.io/WasmPlugin", "extensions.istio.io/*", "gateway.networking.k8s.io/ReferenceGrant",
         "configuration.konghq.com/*",
         "traefik.io/MiddlewareTCP", "gateway.envoyproxy.io/*", "k8s.nginx.org/*"),
         meaning="changes how proxies treat traffic"),
    _Row(code="opens-network", name="mesh-policy", meaning="who may reach whom",
         kinds=("security.istio.io/*", "policy.linkerd.io/*", "cilium.io/*", "crd.projectcalico.org/*",
                "projectcalico.org/*", "policy.networking.k8s.io/*")),
    _Row(code="copies-secrets", name="secret-store", kinds=("external-secrets.io/*", "secrets-store.csi.x-k8s.io/*"),
         created=_WRITE, meaning="where secrets come from"),
    _Row(code="copies-secrets", name="push", kinds=("external-secrets.io/PushSecret",
         "external-secrets.io/ClusterPushSecret"), meaning="sends secrets out of the cluster"),
    _Row(code="deploys-elsewhere", name="deployers", kinds=_DEPLOYERS, details=_source,
         meaning="somebody else creates what it names, which is not seen here"),
    _Row(code="grants-rights", name="other-grants", meaning="gives rights outside of RBAC's own kinds",
         kinds=("authorization.openshift.io/*", "user.openshift.io/*", "management.cattle.io/*",
                "capsule.clastix.io/*", "tenancy.kiosk.sh/*", "hnc.x-k8s.io/*")),
)  # fmt: skip

KIND_RULES: tuple[Rule, ...] = tuple(row.rule() for row in _ROWS)
