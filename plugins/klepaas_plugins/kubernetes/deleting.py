"""What `k8s_delete` does: one object, by kind and name, after saying what goes with it.

The object is read first, and only that object (its uid) is deleted. Where a deletion takes more with it than the object
(what lives in a namespace, the data of a claim), the name must be repeated; some namespaces are never deleted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from klepaas.errors import BadRequest, Conflict, Forbidden
from klepaas.names import Check
from klepaas.output import Answer
from klepaas_plugins.kubernetes.client import Cluster, Resource
from klepaas_plugins.kubernetes.dependents import Found, contents_of, kept_kinds, owned_by

__all__ = ["UID", "VERSION", "Propagation", "Removal", "answer_delete"]

Propagation = Literal["background", "foreground"]
_CONFIRMED = frozenset(
    {"Namespace", "CustomResourceDefinition", "PersistentVolume", "PersistentVolumeClaim", "Node", "APIService"}
)
_NEVER = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})
_HEXADECIMAL = frozenset("0123456789abcdefABCDEF-")
UID = Check("uid", lambda text: bool(text) and set(text) <= _HEXADECIMAL, "the uid in the object's metadata", 64)
VERSION = Check("resourceVersion", str.isdecimal, "the resourceVersion in the object's metadata", 24)


@dataclass(frozen=True)
class Removal:
    """What is asked.

    Attributes:
        cluster: The cluster.
        resource: The kind.
        name: The name.
        namespace: The namespace. None: the kind has none.
        uid: Which object of that name. None: the one that is there.
        resource_version: In which version. None: any.
        propagation: Whether what it owns goes after it or before it.
        confirm_name: The name once more. None: not said.
        dry_run: Whether nothing is deleted.
    """

    cluster: Cluster
    resource: Resource
    name: str
    namespace: str | None
    uid: str | None
    resource_version: str | None
    propagation: Propagation
    confirm_name: str | None
    dry_run: bool

    @property
    def title(self) -> str:
        """The object in words."""
        place = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.resource.title} {self.name}{place}"


async def answer_delete(removal: Removal) -> Answer:
    """Delete the object, or show what that would take with it.

    Args:
        removal: What is asked.

    Raises:
        NotFound: There is no such object.
        Forbidden: It is never deleted.
        BadRequest: Its name must be repeated.
        Conflict: It is not the object, or not the version, that was meant.
    """
    if removal.resource.kind == "Namespace" and removal.name in _NEVER:
        raise Forbidden(f"klepaas does not delete namespace {removal.name}: the cluster needs it")
    live = await removal.cluster.get(removal.resource, removal.name, removal.namespace)
    metadata = live.get("metadata") or {}
    if removal.uid is not None and removal.uid != metadata.get("uid"):
        raise Conflict(
            f"There is a {removal.title}, but it has another uid; nothing was deleted",
            next_step="Read it again: somebody deleted and created it since",
        )
    found = await _going(removal, live)
    lines = [_with(found), *found.notes, *_warnings(removal, metadata)]
    if not removal.dry_run:
        _require_name(removal, found)
    ended = await removal.cluster.delete(
        removal.resource,
        removal.name,
        removal.namespace,
        uid=str(metadata.get("uid")),
        resource_version=removal.resource_version,
        propagation="Foreground" if removal.propagation == "foreground" else "Background",
        dry_run=removal.dry_run,
    )
    head = _dry(removal, metadata) if removal.dry_run else _done(removal, ended)
    return Answer("\n".join([head, *lines]), basis=[metadata.get("uid"), len(found.objects)])


async def _going(removal: Removal, live: Mapping[str, Any]) -> Found:
    """What goes with the object."""
    cluster, spec = removal.cluster, live.get("spec") or {}
    if removal.resource.kind == "Namespace":
        return await contents_of(cluster, await kept_kinds(cluster), removal.name)
    if removal.resource.kind == "CustomResourceDefinition":
        kinds = await kept_kinds(cluster, namespaced=None)
        wanted = (str(spec.get("group")), str((spec.get("names") or {}).get("kind")))
        return await contents_of(cluster, [one for one in kinds if (one.group, one.kind) == wanted], None)
    return await owned_by(cluster, removal.resource, live)


def _with(found: Found) -> str:
    return f"with it: {found.counted}" if found.objects else "with it: nothing else"


def _warnings(removal: Removal, metadata: Mapping[str, Any]) -> list[str]:
    lines = []
    owner = next((one for one in metadata.get("ownerReferences") or () if one.get("controller")), None)
    if owner is not None:
        lines.append(f"it belongs to {owner.get('kind')} {owner.get('name')}, which may make a new one")
    if metadata.get("finalizers"):
        lines.append(f"it goes only when these are done with it: {', '.join(map(str, metadata['finalizers']))}")
    if removal.resource.kind == "PersistentVolumeClaim":
        lines.append("the data on its volume may be lost")
    return lines


def _require_name(removal: Removal, found: Found) -> None:
    if removal.resource.kind not in _CONFIRMED or removal.confirm_name == removal.name:
        return
    counted = f" with {found.counted}" if found.objects else ""
    raise BadRequest(
        f"Deleting {removal.title} takes more with it than the object{counted}; nothing was deleted",
        next_step="If the person wants that, repeat the call with confirm_name set to the object's name",
    )


def _dry(removal: Removal, metadata: Mapping[str, Any]) -> str:
    repeat = "; it needs confirm_name" if removal.resource.kind in _CONFIRMED else ""
    return f"Dry run, nothing was deleted. It would delete {removal.title} (uid {metadata.get('uid')}){repeat}"


def _done(removal: Removal, ended: Mapping[str, Any]) -> str:
    metadata = ended.get("metadata") or {}
    if ended.get("kind") != "Status" and metadata.get("deletionTimestamp"):
        return f"{removal.title} is being deleted"
    return f"{removal.title} is deleted"
