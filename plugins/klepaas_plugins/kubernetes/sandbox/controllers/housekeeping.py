"""Small controllers that only report: quotas, disruption budgets, custom resource definitions."""

from __future__ import annotations

import time
from collections.abc import Iterable

from klepaas_plugins.kubernetes.sandbox.established import conditions_of, conflict_of, is_established
from klepaas_plugins.kubernetes.sandbox.evictions import healthy
from klepaas_plugins.kubernetes.sandbox.limits import used
from klepaas_plugins.kubernetes.sandbox.model import seconds_of, timestamp
from klepaas_plugins.kubernetes.sandbox.pods import is_finished
from klepaas_plugins.kubernetes.sandbox.resources import BUDGETS, DEFINITIONS, PODS, QUOTAS
from klepaas_plugins.kubernetes.sandbox.selectors import selector_match
from klepaas_plugins.kubernetes.sandbox.store import Change

from .base import Base, Key, key_of


class QuotaController(Base):
    """Writes what of a ResourceQuota is used."""

    def concerns(self, change: Change) -> Iterable[Key]:
        """Quotas, and those of a namespace in which something appears or goes."""
        if change.resource is QUOTAS:
            return [key_of(change.object)]
        pod, old = change.object, change.old
        moved = change.resource is PODS and old is not None and is_finished(old) != is_finished(pod)
        if (change.type == "MODIFIED" and not moved) or not change.resource.namespaced:
            return ()
        return [key_of(quota) for quota in self.store.list(QUOTAS, change.object["metadata"]["namespace"])]

    def reconcile(self, namespace: str, name: str) -> float | None:
        """Count."""
        quota = self.store.get(QUOTAS, namespace, name)
        if quota is not None:
            hard = quota["spec"].get("hard") or {}
            counted = {counter: used(self.store, counter, namespace) for counter in hard}
            held = {counter: count for counter, count in counted.items() if count is not None}
            self.objects.set_status(QUOTAS, quota, {"hard": hard, "used": held})
        return None


class BudgetController(Base):
    """Writes how many disruptions a budget allows."""

    def concerns(self, change: Change) -> Iterable[Key]:
        """Budgets, and those a changed pod falls under."""
        if change.resource is BUDGETS:
            return [key_of(change.object)]
        if change.resource is not PODS:
            return ()
        meta = change.object["metadata"]
        return [
            key_of(budget)
            for budget in self.store.list(BUDGETS, meta["namespace"])
            if selector_match(budget["spec"].get("selector"))(meta.get("labels") or {})
        ]

    def reconcile(self, namespace: str, name: str) -> float | None:
        """Count."""
        budget = self.store.get(BUDGETS, namespace, name)
        if budget is not None:
            match = selector_match(budget["spec"].get("selector"))
            pods = [pod for pod in self.store.list(PODS, namespace) if match(pod["metadata"].get("labels") or {})]
            ready, wanted = healthy(self.objects, budget)
            status = {
                "observedGeneration": budget["metadata"]["generation"], "disruptionsAllowed": max(ready - wanted, 0),
                "currentHealthy": ready, "desiredHealthy": wanted, "expectedPods": len(pods),
            }  # fmt: skip
            self.objects.set_status(BUDGETS, budget, status)
        return None


class DefinitionController(Base):
    """Accepts the names of custom resource definitions."""

    def concerns(self, change: Change) -> Iterable[Key]:
        """Definitions."""
        return [key_of(change.object)] if change.resource is DEFINITIONS and change.type != "DELETED" else ()

    def reconcile(self, namespace: str, name: str) -> float | None:
        """Establish a definition."""
        definition = self.store.get(DEFINITIONS, "", name)
        if definition is None or is_established(definition):
            return None
        now_s = time.time()
        due_s = seconds_of(definition["metadata"]["creationTimestamp"]) + self.objects.timing.establish_s
        if self.objects.timing.establish_s and now_s < due_s:
            return due_s
        conflict = conflict_of(self.store, definition)
        conditions = conditions_of(definition, conflict, timestamp(now_s))
        if conflict is not None:
            if not definition["status"].get("conditions"):
                status = {**definition["status"], "conditions": conditions}
                self.objects.set_status(DEFINITIONS, definition, status, "kube-apiserver")
            return None
        status = {**definition["status"], "conditions": conditions, "acceptedNames": definition["spec"]["names"]}
        self.objects.establish(definition, status)
        return None
