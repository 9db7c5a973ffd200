"""What an application is, and which workloads carry it.

An application is what carries one `app.kubernetes.io/instance`, else `app.kubernetes.io/name`, else `app`, else a
workload's name. Workloads are Deployments, StatefulSets and DaemonSets.

Source: Kubernetes, "Recommended Labels".
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from klepaas.errors import BadRequest, NotFound
from klepaas_plugins.deployments.naming import application_label
from klepaas_plugins.deployments.objects import (
    Object,
    at,
    items,
    labels,
    name_of,
    namespace_of,
)
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.rollout import Phase, Snapshot, counts, phase
from klepaas_plugins.deployments.together import if_allowed, together
from klepaas_plugins.kubernetes.client import Cluster

__all__ = ["KINDS", "LABELS", "Workload", "application_of", "find_one", "find_workloads", "workloads"]

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


async def find_workloads(place: Place) -> list[Workload]:
    """The workloads that an application name means: the one of that name, else all that carry it.

    Raises:
        NotFound: There is none; near names, or the namespaces that have it, are named.
    """
    try:
        resource = await place.cluster.resource("deployments.apps")
        return [Workload("Deployment", await place.cluster.get(resource, place.app_name, place.namespace))]
    except NotFound:
        pass
    there = await workloads(place.cluster, place.namespace)
    named = [item for item in there if item.name == place.app_name]
    found = named[:1] or [item for item in there if place.app_name in _names(item.application)]
    if not found:
        raise await _not_found(place, there)
    return found


def _names(application: str) -> tuple[str, str]:
    """What an application is called: by its name, and by the label of its pods, which is shorter where that is long."""
    return application, application_label(application)


async def find_one(place: Place) -> Workload:
    """The one workload that a change is for.

    Raises:
        BadRequest: The application has several.
        NotFound: There is none.
    """
    found = await find_workloads(place)
    if len(found) > 1:
        raise BadRequest(
            f"{place.text} has several workloads: {', '.join(item.title for item in found)}",
            next_step="Name one of them as app_name",
        )
    return found[0]


async def _not_found(place: Place, there: Sequence[Workload]) -> NotFound:
    known = list(dict.fromkeys(item.application for item in there))
    near = difflib.get_close_matches(place.app_name, known, n=3) or known[:10]
    elsewhere = await _namespaces_with(place)
    if elsewhere:
        hint = f"It is in: {', '.join(elsewhere)}"
    elif known:
        hint = f"There are: {', '.join(near)}"
    else:
        hint = "Nothing is deployed there; list_applications(all_namespaces=true) shows the rest"
    return NotFound(f"There is no application {place.text} (context {place.cluster.context})", next_step=hint)


async def _namespaces_with(place: Place) -> list[str]:
    """Other namespaces with a Deployment of that name; none where that may not be asked."""
    nothing: dict[str, Any] = {}
    resource = await place.cluster.resource("deployments.apps")
    query = partial(place.cluster.list, resource, None, field_selector=f"metadata.name={place.app_name}", limit=10)
    return [namespace_of(item) for item in items(await if_allowed(query, nothing))]
