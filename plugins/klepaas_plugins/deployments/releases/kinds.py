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
        labelled_only: Whether only objects with the application's labels are its own.
    """

    api_version: str
    kind: str
    labelled_only: bool = False

    @property
    def name(self) -> str:
        """As `Cluster.resource` takes it."""
        return f"{self.api_version}/{self.kind}"


KINDS = (
    HeldKind("v1", "ServiceAccount", labelled_only=True),
    HeldKind("rbac.authorization.k8s.io/v1", "Role", labelled_only=True),
    HeldKind("rbac.authorization.k8s.io/v1", "RoleBinding", labelled_only=True),
    HeldKind("v1", "PersistentVolumeClaim", labelled_only=True),
    HeldKind("v1", "ConfigMap"),
    HeldKind("networking.k8s.io/v1", "NetworkPolicy", labelled_only=True),
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
