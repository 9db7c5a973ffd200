"""Deploy, rollback, scale and restart as kinds of operations: what each keeps of a request, and who may take it up.

A request names the cluster itself (`Clusters.identity`), not only its context: another process takes up what was left
only where it reaches the very same cluster, whatever its contexts are called.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from klepaas.agents import Agents, DeploymentAgent, DeploymentRequest
from klepaas.errors import KlepaasError, NotFound, Unavailable
from klepaas.host import Host
from klepaas.notifications import Notifications
from klepaas.operations import PLANNED, Interrupted, Kind, OperationCancelled, Outcome, State
from klepaas_plugins.deployments.outages import wait_out
from klepaas_plugins.deployments.place import Place, locate
from klepaas_plugins.deployments.plan_looks import PlanLooks
from klepaas_plugins.deployments.settings import RolloutSettings
from klepaas_plugins.deployments.telling import tell
from klepaas_plugins.kubernetes.client import Clusters

if TYPE_CHECKING:
    from klepaas.operations import Run
    from klepaas.operations.origin import ActingUser
    from klepaas_plugins.deployments.carrying import Carrier
    from klepaas_plugins.deployments.executor.changes import ChangeOfApplication

__all__ = [
    "DEPLOY",
    "RESTART",
    "ROLLBACK",
    "SCALE",
    "acting_user",
    "kinds",
    "observed_target",
    "place_again",
    "target_text",
]

DEPLOY, ROLLBACK, SCALE, RESTART = "deploy", "rollback", "scale", "restart"
Request = Mapping[str, Any]
# The verbs that `executor` carries out; the others go the way of `carrying`. None yet: see docs/architecture.md.
EXECUTED: frozenset[str] = frozenset()
# What the executor carries out keeps its deadline itself, and a rollout may have longer by its own; a crash on the way
# to a write counts there too.
_BEYOND_S, _RETRIES = 3600.0, 200


async def target_text(clusters: Clusters, place: Place) -> str:
    """What an operation works on, in words that mean the same in every process. Touches no network."""
    return _text(await clusters.identity(place.cluster.context), place)


async def observed_target(clusters: Clusters, place: Place) -> str:
    """The same, after asking the cluster who it is: for what is about to be changed."""
    return _text(await clusters.observe_identity(place.cluster.context, place.namespace), place)


def _text(identity: str, place: Place) -> str:
    return f"{identity}/{place.namespace}/{place.app_name}"


async def place_again(clusters: Clusters, target: str, context: str | None) -> Place | None:
    """The place that another call, or another process, has named.

    Args:
        clusters: The clusters that can be reached from here.
        target: As `target_text` gave it.
        context: What the context was called there. None: it was the default one.

    Returns:
        The place, by whatever context leads to the same cluster. None: none does.

    Raises:
        KlepaasError: No context is known to lead there, and one could not be looked at just now.
    """
    identity, namespace, app_name = target.rsplit("/", 2)
    not_known: KlepaasError | None = None
    for name in dict.fromkeys([context, *(info.name for info in await clusters.known())]):
        try:
            if identity in await clusters.identities(name):
                return await locate(clusters, app_name, namespace, name)
        except KlepaasError as exc:
            # A context that is broken for good leads nowhere; another may only be out of reach for a moment.
            not_known = exc if exc.retryable else not_known
    if not_known is not None:
        raise not_known
    return None


async def acting_user(clusters: Clusters, target: str, context: str | None) -> "ActingUser | None":
    """Whom the cluster of a target takes this process for, by the context that an operation on it works through.

    Args:
        clusters: The clusters that can be reached from here.
        target: As `target_text` gave it.
        context: What the context was called where the operation began. None: it was the default one.

    Raises:
        KlepaasError: No context leads there, or the cluster gave no answer.
    """
    place = await place_again(clusters, target, context)
    if place is None:
        raise NotFound("No context leads to the cluster any more")
    return await clusters.acting_user(place.cluster.context)


def kinds(host: Host) -> Iterable[Kind]:
    """The kinds, for one host.

    Args:
        host: The settings and shared services.
    """
    deadline_s = RolloutSettings.of(host).deadline_s
    agents = _OfAgents(Agents.of(host), Notifications.of(host))
    yield Kind(
        DEPLOY, agents.run, deadline_s, takes=agents.takes, identify=agents.identify, tidy=agents.tidy,
        end_unread=agents.end_unread,
    )  # fmt: skip
    for name, carrier in ((ROLLBACK, _rollback), (SCALE, _scaling), (RESTART, _restart)):
        work = _OfCluster(host, Clusters.of(host), carrier)
        kind = Kind(
            name, work.run, deadline_s, takes=work.takes, identify=work.identify, tidy=work.tidy,
            end_unread=work.end_unread,
        )  # fmt: skip
        is_executed = name in EXECUTED
        yield replace(kind, deadline_s=deadline_s + _BEYOND_S, retries=_RETRIES) if is_executed else kind


@dataclass(frozen=True)
class _OfAgents:
    """Deployments: an agent's affair."""

    agents: Agents
    notifications: Notifications

    async def takes(self, request: Request) -> bool:
        agent, wanted = self.agents.named(request["agent"]), DeploymentRequest.from_json(request["wanted"])
        if agent is None or not agent.accepts(wanted):
            return False
        place = str(request["place"])
        if await agent.reaches(place):
            return True
        # An agent that says what it reaches has said no; asking it for its place may cost requests.
        says_itself = type(agent).reaches is not DeploymentAgent.reaches
        return not says_itself and await agent.place(wanted) == place

    async def identify(self, request: Request) -> "ActingUser | None":
        agent, wanted = self.agents.named(request["agent"]), DeploymentRequest.from_json(request["wanted"])
        return None if agent is None else await agent.acting_user(wanted, str(request["place"]))

    async def run(self, run: "Run") -> Outcome:
        agent, wanted = self._of(run)
        return self._told(await agent.deploy(wanted, run))

    async def tidy(self, run: "Run", reason: Interrupted) -> Outcome:
        agent, wanted = self._of(run)
        outcome = await agent.leave_in_order(wanted, run, reason)
        if outcome is None:
            state = State.CANCELLED if isinstance(reason, OperationCancelled) else State.FAILED
            return Outcome(state, f"{run.operation.title} was stopped: {reason}. What was done by then stays.")
        return self._told(outcome)

    async def end_unread(self, run: "Run", why: str) -> Outcome | None:
        agent = self.agents.named(str(run.operation.request.get("agent")))
        outcome = None if agent is None else await agent.end_unread(run, why)
        return outcome and self._told(outcome)

    def _told(self, outcome: Outcome) -> Outcome:
        tell(self.notifications, DEPLOY, outcome)
        return outcome

    def _of(self, run: "Run") -> tuple[Any, DeploymentRequest]:
        request = run.operation.request
        agent = self.agents.named(request["agent"])
        if agent is None:
            raise Unavailable(f"The deployment agent {request['agent']} is not active here")
        return agent, DeploymentRequest.from_json(request["wanted"])


