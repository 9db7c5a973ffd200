"""A plan on its way: what is asked for, the object as it is, and what was found out so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from klepaas.changes import FieldChange, ObjectIdentity
from klepaas_plugins.kubernetes.client import Cluster, Resource
from klepaas_plugins.kubernetes.write.autoscaling import AutoscalerChanges
from klepaas_plugins.kubernetes.write.own_fields import Paths
from klepaas_plugins.kubernetes.write.ownership import Loss, Transfer

__all__ = ["ApplyRequest", "Draft", "identity_of", "with_version_of_new"]

# No object has this version: an apply that carries it makes a new one, or is a conflict.
_NEVER_A_VERSION = "1"


@dataclass(frozen=True, kw_only=True)
class ApplyRequest:
    """What is asked for.

    Attributes:
        cluster: The cluster.
        resource: The kind. None: it is not served yet.
        body: The manifest, with its name, and its namespace where the kind has one; null removes.
        take_ownership: Whether fields of controllers are taken over too.
        remove_unnamed: Whether fields that klepaas set and the manifest does not name are removed.
        removed: Paths that are to go, whoever set them, and that the body cannot name by a null: items of lists.
        create: Whether the object must be new.
        not_served: Why the server cannot try it out. None: it can.
        absent_namespace: Whether a missing namespace is no mistake, since it is made before.
        is_restoring: Whether an earlier state is restored: a controller's field is then left as it is and named.
        autoscalers: What becomes of autoscalers in the same change.
    """

    cluster: Cluster
    resource: Resource | None
    body: Mapping[str, Any]
    take_ownership: bool = False
    remove_unnamed: bool = False
    removed: Paths = frozenset()
    create: bool = False
    not_served: str | None = None
    absent_namespace: bool = False
    is_restoring: bool = False
    autoscalers: AutoscalerChanges = field(default_factory=AutoscalerChanges)

    @property
    def name(self) -> str:
        """The object's name."""
        return str((self.body.get("metadata") or {}).get("name"))

    @property
    def namespace(self) -> str | None:
        """The object's namespace. None: the kind has none."""
        found = (self.body.get("metadata") or {}).get("namespace")
        return None if found is None else str(found)

    @property
    def title(self) -> str:
        """The object in words."""
        return ObjectIdentity(kind=str(self.body.get("kind")), name=self.name, namespace=self.namespace).title


@dataclass
class Draft:
    """A plan on its way.

    Attributes:
        request: What is asked for.
        named: The manifest without its nulls, as the server would store it.
        live: The object as it is. None: there is none, or it may not be read.
        is_seen: Whether it may be read.
        body: What is to be sent.
        after: What the server makes of it.
        claimed: What klepaas would own afterwards.
        nulls: The paths of what is there and the manifest sets to null, or that are to go in another way.
        gone: The paths that are to go.
        losses: What other managers lose.
        transfer: What changes hands first.
        immutable: Fields that the server never changes.
        not_checked: Why `after` is not the server's.
        notes: Facts about the change.
        has_moving_replicas: Whether an autoscaler sets the number of replicas, so that nothing rests on it.
    """

    request: ApplyRequest
    named: dict[str, Any]
    live: dict[str, Any] | None = None
    is_seen: bool = True
    body: dict[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] | None = None
    claimed: Paths = frozenset()
    nulls: Paths = frozenset()
    gone: Paths = frozenset()
    losses: list[Loss] = field(default_factory=list)
    transfer: Transfer = field(default_factory=Transfer)
    immutable: list[FieldChange] = field(default_factory=list)
    not_checked: str | None = None
    notes: list[tuple[str, str]] = field(default_factory=list)
    has_moving_replicas: bool = False


def identity_of(draft: Draft) -> ObjectIdentity:
    """Which object a plan is about.

    Args:
        draft: The plan.
    """
    request = draft.request
    uid = ((draft.live or {}).get("metadata") or {}).get("uid")
    return ObjectIdentity(
        kind=str(request.body.get("kind")),
        name=request.name,
        namespace=request.namespace,
        context=request.cluster.context,
        api_version=str(request.body.get("apiVersion")),
        uid=uid,
    )


def with_version_of_new(body: Mapping[str, Any]) -> dict[str, Any]:
    """A body whose apply makes a new object, or is refused with ObjectModified where there is one.

    Args:
        body: The object.
    """
    return {**body, "metadata": {**body["metadata"], "resourceVersion": _NEVER_A_VERSION}}
