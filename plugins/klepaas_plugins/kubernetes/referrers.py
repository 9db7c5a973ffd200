"""Who uses a ConfigMap or a Secret: the workloads whose pods name it.

Searched is where people and controllers of the cluster write pod templates. What was not searched is told.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from klepaas.errors import KlepaasError
from klepaas.resilience import gather
from klepaas_plugins.kubernetes.client import Cluster, Resource
from klepaas_plugins.kubernetes.dependents import AT_ONCE, PAGE, PAGES_MAX, Found, dependents_in

__all__ = ["USED_BY_PODS", "Users", "find_users"]

USED_BY_PODS = frozenset({"ConfigMap", "Secret"})
# A Job's pods, and those of kinds that others have defined, are found as pods.
_SEARCHED = ("deployments.apps", "statefulsets.apps", "daemonsets.apps", "cronjobs.batch", "pods")
_UNSEARCHED = "kinds other than Deployments, StatefulSets, DaemonSets, CronJobs and Pods"
_SHOWN_MAX = 10
# Whose pods are found by their template.
_TEMPLATED = frozenset({"ReplicaSet", "StatefulSet", "DaemonSet"})
Object = Mapping[str, Any]


@dataclass(frozen=True)
class Users:
    """What was found out about who uses an object.

    Attributes:
        names: Who does: "deployment web".
        owned: What goes with it, of the kinds that were searched.
        unsearched: What was not searched.
    """

    names: tuple[str, ...]
    owned: Found
    unsearched: tuple[str, ...]

    @property
    def facts(self) -> list[tuple[str, str]]:
        """It in an answer."""
        more = f" and {len(self.names) - _SHOWN_MAX} more" if len(self.names) > _SHOWN_MAX else ""
        used = f"{', '.join(self.names[:_SHOWN_MAX])}{more}" or "nothing that was searched"
        return [("used by", used), ("not searched for who uses it or goes with it", ", ".join(self.unsearched))]


async def find_users(cluster: Cluster, resource: Resource, live: Object) -> Users:
    """Who uses an object, and what it owns, among the kinds that hold pod templates.

    Args:
        cluster: The cluster.
        resource: The object's kind: one of `USED_BY_PODS`.
        live: The object.
    """
    metadata = live.get("metadata") or {}
    listed: dict[str, tuple[Resource, list[dict[str, Any]]]] = {}
    unsearched = [_UNSEARCHED]
    namespace = metadata.get("namespace")
    await gather(*[partial(_list, cluster, name, namespace, listed, unsearched) for name in _SEARCHED], at_once=AT_ONCE)
    found = [listed[name] for name in _SEARCHED if name in listed]
    names = [name for kind, items in found for name in _users(kind, items, resource.kind, str(metadata.get("name")))]
    owned = Found([one for kind, items in found for one in dependents_in(kind, items, {str(metadata.get("uid"))})])
    return Users(tuple(names), owned, tuple(unsearched))


async def _list(
    cluster: Cluster,
    name: str,
    namespace: str | None,
    listed: dict[str, tuple[Resource, list[dict[str, Any]]]],
    unsearched: list[str],
) -> None:
    """List one kind; what could not be seen of it is noted."""
    items: list[dict[str, Any]] = []
    cursor: str | None = None
    try:
        resource = await cluster.resource(name)
        for _ in range(PAGES_MAX):
            page = await cluster.list(resource, namespace, limit=PAGE, cursor=cursor)
            items += page.get("items") or []
            cursor = (page.get("metadata") or {}).get("continue") or None
            if cursor is None:
                break
        else:
            unsearched.append(f"{resource.plural} after the first {len(items)}")
    except KlepaasError as exc:
        unsearched.append(f"{name.partition('.')[0]} ({exc.code})")
        return
    listed[name] = (resource, items)


def _users(resource: Resource, items: Iterable[Object], kind: str, name: str) -> Iterator[str]:
    for item in items:
        metadata = item.get("metadata") or {}
        owners = {one.get("kind") for one in metadata.get("ownerReferences") or () if one.get("controller")}
        if not owners & _TEMPLATED and (kind, name) in _references(_pod_spec(resource.kind, item)):
            yield f"{resource.title} {metadata.get('name')}"


def _pod_spec(kind: str, item: Object) -> Object:
    """What holds the containers."""
    spec: Object = item.get("spec") or {}
    steps = {"Pod": (), "CronJob": ("jobTemplate", "spec", "template", "spec")}.get(kind, ("template", "spec"))
    for step in steps:
        spec = spec.get(step) or {}
    return spec


def _references(spec: Object) -> Iterator[tuple[str, str]]:
    """Kind and name of each ConfigMap and Secret that a pod takes something from."""
    for key in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(key) or ():
            yield from _of_container(container)
    for volume in spec.get("volumes") or ():
        yield from _of_source(volume, "secretName")
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield from _of_source(source, "name")
    yield from (("Secret", str(one.get("name"))) for one in spec.get("imagePullSecrets") or ())


def _of_container(container: Object) -> Iterator[tuple[str, str]]:
    for one in container.get("env") or ():
        source = one.get("valueFrom") or {}
        yield "ConfigMap", str((source.get("configMapKeyRef") or {}).get("name"))
        yield "Secret", str((source.get("secretKeyRef") or {}).get("name"))
    for one in container.get("envFrom") or ():
        yield "ConfigMap", str((one.get("configMapRef") or {}).get("name"))
        yield "Secret", str((one.get("secretRef") or {}).get("name"))


def _of_source(source: Object, secret_key: str) -> Iterator[tuple[str, str]]:
    yield "ConfigMap", str((source.get("configMap") or {}).get("name"))
    yield "Secret", str((source.get("secret") or {}).get(secret_key))
