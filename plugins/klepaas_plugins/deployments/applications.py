"""What an application is, and which workloads carry it.

An application is what carries one `app.kubernetes.io/instance`, else `app.kubernetes.io/name`, else `app`, else a
workload's name. Workloads are Deployments, StatefulSets and DaemonSets.

Source: Kubernetes, "Recommended Labels".
"""

from dataclasses import dataclass
from functools import partial

from klepaas_plugins.deployments.naming import application_label
from klepaas_plugins.deployments.objects import (
    Object,
    at,
    items,
    labels,
    name_of,
    namespace_of,
)
from klepaas_plugins.deployments.rollout import Phase, Snapshot, counts, phase
from klepaas_plugins.deployments.together import together
from klepaas_plugins.kubernetes.client import Cluster

__all__ = ["KINDS", "LABELS", "Workload", "application_of", "workloads"]

KINDS = ("Deployment", "StatefulSet", "DaemonSet")
LABELS = ("app.kubernetes.io/instance", "app.kubernetes.io/name", "app")


_PAGE = 500


@dataclass(frozen=True)
class Workload:
    """One workload and what it belongs to.

    Attributes:
        kind: Deployment, StatefulSet or DaemonSet.
        item: The object.
    """

    kind: str
    item: Object

    @property
    def name(self) -> str:
        """Its name."""
        return name_of(self.item)

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return namespace_of(self.item)

    @property
    def application(self) -> str:
        """The application that it carries."""
        return application_of(self.item)

    @property
    def phase(self) -> Phase:
        """How it is, as far as the object alone tells."""
        return phase(Snapshot(self.kind, self.item))

    @property
    def title(self) -> str:
        """It as a sentence names it: "deployment web"."""
        return f"{self.kind.lower()} {self.name}"

    @property
    def ready(self) -> str:
        """Ready pods of wanted ones: "2/3"."""
        numbers = counts(self.kind, self.item)
        return f"{numbers.ready}/{numbers.desired}"


def application_of(item: Object) -> str:
    """The application that an object belongs to."""
    found, name = labels(item), name_of(item)
    mark = next((found[key] for key in LABELS if found.get(key)), name)
    return name if mark == application_label(name) else mark


async def workloads(cluster: Cluster, namespace: str | None) -> list[Workload]:
    """Every workload of a namespace.

    Args:
        cluster: The cluster.
        namespace: The namespace. None: all of them.

    Raises:
        Forbidden: The credentials may not list them.
    """

    async def listed(kind: str) -> list[Workload]:
        resource = await cluster.resource(f"{kind.lower()}s.apps")
        found: list[Workload] = []
        cursor: str | None = None
        while True:
            page = await cluster.list(resource, namespace, limit=_PAGE, cursor=cursor)
            found += [Workload(kind, item) for item in items(page)]
            cursor = at(page, "metadata", "continue") or None
            if cursor is None:
                return found

    found = await together(*(partial(listed, kind) for kind in KINDS))
    return [workload for some in found for workload in some]
