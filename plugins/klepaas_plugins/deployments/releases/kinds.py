"""The kinds of objects that a release holds, in the versions that are read, and the order in which they are restored.

What the pods need comes before them; what sends them traffic comes after. Jobs and CronJobs are not held: their runs
are no state to go back to.
"""

from dataclasses import dataclass

__all__ = ["KINDS", "NEVER_REMOVED", "RESTORED", "HeldKind", "order_of"]


@dataclass(frozen=True)
class HeldKind:
    """A kind that releases hold.

    Attributes:
        api_version: In which version it is read and restored.
        kind: Its name.
    """

    api_version: str
    kind: str

    @property
    def name(self) -> str:
        """As `Cluster.resource` takes it."""
        return f"{self.api_version}/{self.kind}"


KINDS = (
    HeldKind("v1", "ServiceAccount"),
    HeldKind("rbac.authorization.k8s.io/v1", "Role"),
    HeldKind("rbac.authorization.k8s.io/v1", "RoleBinding"),
    HeldKind("v1", "PersistentVolumeClaim"),
    HeldKind("v1", "ConfigMap"),
    HeldKind("networking.k8s.io/v1", "NetworkPolicy"),
    HeldKind("apps/v1", "StatefulSet"),
    HeldKind("apps/v1", "DaemonSet"),
    HeldKind("apps/v1", "Deployment"),
    HeldKind("policy/v1", "PodDisruptionBudget"),
    HeldKind("autoscaling/v2", "HorizontalPodAutoscaler"),
    HeldKind("v1", "Service"),
    HeldKind("networking.k8s.io/v1", "Ingress"),
)
RESTORED = frozenset((kind.api_version, kind.kind) for kind in KINDS)
# Data would be lost.
NEVER_REMOVED = frozenset({"PersistentVolumeClaim"})
_ORDER = {kind.kind: position for position, kind in enumerate(KINDS)}


def order_of(kind: str) -> int:
    """A kind's place in the order of restoring."""
    return _ORDER[kind]
