"""Which objects are an application's own, and which it only uses.

Own are: its workloads; what carries its labels; autoscalers that aim at its workloads; and, of objects without
anybody's labels, the ConfigMaps, Services, budgets and Ingresses that serve it alone. What another application uses
too, or what carries another's labels, is only noted: a rollback of one application must not change another. Pure.

Source: Kubernetes, "Recommended Labels".
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from klepaas_plugins.deployments.applications import LABELS
from klepaas_plugins.deployments.manifests import selects
from klepaas_plugins.deployments.naming import application_label
from klepaas_plugins.deployments.objects import Object, at, labels, name_of, uid
from klepaas_plugins.deployments.releases.references import config_maps

__all__ = [
    "Scope",
    "is_controlled",
    "made_by_a_stateful_set",
    "only_these",
    "pod_labels",
    "selects_pods",
    "services_of",
]


@dataclass(frozen=True)
class Scope:
    """An application as its labels tell it.

    Attributes:
        app_name: The application.
        common: The labels that name applications, as far as all its workloads agree on them.
    """

    app_name: str
    common: Mapping[str, str]

    @classmethod
    def of(cls, app_name: str, workloads: Sequence[Object]) -> "Scope":
        """The scope of an application with these workloads."""
        found = [{key: labels(item)[key] for key in LABELS if labels(item).get(key)} for item in workloads]
        first = found[0] if found else {}
        return cls(app_name, {k: text for k, text in first.items() if all(other.get(k) == text for other in found)})

    @property
    def mark(self) -> str:
        """Its name as a label holds it."""
        return application_label(self.app_name)

    @property
    def selector(self) -> str | None:
        """What finds its objects by label, as a query. None: its workloads carry no label with its name."""
        keys = [key for key in LABELS if self.common.get(key) == self.mark]
        return f"{keys[0]}={self.mark}" if keys else None

    def owns(self, item: Object) -> bool:
        """Whether an object's labels say that it is the application's."""
        named = {key: labels(item)[key] for key in LABELS if labels(item).get(key)}
        contradicts = any(self.common.get(key, text) != text for key, text in named.items())
        return self.mark in named.values() and not contradicts

    def other_owner(self, item: Object) -> str | None:
        """The application that an object's labels name. None: they name none, or this one."""
        named = [labels(item)[key] for key in LABELS if labels(item).get(key)]
        return named[0] if named and not self.owns(item) else None


def is_controlled(item: Object) -> bool:
    """Whether a controller made the object and keeps it as it wants."""
    return any(reference.get("controller") for reference in at(item, "metadata", "ownerReferences") or ())


def made_by_a_stateful_set(claim: Object, workloads: Iterable[Object]) -> bool:
    """Whether a claim is one of those that a StatefulSet makes for its pods, whose number is no wish of anybody's."""
    for item in workloads:
        for template in at(item, "spec", "volumeClaimTemplates") or ():
            made = rf"{re.escape(name_of(template))}-{re.escape(name_of(item))}-[0-9]+"
            if re.fullmatch(made, name_of(claim)):
                return True
    return False


def pod_labels(workload: Object) -> Mapping[str, str]:
    """The labels of a workload's pods."""
    return at(workload, "spec", "template", "metadata", "labels") or {}


def selects_pods(item: Object, workload: Object) -> bool:
    """Whether a Service or a PodDisruptionBudget selects a workload's pods."""
    selector = at(item, "spec", "selector") or {}
    if "matchLabels" not in selector and "matchExpressions" not in selector:
        return selects(item, pod_labels(workload))
    return _matches(selector, pod_labels(workload))


def _matches(selector: Mapping[str, Any], there: Mapping[str, str]) -> bool:
    """Source: apimachinery, LabelSelectorAsSelector; a selector without requirements matches everything."""
    if any(there.get(key) != text for key, text in (selector.get("matchLabels") or {}).items()):
        return False
    for rule in selector.get("matchExpressions") or ():
        value, values = there.get(rule.get("key")), rule.get("values") or ()
        met = {"In": value in values, "NotIn": value not in values, "Exists": value is not None}
        if not met.get(str(rule.get("operator")), value is None):
            return False
    return True


def only_these(item: Object, own: Iterable[Object], all_workloads: Iterable[Object]) -> bool:
    """Whether a ConfigMap, Service or budget serves no workload but these."""
    ours = {uid(workload) for workload in own}
    return not any(uid(other) not in ours and _serves(item, other) for other in all_workloads)


def _serves(item: Object, workload: Object) -> bool:
    if item.get("kind") == "ConfigMap":
        return name_of(item) in config_maps(workload)
    return selects_pods(item, workload)


def services_of(ingress: Object) -> set[str]:
    """The Services that an Ingress sends traffic to."""
    backends = [at(ingress, "spec", "defaultBackend")]
    backends += [at(path, "backend") for rule in at(ingress, "spec", "rules") or () for path in _paths(rule)]
    return {str(at(backend, "service", "name")) for backend in backends if at(backend, "service", "name")}


def _paths(rule: Object) -> Sequence[Object]:
    return at(rule, "http", "paths") or ()
