"""What the tools of applications share: where their application is, what they change, and how a change is executed."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from fastmcp import Context

from klepaas.agents import Agents, DeploymentRequest
from klepaas.changes import ChangeSet, current_change_set
from klepaas.errors import BadRequest
from klepaas.host import Host
from klepaas.operations import PLANNED, Location, Operations
from klepaas.output import Answer
from klepaas.tools import Target
from klepaas_plugins.deployments import kinds
from klepaas_plugins.deployments.declaring import Resources, Variables
from klepaas_plugins.deployments.place import Place, locate
from klepaas_plugins.deployments.plan_looks import PlanLooks
from klepaas_plugins.deployments.settings import RolloutSettings
from klepaas_plugins.kubernetes.client import Clusters

__all__ = ["ToolContext", "planned_now", "request_of"]


# Whoever is asked to confirm a restart has so long, and is then asked about another moment.
_MOMENT_LASTS_S = 900.0


@dataclass(frozen=True)
class ToolContext:
    """What every tool needs.

    Attributes:
        clusters: The clusters there are.
        settings: How a rollout is judged.
        agents: What executes deployments.
        host: The settings and shared services.
    """

    clusters: Clusters
    settings: RolloutSettings
    agents: Agents
    host: Host
    _moments: dict[tuple[str, ...], float] = field(default_factory=dict, init=False, repr=False, compare=False)

    async def place(self, app_name: str, namespace: str | None, context: str | None) -> Place:
        """The application that a call is about."""
        return await locate(self.clusters, app_name, namespace, context)

    def moment_for(self, place: Place) -> str:
        """The moment that a restart is known by: the same while one call, or one plan, is decided on.

        Args:
            place: The application.
        """
        from klepaas_plugins.deployments.planning.restart import restart_moment

        key, now_s = _key(place), time.time()
        drawn = {other: at_s for other, at_s in self._moments.items() if now_s - at_s < _MOMENT_LASTS_S}
        self._moments.clear()
        self._moments.update(drawn)
        return restart_moment(self._moments.setdefault(key, now_s))

    def forget_moment(self, place: Place) -> None:
        """A restart begins: the next one gets another moment.

        Args:
            place: The application.
        """
        self._moments.pop(_key(place), None)

    def keep_looks(self, changes: ChangeSet, place: Place) -> ChangeSet:
        """Keep what a plan has seen for the operation that makes the change.

        Args:
            changes: The plan.
            place: Where it looked.

        Returns:
            The plan.
        """
        return PlanLooks.of(self.host).keep(changes, place)

    async def targets(self, arguments: Mapping[str, Any]) -> Sequence[Target]:
        """What a change of an application changes."""
        place = await self.place(arguments["app_name"], arguments.get("namespace"), arguments.get("context"))
        return (place.target,)

    async def deployment_targets(self, arguments: Mapping[str, Any]) -> Sequence[Target]:
        """What a deployment changes, as its agent tells."""
        request = request_of(**arguments)
        return await self.agents.choose(request).targets(request)

    async def change(
        self,
        kind: str,
        title: str,
        place: Place,
        how: tuple[Context, int | None, str | None],
        *,
        pins: Mapping[str, Any] | None = None,
        **wanted: Any,
    ) -> Answer:
        """Have an application in a cluster changed, as the gate has planned it.

        Args:
            kind: The kind of operation.
            title: What it does, in a few words.
            place: The application.
            how: FastMCP's context, the seconds to wait (None: the default), and the caller's idempotency key.
            pins: What was drawn in the plan. None: the tool has no plan.
            wanted: What is wanted.
        """
        target = await kinds.observed_target(self.clusters, place)
        request = {"place": target, "context": place.context, **wanted}
        if pins is not None:
            request[PLANNED] = {**planned_now(), **pins}
        return await self.execute(kind, target, title, request, how, place.target)

    async def execute(
        self,
        kind: str,
        target: str,
        title: str,
        request: Mapping[str, Any],
        how: tuple[Context, int | None, str | None],
        where: Target,
    ) -> Answer:
        """Have an operation executed; see `change`."""
        from klepaas_plugins.deployments.asking import Asking

        location = Location(where.context, where.namespace)
        return await Asking(Operations.of(self.host), *how).carried_out(kind, target, title, request, location)


def _key(place: Place) -> tuple[str, ...]:
    return place.cluster.context, place.namespace, place.app_name


def planned_now() -> dict[str, Any]:
    """What the gate has planned for this call, as its operation keeps it until it has begun."""
    from klepaas_plugins.deployments.planning.apply import token_of

    # Named so that it is redacted with the request when the operation has ended: it depends on hidden values.
    return {"token": token_of(current_change_set())}


def request_of(
    app_name: str,
    image: str | None = None,
    namespace: str | None = None,
    replicas: int | None = None,
    port: int | None = None,
    env_vars: Variables | None = None,
    resources: Resources | None = None,
    health_path: str | None = None,
    *,
    take_ownership: bool = False,
    context: str | None = None,
    manifests: str | None = None,
    auto_rollback: bool | None = None,
    url: str | None = None,
    **_how: Any,
) -> DeploymentRequest:
    """What a call of deploy_application wants, without how it wants to be answered."""
    return DeploymentRequest(
        app_name=app_name,
        image=image,
        context=context,
        namespace=namespace,
        replicas=replicas,
        port=port,
        env_vars=_variables(env_vars or []),
        resources=cast("dict[str, str]", resources or {}),
        health_path=health_path,
        take_ownership=take_ownership,
        manifests=manifests,
        auto_rollback=auto_rollback,
        url=url,
    )


def _variables(assignments: Iterable[str]) -> dict[str, str | None]:
    """The variables to set, by name; None removes one.

    Raises:
        BadRequest: One is named twice.
    """
    found: dict[str, str | None] = {}
    for text in assignments:
        name, sign, value = text.partition("=")
        if name in found:
            raise BadRequest(f"env_vars names {name} twice", next_step="Name each variable once")
        found[name] = value if sign else None
    return found
