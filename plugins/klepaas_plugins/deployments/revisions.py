"""A Deployment's history: the revisions that its ReplicaSets keep, and the way back to one of them.

The cluster keeps what a pod template said, no more: ConfigMaps, Secrets, Services and the number of pods are not in a
revision.

Source: Kubernetes, "Deployments", section "Rolling Back a Deployment".
"""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from klepaas.errors import BadRequest, Conflict
from klepaas_plugins.deployments.objects import (
    CHANGE_CAUSE,
    REVISION,
    Object,
    age,
    annotation,
    at,
    images,
    is_owned_by,
    name_of,
    one_line,
)

__all__ = [
    "FAILED",
    "RESTARTED_AT",
    "Revision",
    "choose",
    "history",
    "restored_template",
    "template_changed",
]

# On a ReplicaSet whose rollout klepaas saw fail, so that no later rollback goes there unasked.
FAILED = "klepaas/rollout-failed"
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
_HASH = "pod-template-hash"


@dataclass(frozen=True)
class Revision:
    """One revision of a Deployment.

    Attributes:
        number: The revision's number.
        replicaset: The ReplicaSet that keeps it.
        template: Its pod template, as it was written.
        image: Its images.
        created: When its ReplicaSet was made, as the API says it.
        change_cause: Why it was made. None: nobody said.
        available: Pods of it that serve now.
        failed: Why its rollout failed, as klepaas noted it. None: that is not known.
        is_current: Whether it is what the Deployment wants now.
    """

    number: int
    replicaset: str
    template: dict[str, Any]
    image: str
    created: str
    change_cause: str | None
    available: int
    failed: str | None
    is_current: bool

    def line(self, now: datetime) -> str:
        """The revision on one line."""
        notes = [
            f"{age(self.created, now)} ago",
            f"{self.available} available" if self.available else "",
            f"failed: {self.failed}" if self.failed else "",
        ]
        cause = f" ({one_line(self.change_cause, 120)})" if self.change_cause else ""
        return f"{self.number}: {self.image}, {', '.join(note for note in notes if note)}{cause}"


def history(deployment: Object, replicasets: Iterable[Object]) -> list[Revision]:
    """The revisions that can be named, newest first."""
    current = annotation(deployment, REVISION)
    found = [
        _revision(item, current)
        for item in replicasets
        if is_owned_by(item, deployment) and (annotation(item, REVISION) or "").isdigit()
    ]
    ordered = sorted(found, key=lambda revision: revision.number)
    return [_without_stale_cause(*pair) for pair in zip(ordered, [None, *ordered], strict=False)][::-1]


def _without_stale_cause(revision: Revision, older: Revision | None) -> Revision:
    """The revision without a change cause that a change without one has left as it was."""
    if older is None or revision.change_cause != older.change_cause:
        return revision
    restarts = [at(one.template, "metadata", "annotations", RESTARTED_AT) for one in (revision, older)]
    return revision if restarts[0] != restarts[1] else replace(revision, change_cause=None)


def _revision(replicaset: Object, current: str | None) -> Revision:
    number = annotation(replicaset, REVISION) or "0"
    return Revision(
        number=int(number),
        replicaset=name_of(replicaset),
        template=restored_template(replicaset),
        image=", ".join(images(replicaset)),
        created=str(at(replicaset, "metadata", "creationTimestamp") or ""),
        change_cause=annotation(replicaset, CHANGE_CAUSE),
        available=int(at(replicaset, "status", "availableReplicas") or 0),
        failed=annotation(replicaset, FAILED),
        is_current=number == current,
    )


def restored_template(replicaset: Object) -> dict[str, Any]:
    """The pod template as its Deployment had it: without the label that the controller adds."""
    template: dict[str, Any] = copy.deepcopy(at(replicaset, "spec", "template") or {})
    (at(template, "metadata", "labels") or {}).pop(_HASH, None)
    (template.get("metadata") or {}).pop("creationTimestamp", None)
    return template


def template_changed(one: Object, other: Object) -> bool:
    """Whether two pod templates differ in more than the time of a restart."""
    return _comparable(one) != _comparable(other)


def _comparable(template: Object) -> dict[str, Any]:
    plain = copy.deepcopy(dict(template))
    metadata = dict(plain.get("metadata") or {})
    metadata.pop("creationTimestamp", None)
    annotations = {key: text for key, text in (metadata.pop("annotations", None) or {}).items() if key != RESTARTED_AT}
    plain["metadata"] = {**metadata, **({"annotations": annotations} if annotations else {})}
    return plain


def choose(deployment: Object, revisions: Sequence[Revision], wanted: int | None) -> Revision:
    """The revision to go back to.

    Args:
        deployment: The Deployment.
        revisions: Its revisions, newest first.
        wanted: A revision's number. None: the newest earlier one whose template differs; one that still serves pods
            is preferred, since that it works can be seen, and one whose rollout failed comes last.

    Raises:
        BadRequest: There is no such revision, or it is the current one.
        Conflict: There is nothing to go back to.
    """
    name, live = name_of(deployment), at(deployment, "spec", "template") or {}
    others = [item for item in revisions if not item.is_current and template_changed(item.template, live)]
    if wanted is None:
        if not others:
            raise Conflict(
                f"{name} has no earlier revision with another template, so there is nothing to roll back to",
                next_step="Deploy the image you want with deploy_application",
            )
        return max(others, key=lambda item: (item.available > 0, item.failed is None, item.number))
    return _named(name, revisions, wanted)


def _named(name: str, revisions: Sequence[Revision], wanted: int) -> Revision:
    known = ", ".join(f"{item.number} ({item.image})" for item in revisions) or "none"
    for item in revisions:
        if item.number == wanted and item.is_current:
            raise BadRequest(f"Revision {wanted} of {name} is the current one", next_step=f"There are: {known}")
        if item.number == wanted:
            return item
    raise BadRequest(f"{name} has no revision {wanted}", next_step=f"There are: {known}")
