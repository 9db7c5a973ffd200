"""Applying an object in two steps: a dry run that shows what would change and who is in the way, then the real one.

Fields that somebody else owns stay theirs unless the caller takes them. klepaas' own earlier patches (a rollback, a
restart) are no obstacle.

Source: Kubernetes, "Server-Side Apply", section "Conflicts".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from klepaas.errors import NotFound
from klepaas_plugins.deployments.changes import Change, changes, visible_changes
from klepaas_plugins.deployments.errors import OwnedByAnother
from klepaas_plugins.deployments.objects import Object
from klepaas_plugins.deployments.ownership import MANAGER, foreign
from klepaas_plugins.deployments.planned import Effect
from klepaas_plugins.kubernetes.client import Cluster, FieldConflict

__all__ = ["Plan", "apply", "effect_of", "find", "plan"]


async def find(cluster: Cluster, kind: str, name: str, namespace: str) -> dict[str, Any] | None:
    """An object as it is.

    Args:
        cluster: The cluster.
        kind: Its kind, as `Cluster.resource` takes it.
        name: Its name.
        namespace: Its namespace.

    Returns:
        The object. None: there is none.
    """
    try:
        return await cluster.get(await cluster.resource(kind), name, namespace)
    except NotFound:
        return None


@dataclass(frozen=True)
class Plan:
    """One object's change, as the server would make it.

    Attributes:
        body: What is applied.
        before: The object as it is. None: it does not exist.
        after: The object as it would be.
        force: Whether fields are taken from other managers.
    """

    body: Mapping[str, Any]
    before: Object | None
    after: Object
    force: bool

    @property
    def title(self) -> str:
        """The object as a sentence names it."""
        return f"{self.body['kind']} {self.body['metadata']['name']}"

    @property
    def changes(self) -> list[Change]:
        """What would differ; for a new object what klepaas says of it, not the server's defaults."""
        return changes({}, self.body) if self.before is None else changes(self.before, self.after)

    @property
    def visible_changes(self) -> list[Change]:
        """What a dry run may tell of the changes: hidden values that are sent are named, not compared."""
        return visible_changes(self.before or {}, self.body if self.before is None else self.after, self.body)

    @property
    def needed(self) -> bool:
        """Whether applying would change anything."""
        return self.before is None or bool(self.changes)


async def plan(cluster: Cluster, body: Mapping[str, Any], before: Object | None, *, take_ownership: bool) -> Plan:
    """Ask the server what applying would do.

    Args:
        cluster: The cluster.
        body: What is to be applied.
        before: The object as it is. None: it does not exist.
        take_ownership: Whether fields may be taken from other managers.

    Raises:
        OwnedByAnother: It would change fields of other managers, which `take_ownership` does not allow.
        KlepaasError: The server refuses it: validation, admission, quota, rights.
    """
    if before is not None and not take_ownership:
        from klepaas_plugins.kubernetes.client.masking import owners_of_hidden

        # The server would not mind a hidden value that equals the owner's, and so answer a guess.
        hidden = foreign(owners_of_hidden(body, before, MANAGER))
        if hidden:
            raise _owned(body, hidden)
    try:
        return Plan(body, before, await cluster.apply(body, dry_run=True), force=False)
    except FieldConflict as exc:
        others = foreign(exc.owners)
        if others and not take_ownership:
            raise _owned(body, others) from exc
        return Plan(body, before, await cluster.apply(body, dry_run=True, force=True), force=True)


async def apply(cluster: Cluster, planned: Plan) -> dict[str, Any]:
    """Make the planned change; the object as the server has it then."""
    return await cluster.apply(planned.body, force=planned.force)


def effect_of(cluster: Cluster, planned: Plan) -> Effect:
    """Making the planned change, as a step of an operation.

    Args:
        cluster: The cluster.
        planned: The change.
    """
    name = f"apply {planned.title}"
    return Effect(name, partial(_do, cluster, planned), partial(_done, cluster, planned), planned.needed)


async def _do(cluster: Cluster, planned: Plan) -> None:
    await apply(cluster, planned)


async def _done(cluster: Cluster, planned: Plan) -> dict[str, Any] | None:
    """Whether applying would change nothing any more."""
    body = planned.body
    metadata = body["metadata"]
    live = await find(cluster, f"{body['apiVersion']}/{body['kind']}", metadata["name"], metadata["namespace"])
    if live is None:
        return None
    again = Plan(body, live, await cluster.apply(body, dry_run=True, force=planned.force), planned.force)
    return None if again.needed else {}


def _owned(body: Mapping[str, Any], others: list[tuple[str, str]]) -> OwnedByAnother:
    shown = ", ".join(f"{field.lstrip('.')} (owned by {manager})" for manager, field in others[:5])
    more = f" and {len(others) - 5} more" if len(others) > 5 else ""
    return OwnedByAnother(
        f"{body['kind']} {body['metadata']['name']} has fields of other managers that this would change: {shown}{more}",
        next_step="Leave them to their owner, or call again with take_ownership=true to make them klepaas'",
    )
