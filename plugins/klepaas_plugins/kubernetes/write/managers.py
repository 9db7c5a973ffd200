"""Whose fields may be taken over: field managers of people's own commands, and what reconciles objects by itself.

A person's command set a field once and does not come back, so klepaas may take it over and say so. A controller writes
it again, so that a change of ours would be reverted, or would fight: it is refused. A manager that is not known here
counts as a controller.

Sources: Kubernetes, "Server-Side Apply", section "Managers"; kubectl, package cmd, `fieldManagerFlag` defaults;
apiserver, `managerOrUserAgent` (a client that names no manager is called as its User-Agent begins: `Mozilla` is a page
in a browser, `node-fetch` is Lens); Argo CD, "Resource tracking"; Flux, "Kustomization", section "Labels"; Helm,
"Labels and annotations".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from klepaas_plugins.kubernetes.write.own_fields import MANAGER, Entry, entries_of

__all__ = ["Manager", "Side", "find_later_writers", "judge_manager", "reconcilers_of"]


class Side(StrEnum):
    """Which side of an object's owners a manager belongs to."""

    KLEPAAS = "klepaas"
    PERSON = "person"
    CONTROLLER = "controller"


@dataclass(frozen=True, kw_only=True)
class Manager:
    """A field manager, judged.

    Attributes:
        name: Its name in managedFields.
        side: What it is.
        title: What a person calls it: "Argo CD".
    """

    name: str
    side: Side
    title: str

    @property
    def text(self) -> str:
        """The manager as a sentence names it."""
        return self.name if self.title == self.name else f"{self.name} ({self.title})"


# Commands of people, by the manager's whole name.
_PEOPLE: Mapping[str, str] = {
    "kubectl": "kubectl",
    "kubectl-client-side-apply": "kubectl apply",
    "kubectl-last-applied": "kubectl apply",
    "kubectl-create": "kubectl create",
    "kubectl-run": "kubectl run",
    "kubectl-expose": "kubectl expose",
    "kubectl-autoscale": "kubectl autoscale",
    "kubectl-edit": "kubectl edit",
    "kubectl-patch": "kubectl patch",
    "kubectl-replace": "kubectl replace",
    "kubectl-set": "kubectl set",
    "kubectl-label": "kubectl label",
    "kubectl-annotate": "kubectl annotate",
    "kubectl-scale": "kubectl scale",
    "kubectl-rollout": "kubectl rollout",
    "kubectl-taint": "kubectl taint",
    "kubectl-cordon": "kubectl cordon",
    "kubectl-drain": "kubectl drain",
    "kubectl-debug": "kubectl debug",
    "kubectl-auth-reconcile": "kubectl auth reconcile",
    "kubectl-neat": "kubectl neat",
    "kubectl.exe": "kubectl",
    "oc": "oc",
    "oc.exe": "oc",
    "k9s": "k9s",
    "k9s.exe": "k9s",
    "node-fetch": "Lens",
    "OpenLens": "OpenLens",
    "Lens": "Lens",
    "Freelens": "Freelens",
    "freelens": "Freelens",
    "headlamp": "Headlamp",
    "headlamp-server": "Headlamp",
    "Headlamp": "Headlamp",
    "dashboard": "Kubernetes Dashboard",
    "dashboard-api": "Kubernetes Dashboard",
    "kubernetes-dashboard": "Kubernetes Dashboard",
    "Mozilla": "a page in a browser",
    "octant": "Octant",
    "kubenav": "kubenav",
    "Aptakube": "Aptakube",
    "aptakube": "Aptakube",
    "podman-desktop": "Podman Desktop",
    "curl": "curl",
    "HTTPie": "HTTPie",
    "before-first-apply": "fields from before owners were recorded",
}
_CONTROLLERS: Mapping[str, str] = {
    "argocd-controller": "Argo CD",
    "argocd-application-controller": "Argo CD",
    "argocd": "Argo CD",
    "argocd-server": "Argo CD",
    "argocd-applicationset-controller": "Argo CD",
    "kustomize-controller": "Flux",
    "helm-controller": "Flux",
    "source-controller": "Flux",
    "flux": "Flux",
    "helm": "Helm",
    "helm.exe": "Helm",
    "helmfile": "Helm",
    "Go-http-client": "a program",
    "HashiCorp": "Terraform",
    "Terraform": "Terraform",
    "terraform-provider-kubernetes": "Terraform",
    "pulumi-kubernetes": "Pulumi",
    "pulumi-resource-kubernetes": "Pulumi",
    "kube-controller-manager": "a controller of Kubernetes, such as an autoscaler",
    "horizontal-pod-autoscaler": "an autoscaler",
    "vpa-recommender": "an autoscaler",
    "vpa-updater": "an autoscaler",
    "cluster-autoscaler": "an autoscaler",
    "keda": "KEDA",
    "keda-operator": "KEDA",
    "rancher": "Rancher",
    "fleetagent": "Rancher Fleet",
    "fleet-agent": "Rancher Fleet",
    "cert-manager-cainjector": "cert-manager",
    "rollouts-controller": "Argo Rollouts",
    "kube-apiserver": "the API server",
    "kubelet": "a kubelet",
    "cluster-network-operator": "OpenShift",
    "cluster-version-operator": "OpenShift",
    "addon-manager": "the cluster's add-on manager",
    "OpenAPI-Generator": "a program",
    "python-requests": "a program",
}
# A command that creates or edits is called so whatever follows.
_PEOPLE_PREFIXES = ("oc-",)
# What a tool that reconciles an object marks it with: annotations and labels.
_MARKS: tuple[tuple[str, str, str], ...] = (
    ("annotations", "argocd.argoproj.io/tracking-id", "Argo CD"),
    ("labels", "argocd.argoproj.io/instance", "Argo CD"),
    ("labels", "kustomize.toolkit.fluxcd.io/name", "Flux"),
    ("labels", "helm.toolkit.fluxcd.io/name", "Flux"),
    ("annotations", "meta.helm.sh/release-name", "Helm"),
    ("labels", "addonmanager.kubernetes.io/mode", "the cluster's add-on manager"),
    ("annotations", "objectset.rio.cattle.io/id", "Rancher Fleet"),
)
# What Argo CD used to apply as, before it had a name of its own.
_SHARED_NAME = "kubectl-client-side-apply"


