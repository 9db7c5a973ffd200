"""Deploying manifests: objects that a caller wrote, as one change that is verified or undone whole.

Only kinds that a release holds may be among them, so that whatever fails can be put back exactly; other kinds are
`k8s_apply`'s affair. Each object gets the application's label, in its metadata alone. What an earlier deployment had
and these manifests do not name stays. Nothing is stored here: that is `carrying`'s affair.
"""

import copy
from dataclasses import dataclass
from functools import partial
from typing import Any

from klepaas.errors import BadRequest, NotFound
from klepaas.offload import offload, size_of
from klepaas.output import Answer
from klepaas_plugins.deployments.applications import KINDS as WORKLOADS
from klepaas_plugins.deployments.applying import Plan, effect_of, find, plan
from klepaas_plugins.deployments.changes import listed
from klepaas_plugins.deployments.deploying import shown
from klepaas_plugins.deployments.manifests import INSTANCE, MANAGED_BY
from klepaas_plugins.deployments.naming import application_label
from klepaas_plugins.deployments.objects import REVISION, annotation
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.planned import Change, Planned
from klepaas_plugins.deployments.planning.resolve import refuse_elsewhere
from klepaas_plugins.deployments.releases.kinds import KINDS, order_of
from klepaas_plugins.deployments.together import together
from klepaas_plugins.kubernetes.client import Manifest, read_manifests

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
    """

    place: Place
    text: str
    take_ownership: bool

    async def preview(self) -> Answer:
        """Say what deploying would change, and store nothing.

        Raises:
            KlepaasError: It would be refused; the error says why.
        """
        plans, _ = await self._plans()
        return shown(plans, f"manifests as {self.place.text}", [])

    async def planned(self) -> Planned:
        """The change, dry-run.

        Raises:
            KlepaasError: It would be refused; the error says why.
        """
        plans, workload = await self._plans()
        size_chars = size_of([[one.body, one.before, one.after] for one in plans])
        effects = await offload(
            lambda: tuple(effect_of(self.place.cluster, one) for one in plans), size_chars=size_chars
        )
        live = next(one.before for one in plans if one.body is workload)
        name = (str(workload["kind"]), str(workload["metadata"]["name"]))
        before = {"/".join(name): live} if live else {}
        revision = annotation(live, REVISION) if live else None
        words = await offload(partial(_in_words, plans, revision), size_chars=size_chars)
        return Planned(words, (name,), before, effects)

    async def _plans(self) -> tuple[list[Plan], dict[str, Any]]:
        """Each object's change, in the order in which they are applied, and the workload among them."""
        manifests = await offload(partial(read_manifests, self.text), size_chars=len(self.text))
        bodies = [self._body(one) for one in manifests]
        bodies.sort(key=lambda body: order_of(body["kind"]))
        workloads = [body for body in bodies if body["kind"] in WORKLOADS]
        if [body["metadata"]["name"] for body in workloads] != [self.place.app_name]:
            raise BadRequest(
                f"The manifests must hold one workload, of the name {self.place.app_name}",
                next_step=f"Give one of {', '.join(WORKLOADS)}; app_name is its name",
            )
        found = await together(*(partial(self._live, body) for body in bodies))
        if found[bodies.index(workloads[0])] is None:
            await refuse_elsewhere(self.place)
        plans: list[Plan] = await together(*(partial(self._plan, *pair) for pair in zip(bodies, found, strict=True)))
        return plans, workloads[0]

    async def _live(self, body: dict[str, Any]) -> dict[str, Any] | None:
        kind = f"{body['apiVersion']}/{body['kind']}"
        return await find(self.place.cluster, kind, body["metadata"]["name"], self.place.namespace)

    async def _plan(self, body: dict[str, Any], live: dict[str, Any] | None) -> Plan:
        try:
            return await plan(self.place.cluster, body, live, take_ownership=self.take_ownership)
        except NotFound as exc:
            if live is not None:
                raise
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


def _in_words(plans: list[Plan], revision: str | None) -> Change:
    lines = [
        f"{one.title}: {line.strip()}" for one in plans if one.before is not None for line in listed(one.changes)
    ]  # fmt: skip
    lines = [f"Changed: {'; '.join(lines)}"] if lines else []
    made = [one.title for one in plans if one.before is None]
    lines += [f"Created: {', '.join(made)}"] if made else []
    needed = any(one.needed for one in plans)
    return Change(
        noun="Deployment",
        done="is deployed" if needed else "already runs exactly this",
        lines=lines,
        facts={"previous_revision": int(revision)} if revision and needed else {},
        stored=needed,
    )
