"""Labels and annotations that make something else act: delete the object, give it rights, or configure a proxy.

Each row is data: which keys, which values, and what it means. A row finds a label or annotation that is new or has
another value, on the object itself or on a pod template inside it.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from klepaas.changes import foreign
from klepaas.effects import Effect
from klepaas_plugins.kubernetes.risks.index import Field, Index
from klepaas_plugins.kubernetes.risks.model import Found, Pair, Rule, child, cut_value

__all__ = ["LAST_APPLIED", "MARK_RULES"]

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_NGINX = r"^(?:nginx\.ingress\.kubernetes\.io|nginx\.org|nginx\.com|ingress\.kubernetes\.io)/"
# What ends a directive or a string of a proxy's configuration, or begins a script in it.
# A prefix of 253 characters, "/", a name of 63: what is longer is the key of no label and no annotation.
_KEY_MAX_CHARS = 317
_LEAVES_ITS_PLACE = re.compile(r"[\n\r;{}\"'`\\]|\$\(|_by_lua|\balias\b|(?:^|\s)#")


def _any(_: str) -> bool:
    return True


def _is(*wanted: str) -> Callable[[str], bool]:
    return lambda value: value.strip().lower() in wanted


def _leaves_its_place(value: str) -> bool:
    return bool(_LEAVES_ITS_PLACE.search(value))


@dataclass(frozen=True, kw_only=True)
class _Row:
    """One row: labels and annotations that matter.

    Attributes:
        code: The risk's code.
        name: What tells the row from others.
        keys: An expression that finds the keys.
        shown: The keys, for the documentation.
        meaning: What it means.
        match: Which values matter.
        severity: The effect for an existing object.
        created: The effect for a new object. None: the same.
        lost: Whether it matters that it is gone or has another value.
    """

    code: str
    name: str
    keys: str
    shown: str
    meaning: str
    match: Callable[[str], bool] = _any
    severity: Effect = Effect.DESTRUCTIVE
    created: Effect | None = None
    lost: bool = False

    def rule(self) -> Rule:
        return Rule(
            code=self.code, name=self.name, content=f"labels or annotations {self.shown}: {self.meaning}",
            find=self._find, severity=self.severity, created=self.created,
        )  # fmt: skip

    def _find(self, pair: Pair) -> Iterator[Found]:
        old, new = self._matches(pair.old), self._matches(pair.new)
        if self.lost:
            gone = [] if pair.is_new else [(path, value) for path, value in old.items() if new.get(path) != value]
            yield from (Found(f"{self.meaning} ({foreign(path)}: {cut_value(value)} no more)") for path, value in gone)
            return
        for path, value in new.items():
            if old.get(path) != value:
                yield Found(f"{self.meaning} ({foreign(path)}: {cut_value(value)})")

    def _matches(self, index: Index) -> dict[str, str]:
        found = re.compile(self.keys)
        keys = [key for key in index.fields if len(key) <= _KEY_MAX_CHARS and found.search(key)]
        marks = [one for key in keys for one in index.fields[key] if _is_mark(one)]
        return {one.path: str(one.value) for one in marks if self.match(str(one.value))}


def _is_mark(one: Field) -> bool:
    above = one.path.removesuffix(f".{one.name}")
    return above.endswith(("annotations", "labels")) and isinstance(one.value, str | int | bool)


_CONTROLLER, _PRUNE, _EXPIRE = "configures-a-proxy", "deletes-by-pruning", "deletes-by-expiry"
_IDENTITY, _STOP, _ADMISSION, _CLUSTER = "gives-identity", "stops", "changes-admission", "changes-the-cluster"
_COPIES, _NAMED = "copies-secrets", Effect.WRITE
_ROWS = (
    _Row(code=_CONTROLLER, name="snippet", keys=r"snippets?$", shown="`*-snippet`",
         meaning="text that becomes configuration of an ingress controller"),
    _Row(code=_CONTROLLER, name="raw-configuration",
         keys=r"/(?:config-(?:backend|frontend|global|proxy|tcp|sections?|defaults)|[a-z-]*modsecurity[a-z-]*|[a-z-]*lua[a-z-]*)$",
         shown="`*/config-backend`, `*/modsecurity-*` and the like",
         meaning="text that becomes configuration of an ingress controller"),
    _Row(code=_CONTROLLER, name="injection", keys=_NGINX, match=_leaves_its_place,
         shown="of nginx with a value that ends a directive",
         meaning="a value that may leave its place in the configuration of nginx"),
    _Row(code="redirects-traffic", name="mirror", keys=r"/(?:mirror-target|mirror-host|mirror-uri)$",
         shown="`*/mirror-target`", meaning="copies requests to another address"),
    _Row(code="redirects-traffic", name="auth-url",
         keys=r"/(?:auth-url|auth-signin|permanent-redirect|temporal-redirect|upstream-vhost|server-alias)$",
         shown="`*/auth-url`, `*/permanent-redirect` and the like", created=_NAMED,
         meaning="sends requests to another address"),
    _Row(code="weaker-isolation", name="old-profiles", match=_is("unconfined"),
         keys=r"^(?:container\.apparmor\.security\.beta|(?:container\.)?seccomp\.security\.alpha)\.kubernetes\.io/",
         shown="of AppArmor and seccomp with `unconfined`", meaning="no filter of system calls or files"),
    _Row(code="weaker-isolation", name="injection-off", match=_is("false", "disabled"), created=_NAMED,
         keys=r"^(?:sidecar\.istio\.io|linkerd\.io)/inject$", shown="`*/inject: false`",
         meaning="a pod outside of the service mesh"),
    _Row(code=_IDENTITY, name="cloud-identity", shown="`eks.amazonaws.com/role-arn` and the like",
         keys=r"^(?:eks\.amazonaws\.com/role-arn|iam\.gke\.io/gcp-service-account|azure\.workload\.identity/client-id"
              r"|iam\.amazonaws\.com/role|aadpodidbinding|vault\.hashicorp\.com/role)$",
         meaning="rights in a cloud or vault"),
    _Row(code=_PRUNE, name="tracking", shown="by which Argo CD, kapp, the addon manager and others track objects",
         keys=r"^(?:argocd\.argoproj\.io/(?:instance|tracking-id)|kapp\.k14s\.io/(?:app|association)"
              r"|applyset\.kubernetes\.io/part-of|addonmanager\.kubernetes\.io/mode|objectset\.rio\.cattle\.io/.*)$",
         meaning="a controller that deletes what is not in its source takes it for its own"),
    _Row(code=_PRUNE, name="tracking-named", shown="by which Helm and Flux track what is theirs", created=_NAMED,
         keys=r"^(?:meta\.helm\.sh/release-(?:name|namespace)|(?:kustomize|helm)\.toolkit\.fluxcd\.io/(?:name|namespace))$",
         meaning="a release that deletes what it does not hold takes it for its own"),
    _Row(code=_EXPIRE, name="expiry", shown="of janitors: `*/ttl`, `*/expires`, `*/delete-after`",
         keys=r"^(?!external-dns\.|coredns\.|.*dns.*/)(?:.*[/._-])?(?:ttl|expires?(?:-(?:at|after|in|on))?|expiry|expiration"
              r"|delete-(?:after|at)|deletion-time|reap-after)$",
         meaning="a controller deletes it when its time is over"),
    _Row(code=_STOP, name="downscaler", shown="`downscaler/*`, `autoscaling.keda.sh/paused-replicas`",
         keys=r"^(?:downscaler/.*|autoscaling\.keda\.sh/paused(?:-replicas)?)$", meaning="a controller scales it down"),
    _Row(code=_ADMISSION, name="exemption", shown="that exempt from admission webhooks",
         keys=r"(?:gatekeeper\.sh/ignore|openpolicyagent\.org/webhook|/disable-validation|openshift\.io/run-level"
              r"|admission[a-z.-]*/(?:ignore|exclude|skip)|webhooks?[a-z.-]*/(?:ignore|exclude|skip))",
         meaning="admission webhooks leave it out"),
    _Row(code=_ADMISSION, name="injected-authority", keys=r"^cert-manager\.io/inject-", created=_NAMED,
         shown="`cert-manager.io/inject-*`", meaning="another authority is trusted"),
    _Row(code=_CLUSTER, name="default-class", match=_is("true"), keys=r"/is-default-class$",
         shown="`*/is-default-class: true`", meaning="the default of the whole cluster"),
    _Row(code=_CLUSTER, name="mirror-pod", keys=r"^kubernetes\.io/config\.(?:mirror|source)$",
         shown="`kubernetes.io/config.mirror`", meaning="passes for a static pod of a node"),
    _Row(code="exposes", name="internal-balancer", lost=True, shown="of internal load balancers, when they go",
         keys=r"load-balancer-(?:internal|type|scheme)$", meaning="the address may become public"),
    _Row(code="exposes", name="public-name", keys=r"^external-dns\.alpha\.kubernetes\.io/hostname$",
         shown="`external-dns.alpha.kubernetes.io/hostname`", severity=_NAMED, meaning="makes a DNS record"),
    _Row(code=_COPIES, name="replication", shown="that copy Secrets and ConfigMaps to other namespaces",
         keys=r"^(?:replicator\.v1\.mittwald\.de/|reflector\.v1\.k8s\.emberstack\.com/|kubed\.appscode\.com/sync)",
         meaning="copied to other namespaces"),
    _Row(code="deploys-elsewhere", name="argo-cd-secret", keys=r"^argocd\.argoproj\.io/secret-type$",
         shown="`argocd.argoproj.io/secret-type`", meaning="a cluster or repository that Argo CD uses"),
)  # fmt: skip


def _last_applied(pair: Pair) -> Iterator[str]:
    old, new = (child(obj, "metadata", "annotations").get(LAST_APPLIED) for obj in (pair.before, pair.after))
    if new is not None and new != old:
        yield "the next `kubectl apply` removes what this annotation says that it set before"


_LAST_APPLIED_RULE = Rule(
    code="deletes-by-pruning", name="last-applied", content=f"annotation `{LAST_APPLIED}`, set or changed",
    find=_last_applied, created=_NAMED,
)  # fmt: skip

MARK_RULES: tuple[Rule, ...] = (*(row.rule() for row in _ROWS), _LAST_APPLIED_RULE)