def judge_manager(name: str, obj: Mapping[str, Any] | None = None) -> Manager:
    """What a field manager is.

    Args:
        name: Its name in managedFields.
        obj: The object, whose marks say that Argo CD keeps it under kubectl's name. None: not known.
    """
    if name == MANAGER:
        return Manager(name=name, side=Side.KLEPAAS, title="klepaas")
    if name == _SHARED_NAME and "Argo CD" in _marks(obj or {}):
        return Manager(name=name, side=Side.CONTROLLER, title="Argo CD")
    if name in _PEOPLE or name.startswith(_PEOPLE_PREFIXES):
        return Manager(name=name, side=Side.PERSON, title=_PEOPLE.get(name, name))
    title = _CONTROLLERS.get(name)
    if title is None and ("argocd" in name or name.startswith("argo-cd")):
        title = "Argo CD"
    return Manager(name=name, side=Side.CONTROLLER, title=title or name)


def reconcilers_of(obj: Mapping[str, Any]) -> list[Manager]:
    """What writes an object again by itself, from its marks and from who owns fields of its spec.

    Args:
        obj: The object, with its managedFields.
    """
    found = {title: Manager(name=title, side=Side.CONTROLLER, title=title) for title in _marks(obj)}
    for entry in entries_of(obj):
        manager = judge_manager(entry.manager, obj)
        if manager.side is Side.CONTROLLER and not entry.subresource and _owns_intent(entry):
            found.setdefault(manager.title, manager)
    return list(found.values())


def find_later_writers(obj: Mapping[str, Any]) -> list[str]:
    """Who wrote to an object after klepaas did, by name; what controllers note in its status does not count.

    Args:
        obj: The object, with its managedFields.

    Returns:
        The managers; none where klepaas owns nothing of it.
    """
    entries = entries_of(obj)
    ours = max((_moment(entry) for entry in entries if entry.is_ours), default=None)
    if ours is None:
        return []
    later = [entry for entry in entries if not entry.is_ours and _moment(entry) > ours and _owns_intent(entry)]
    # An entry of the subresource `scale` has no time, and an autoscaler writes there all the time.
    managers = [judge_manager(entry.manager, obj) for entry in later if not entry.subresource]
    return list(dict.fromkeys(one.text for one in managers))


def _moment(entry: Entry) -> str:
    """When an entry was last written; times of the API compare as texts."""
    return str(entry.raw.get("time") or "")


def _marks(obj: Mapping[str, Any]) -> list[str]:
    metadata = obj.get("metadata") or {}
    return list(dict.fromkeys(title for part, key, title in _MARKS if key in (metadata.get(part) or {})))


def _owns_intent(entry: Entry) -> bool:
    """Whether it owns more than notes: the built-in controllers write a status, and annotations about it."""
    return any(path[0] not in ("f:status", "f:metadata") for path in entry.paths)
