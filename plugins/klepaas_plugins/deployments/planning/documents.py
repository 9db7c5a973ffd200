"""Deploying manifests: objects that a caller wrote, as one change that is verified or undone whole.

Only kinds that a release holds may be among them, so that whatever fails can be put back exactly; other kinds are
`k8s_apply`'s affair. Each object gets the application's label, in its metadata alone. Objects of klepaas that the last
release had and these manifests lack are removed, and shown as removals. Nothing is stored here: that is `carrying`'s
affair.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from klepaas.changes import Action, ChangeSet, ObjectChange
from klepaas.errors import BadRequest, Forbidden, NotFound
from klepaas.offload import offload, size_of
from klepaas_plugins.deployments.applications import KINDS as WORKLOADS
from klepaas_plugins.deployments.lookup import find
from klepaas_plugins.deployments.manifests import INSTANCE, MANAGED_BY
from klepaas_plugins.deployments.naming import application_label
from klepaas_plugins.deployments.objects import REVISION, annotation
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.planned import Change, Effect, Planned
from klepaas_plugins.deployments.planning.apply import (
    Replan,
    change_set,
    effect_of,
    is_needed,
    lines_of,
    notes_of,
    plan_object,
    removal_of,
)
from klepaas_plugins.deployments.planning.resolve import refuse_elsewhere
from klepaas_plugins.deployments.releases.book import Releases
from klepaas_plugins.deployments.releases.capturing import read_object
from klepaas_plugins.deployments.releases.kinds import KINDS, NEVER_REMOVED, order_of
from klepaas_plugins.deployments.releases.model import Key, title_of
from klepaas_plugins.deployments.together import together
from klepaas_plugins.kubernetes.client import (
    AUTOSCALER,
    AutoscalerChanges,
    DeleteRequest,
    Manifest,
    is_ours,
    is_target,
    plan_delete,
    read_manifests,
)

__all__ = ["DeployDocuments"]

_HELD = {kind.kind: kind.api_version for kind in KINDS}
_CLUSTER_OWN = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields")


@dataclass(frozen=True)
class DeployDocuments:
    """One deployment of manifests.

    Attributes:
        place: Where to deploy.
        text: The manifests.
        take_ownership: Whether fields may be taken from other managers.
        releases: The application's releases: what the last one had and the manifests lack is removed.
    """

    place: Place
    text: str
    take_ownership: bool
    releases: Releases

    async def planned(self) -> Planned:
        """The change, dry-run.

        Raises:
            KlepaasError: It would be refused; the error says why.
        """
        bodies, workload = await self._bodies()
        gone, notes = await self._removals({_key(body) for body in bodies})
        plan = partial(self._plan, autoscalers=_autoscalers(bodies, gone))
        objects = await together(*(partial(plan, body) for body in bodies))
        title = f"Deploying manifests as {self.place.text}"
        changes = await change_set(self.place, title, _in_order(workload, objects, gone), notes=notes)
        replans = {_key(body): partial(plan, body) for body in bodies}
        effects = tuple(self._effect(one, replans, changes) for one in changes.objects)
        name, live = _key(workload), objects[bodies.index(workload)].before
        before = {"/".join(name): live} if live else {}
        words = await offload(partial(_in_words, changes, live), size_chars=size_of([one.after for one in objects]))
        return Planned(words, (name,), before, effects, changes=changes)

    def _effect(self, change: ObjectChange, replans: Mapping[Key, Replan], changes: ChangeSet) -> Effect:
        if change.action is Action.DELETE:
            return removal_of(self.place, change)
        replan = replans[change.identity.kind, change.identity.name]
        return effect_of(self.place, change, replan, among=changes.objects)

    async def _bodies(self) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """The objects in the order in which they are applied, and the workload among them."""
        manifests = await offload(partial(read_manifests, self.text), size_chars=len(self.text))
        bodies = sorted((self._body(one) for one in manifests), key=lambda body: order_of(body["kind"]))
        workloads = [body for body in bodies if body["kind"] in WORKLOADS]
        if [body["metadata"]["name"] for body in workloads] != [self.place.app_name]:
            raise BadRequest(
                f"The manifests must hold one workload, of the name {self.place.app_name}",
                next_step=f"Give one of {', '.join(WORKLOADS)}; app_name is its name",
            )
        if await self._live(workloads[0]) is None:
            await refuse_elsewhere(self.place)
        return bodies, workloads[0]

    async def _removals(self, kept: set[Key]) -> tuple[list[ObjectChange], list[str]]:
        """The objects that the last release had and the manifests lack, and what to say of those that stay."""
        try:
            last = await self.releases.last()
            had = await self.releases.load(last) if last is not None else None
        except Forbidden as exc:
            return [], [f"Whether the last release had further objects is not known: {exc.what}"]
        keys = [key for key in reversed(had.by_key if had else {}) if key not in kept and key[0] not in NEVER_REMOVED]
        there = await together(*(partial(read_object, self.place, key) for key in keys))
        found = [(key, item) for key, item in zip(keys, there, strict=True) if item is not None]
        going = [(key, item) for key, item in found if is_ours(item)]
        notes = [f"{title_of(key)} stays: klepaas did not make it." for key, item in found if not is_ours(item)]
        return await together(*(partial(self._delete, key, item) for key, item in going)), notes

    async def _delete(self, key: Key, item: dict[str, Any]) -> ObjectChange:
        cluster = self.place.cluster
        resource = await cluster.resource(f"{item['apiVersion']}/{item['kind']}")
        request = DeleteRequest(
            cluster=cluster, resource=resource, name=key[1], namespace=self.place.namespace, uid=item["metadata"]["uid"]
        )
        return await plan_delete(request)

    async def _live(self, body: Mapping[str, Any]) -> dict[str, Any] | None:
        kind = f"{body['apiVersion']}/{body['kind']}"
        return await find(self.place.cluster, kind, body["metadata"]["name"], self.place.namespace)

    async def _plan(self, body: dict[str, Any], *, autoscalers: AutoscalerChanges) -> ObjectChange:
        try:
            return await plan_object(self.place, body, take_ownership=self.take_ownership, autoscalers=autoscalers)
        except NotFound as exc:
            raise NotFound(
                f"{body['kind']} {body['metadata']['name']} cannot be made in {self.place.namespace}: {exc.what}",
                next_step="Have the namespace created first; deploying does not create one",
            ) from exc

    def _body(self, one: Manifest) -> dict[str, Any]:
        """The object as it is applied."""
        if _HELD.get(one.kind) != one.api_version:
            raise BadRequest(f"{one.where} cannot be deployed: {_why_not(one)}", next_step=_instead(one))
        if one.namespace not in (None, self.place.namespace):
            raise BadRequest(
                f"{one.where} is for the namespace {one.namespace}, the call for {self.place.namespace}",
                next_step="Name one of them in both places",
            )
        body = copy.deepcopy(one.body)
        metadata = {key: value for key, value in body["metadata"].items() if key not in _CLUSTER_OWN}
        labels = dict(metadata.get("labels") or {})
        labels.setdefault(INSTANCE, application_label(self.place.app_name))
        labels.setdefault(MANAGED_BY, "klepaas")
        body["metadata"] = {**metadata, "namespace": self.place.namespace, "labels": labels}
        return body


def _key(body: Mapping[str, Any]) -> Key:
    return str(body["kind"]), str(body["metadata"]["name"])


def _in_order(
    workload: Mapping[str, Any], applied: Sequence[ObjectChange], gone: Sequence[ObjectChange]
) -> list[ObjectChange]:
    """The changes in the order in which they are made: an autoscaler that leaves the workload would undo its number."""
    return sorted((*applied, *gone), key=lambda one: not _leaves(one, workload))


def _leaves(change: ObjectChange, workload: Mapping[str, Any]) -> bool:
    """Whether an autoscaler targets the workload now, and no more when the change is made."""
    if change.identity.kind != AUTOSCALER or not is_target(change.before or {}, workload):
        return False
    return change.action is Action.DELETE or not is_target(change.after or {}, workload)


def _autoscalers(bodies: Sequence[Mapping[str, Any]], gone: Sequence[ObjectChange]) -> AutoscalerChanges:
    removed = frozenset(one.identity.name for one in gone if one.identity.kind == AUTOSCALER)
    return AutoscalerChanges(tuple(body for body in bodies if body["kind"] == AUTOSCALER), removed)


def _why_not(one: Manifest) -> str:
    if one.kind == "Secret":
        return "values of Secrets are kept in no operation and no release"
    if one.kind in _HELD:
        return f"a release holds its kind as {_HELD[one.kind]} alone"
    return "a release does not hold its kind, so a failure could not be undone"


def _instead(one: Manifest) -> str:
    if one.kind in _HELD:
        return f"Write apiVersion: {_HELD[one.kind]}"
    return "Apply it first with k8s_apply; deploy_application takes " + ", ".join(_HELD)


def _in_words(changes: ChangeSet, live: Mapping[str, Any] | None) -> Change:
    revision = annotation(live, REVISION) if live else None
    needed = any(is_needed(one) for one in changes.objects)
    return Change(
        noun="Deployment",
        done="is deployed" if needed else "already runs exactly this",
        lines=lines_of(changes),
        notes=[*changes.notes, *notes_of(changes)],
        facts={"previous_revision": int(revision)} if revision and needed else {},
        stored=needed,
    )