@dataclass(frozen=True)
class _OfCluster:
    """The other changes of an application in a cluster."""

    host: Host
    clusters: Clusters
    carrier: "Callable[[Host, Place, Run], Carrier | ChangeOfApplication]"

    async def takes(self, request: Request) -> bool:
        return await place_again(self.clusters, request["place"], request["context"]) is not None

    async def identify(self, request: Request) -> "ActingUser | None":
        return await acting_user(self.clusters, request["place"], request["context"])

    async def run(self, run: "Run") -> Outcome:
        carrier = await wait_out(run, lambda: self._of(run))
        return await self._told(run, carrier.place, await wait_out(run, carrier.carry_out))

    async def tidy(self, run: "Run", reason: Interrupted) -> Outcome:
        carrier = await wait_out(run, lambda: self._of(run))
        outcome = await wait_out(run, lambda: carrier.leave_in_order(reason))
        return await self._told(run, carrier.place, outcome)

    async def end_unread(self, run: "Run", why: str) -> Outcome | None:
        from klepaas_plugins.deployments.recovering import Recovery

        place = await place_again(self.clusters, run.operation.target, run.operation.location.context)
        if place is None:
            return None
        return await self._told(run, place, await Recovery.of(self.host, place, run, why).end())

    async def _told(self, run: "Run", place: Place, outcome: Outcome) -> Outcome:
        from klepaas_plugins.deployments.keeping import keep

        await keep(self.host, place, run, outcome)
        tell(Notifications.of(self.host), run.operation.kind, outcome)
        return outcome

    async def _of(self, run: "Run") -> "Carrier | ChangeOfApplication":
        request = run.operation.request
        place = await place_again(self.clusters, request["place"], request["context"])
        if place is None:
            raise NotFound(f"No context leads to the cluster of {run.operation.title} any more")
        return self.carrier(self.host, PlanLooks.of(self.host).handed_to(place, request), run)


def _scaling(host: Host, place: Place, run: "Run") -> "Carrier | ChangeOfApplication":
    from klepaas_plugins.deployments.planning.scale import Scaling

    request = run.operation.request
    change = Scaling(place, int(request["replicas"]), bool(request.get("take_ownership")))
    return _executed(host, place, run, "scale", lambda _pins: change.planned())


def _restart(host: Host, place: Place, run: "Run") -> "Carrier | ChangeOfApplication":
    from klepaas_plugins.deployments.planning.restart import Restart, restart_moment

    request = run.operation.request
    moment = (request.get(PLANNED) or {}).get("moment") or restart_moment(run.operation.created_at)
    change = Restart(place, str(moment), bool(request.get("take_ownership")))
    return _executed(host, place, run, "restart", lambda _pins: change.planned())


def _rollback(host: Host, place: Place, run: "Run") -> "Carrier":
    from klepaas_plugins.deployments.planning.rollback import GoingBack

    request = run.operation.request
    wanted = {name: request.get(name) for name in ("release", "steps", "commit", "revision")}
    change = GoingBack.of(host, place, **wanted, take_ownership=bool(request.get("take_ownership")))
    return _carrier(host, place, run, "rollback", change.planned)


def _executed(
    host: Host, place: Place, run: "Run", cause: str, plan: Callable[[Mapping[str, Any]], Awaitable[Any]]
) -> "Carrier | ChangeOfApplication":
    """A change by the executor, where its verb has moved; what was begun goes on the way that it began."""
    if "intent" not in run.notes and (cause not in EXECUTED or "change" in run.notes):
        return _carrier(host, place, run, cause, plan)
    from klepaas_plugins.deployments.executor.changes import ChangeOfApplication
    from klepaas_plugins.deployments.releases import Cause

    settings = RolloutSettings.of(host)
    return ChangeOfApplication.of(host, place, run, Cause(cause), plan, auto_rollback=settings.auto_rollback)


def _carrier(
    host: Host, place: Place, run: "Run", cause: str, plan: Callable[[Mapping[str, Any]], Awaitable[Any]]
) -> "Carrier":
    from klepaas_plugins.deployments.carrying import Carrier
    from klepaas_plugins.deployments.releases import Cause

    settings = RolloutSettings.of(host)
    return Carrier.of(host, place, run, Cause(cause), plan, auto_rollback=settings.auto_rollback)
