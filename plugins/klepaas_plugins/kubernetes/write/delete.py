"""Plans the deletion of one object: which one it is, what goes with it, and what holds it up.

The object is read first, and only that object (its uid) is deleted. Some namespaces are never deleted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from klepaas.changes import Action, ChangeSet, ObjectChange, ObjectIdentity
from klepaas.errors import BadRequest, Conflict, Forbidden
from klepaas.output import Answer
from klepaas.plans.describe import describe_object, escape
from klepaas_plugins.kubernetes.client import Cluster, Resource
from klepaas_plugins.kubernetes.dependents import Found, contents_of, kept_kinds, owned_by
from klepaas_plugins.kubernetes.referrers import USED_BY_PODS, find_users
from klepaas_plugins.kubernetes.risks import find_risks
from klepaas_plugins.kubernetes.write.basis import deletion_basis
from klepaas_plugins.kubernetes.write.trial import why_no_dry_run
from klepaas_plugins.kubernetes.write.writer import write

__all__ = ["DeleteRequest", "answer_delete", "plan_delete", "plan_deletion"]

Propagation = Literal["Background", "Foreground", "Orphan"]
# A deletion that takes more with it than the object: what lives in it, or the data of a claim.
_CONFIRMED = frozenset(
    {"Namespace", "CustomResourceDefinition", "PersistentVolume", "PersistentVolumeClaim", "Node", "APIService"}
)
_NEVER = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})


@dataclass(frozen=True, kw_only=True)
class DeleteRequest:
    """What is asked for.

    Attributes:
        cluster: The cluster.
        resource: The kind.
        name: The name.
        namespace: The namespace. None: the kind has none.
        uid: Which object of that name. None: the one that is there.
        resource_version: In which version. None: any.
        propagation: Whether what it owns goes after it, before it or not at all.
    """

    cluster: Cluster
    resource: Resource
    name: str
    namespace: str | None
    uid: str | None = None
    resource_version: str | None = None
    propagation: Propagation = "Background"

    @property
    def title(self) -> str:
        """The object in words."""
        place = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.resource.title} {self.name}{place}"


async def plan_deletion(request: DeleteRequest, confirm_name: str | None, *, dry_run: bool) -> ChangeSet:
    """The change of a call that deletes one object.

    Args:
        request: What is asked for.
        confirm_name: The name once more. None: not said.
        dry_run: Whether it is only shown.

    Raises:
        BadRequest: The deletion takes more with it than the object, and its name was not repeated.
        KlepaasError: The object is not deleted, as `plan_delete` says.
    """
    (change,) = await find_risks(request.cluster, [await plan_delete(request)])
    needs_name = request.resource.kind in _CONFIRMED and confirm_name != request.name
    if needs_name and not dry_run:
        going = dict(change.facts).get("with it", "nothing else")
        raise BadRequest(
            f"Deleting {request.title} takes more with it than the object, with it: {going}; nothing was deleted",
            next_step="If the person wants that, repeat the call with confirm_name set to the object's name",
        )
    notes = ("it needs confirm_name",) if needs_name else ()
    return ChangeSet(title=f"Delete {change.identity.title}", objects=(change,), notes=notes)


async def answer_delete(cluster: Cluster, changes: ChangeSet) -> Answer:
    """Delete what was planned.

    Args:
        cluster: The cluster.
        changes: The plan.

    Raises:
        KlepaasError: It was not deleted, or its outcome is unknown.
    """
    (change,) = changes.objects
    written = await write(cluster, change)
    state = "is deleted" if written.is_gone else "is being deleted"
    return Answer("\n".join([f"{escape(change.identity.title)} {state}", *describe_object(change).lines[1:]]))


async def plan_delete(request: DeleteRequest) -> ObjectChange:
    """What deleting an object would take with it; nothing is changed.

    Args:
        request: What is asked for.

    Raises:
        NotFound: There is no such object.
        Forbidden: It is never deleted.
        Conflict: It is not the object that was meant.
        KlepaasError: The server refuses the deletion, or cannot be asked.
    """
    resource, cluster = request.resource, request.cluster
    if resource.kind == "Namespace" and request.name in _NEVER:
        raise Forbidden(f"klepaas does not delete namespace {request.name}: the cluster needs it")
    live = await cluster.get(resource, request.name, request.namespace)
    metadata = live.get("metadata") or {}
    if request.uid is not None and request.uid != metadata.get("uid"):
        raise Conflict(
            f"There is a {request.title}, but it has another uid; nothing was deleted",
            next_step="Read it again: somebody deleted and created it since",
        )
    facts = tuple(await _facts_of(request, live))
    not_checked = await _try_deletion(request, str(metadata.get("uid")))
    pinned = {} if request.resource_version is None else {"resource_version": request.resource_version}
    return ObjectChange(
        identity=ObjectIdentity(
            kind=resource.kind,
            name=request.name,
            namespace=request.namespace,
            context=cluster.context,
            api_version=resource.api_version,
            uid=metadata.get("uid"),
        ),
        action=Action.DELETE,
        facts=facts,
        not_checked=not_checked,
        before=live,
        basis={**deletion_basis(live), "facts": [list(fact) for fact in facts]},
        options={"propagation": request.propagation, **pinned},
    )


async def _try_deletion(request: DeleteRequest, uid: str) -> str | None:
    """Have the server check a deletion; why it cannot, where it does not."""
    try:
        await request.cluster.delete(
            request.resource,
            request.name,
            request.namespace,
            uid=uid,
            resource_version=request.resource_version,
            propagation=request.propagation,
            dry_run=True,
        )
    except BadRequest as exc:
        return why_no_dry_run(exc)
    return None


async def _facts_of(request: DeleteRequest, live: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a reader should know of the deletion: what goes with the object, and who uses it."""
    metadata = live.get("metadata") or {}
    if request.resource.kind not in USED_BY_PODS or request.resource.group:
        return _facts(request, metadata, await _going(request, live))
    users = await find_users(request.cluster, request.resource, live)
    return [*_facts(request, metadata, users.owned), *users.facts]


async def _going(request: DeleteRequest, live: Mapping[str, Any]) -> Found:
    """What goes with the object."""
    cluster, spec = request.cluster, live.get("spec") or {}
    if request.resource.kind == "Namespace":
        return await contents_of(cluster, await kept_kinds(cluster), request.name)
    if request.resource.kind == "CustomResourceDefinition":
        kinds = await kept_kinds(cluster, namespaced=None)
        wanted = (str(spec.get("group")), str((spec.get("names") or {}).get("kind")))
        return await contents_of(cluster, [one for one in kinds if (one.group, one.kind) == wanted], None)
    return await owned_by(cluster, request.resource, live)


def _facts(request: DeleteRequest, metadata: Mapping[str, Any], found: Found) -> list[tuple[str, str]]:
    facts = [("uid", str(metadata.get("uid"))), ("with it", found.counted if found.objects else "nothing else")]
    if request.propagation == "Orphan":
        facts = [facts[0], ("left without it", found.counted if found.objects else "nothing")]
    facts += [("not looked at", ", ".join(found.blind))] if found.blind else []
    owner = next((one for one in metadata.get("ownerReferences") or () if one.get("controller")), None)
    if owner is not None:
        facts.append(("it belongs to", f"{owner.get('kind')} {owner.get('name')}, which may make a new one"))
    if metadata.get("finalizers"):
        facts.append(("it goes only when these are done with it", ", ".join(map(str, metadata["finalizers"]))))
    if request.resource.kind == "PersistentVolumeClaim":
        facts.append(("the data on its volume", "may be lost"))
    return facts
