"""The public way to bring an image, or manifests, to a cluster, for agents: what `deploy_application` promises.

It chooses no agent and shows no tool. How a change is carried out, verified and undone is `carrying`'s affair.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from klepaas.agents import DeploymentRequest
from klepaas.changes import ChangeSet
from klepaas.errors import BadRequest, NotFound
from klepaas.host import Host
from klepaas.operations import Interrupted, Outcome
from klepaas.tools import Target
from klepaas_plugins.deployments.kinds import acting_user, observed_target, place_again
from klepaas_plugins.deployments.outages import wait_out
from klepaas_plugins.deployments.place import Place, locate
from klepaas_plugins.deployments.plan_looks import PlanLooks
from klepaas_plugins.deployments.settings import RolloutSettings
from klepaas_plugins.kubernetes.client import Clusters

if TYPE_CHECKING:
    from klepaas.operations import Run
    from klepaas.operations.origin import ActingUser
    from klepaas_plugins.deployments.carrying import Carrier
    from klepaas_plugins.deployments.planning.deploy import Deploy
    from klepaas_plugins.deployments.planning.documents import DeployDocuments

__all__ = ["Deployments"]


class Deployments:
    """Deploys to clusters.

    Args:
        host: The settings and shared services.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._clusters = Clusters.of(host)

    @classmethod
    def of(cls, host: Host) -> "Deployments":
        """The host's own."""
        return host.service(cls, cls)

    async def targets(self, request: DeploymentRequest) -> Sequence[Target]:
        """What deploying would change, with the names that defaults stand for.

        Args:
            request: What is wanted.
        """
        return ((await self._place(request)).target,)

    async def place(self, request: DeploymentRequest) -> str:
        """Where it goes: the cluster's identity, the namespace, the application. Asks the cluster who it is.

        Args:
            request: What is wanted.
        """
        return await observed_target(self._clusters, await self._place(request))

    async def reaches(self, place: str) -> bool:
        """Whether a context leads to a place that another process has named.

        Args:
            place: As `place` gave it there.
        """
        return await place_again(self._clusters, place, None) is not None

    async def acting_user(self, request: DeploymentRequest, place: str) -> "ActingUser | None":
        """Whom the cluster takes this process for.

        Args:
            request: What is wanted.
            place: Where it goes, as `place` gave it.

        Returns:
            The user. None: the cluster does not tell.

        Raises:
            KlepaasError: No context leads there, or it gave no answer.
        """
        return await acting_user(self._clusters, place, request.context)

    async def plan(self, request: DeploymentRequest) -> ChangeSet:
        """What deploying would change; nothing is stored.

        Args:
            request: What is wanted.

        Raises:
            KlepaasError: It would be refused; the error says why.
        """
        place = await self._place(request)
        planned = await self._deploy(request, place).planned()
        return PlanLooks.of(self._host).keep(planned.change_set, place)

    async def deploy(self, request: DeploymentRequest, run: "Run") -> Outcome:
        """Deploy, and see it through: verified, or rolled back with the cause named.

        Args:
            request: What is wanted.
            run: The operation.

        Raises:
            KlepaasError: It was refused; nothing was stored.
        """
        carrier = await wait_out(run, lambda: self._carrier(request, run))
        return await self._kept(request, run, carrier.place, await wait_out(run, carrier.carry_out))

    async def leave_in_order(self, request: DeploymentRequest, run: "Run", reason: Interrupted) -> Outcome:
        """Tidy up after a cancel, the deadline, or too many attempts.

        Args:
            request: What was wanted.
            run: The operation.
            reason: Why it was stopped.
        """
        carrier = await wait_out(run, lambda: self._carrier(request, run))
        outcome = await wait_out(run, lambda: carrier.leave_in_order(reason))
        return await self._kept(request, run, carrier.place, outcome)

    async def end_unread(self, run: "Run", why: str) -> Outcome | None:
        """End a deployment that has begun and whose request cannot be read: look, go back, or say what is not known.

        Args:
            run: The operation.
            why: Why the request cannot be read, as part of a sentence.

        Returns:
            How it ended. None: no context leads to its cluster.
        """
        from klepaas_plugins.deployments.keeping import keep
        from klepaas_plugins.deployments.recovering import Recovery

        place = await place_again(self._clusters, run.operation.target, run.operation.location.context)
        if place is None:
            return None
        asked = (run.operation.request.get("wanted") or {}).get("auto_rollback")
        recovery = Recovery.of(self._host, place, run, why, auto_rollback=asked if isinstance(asked, bool) else None)
        outcome = await recovery.end()
        await keep(self._host, place, run, outcome)
        return outcome

    async def _kept(self, request: DeploymentRequest, run: "Run", place: Place, outcome: Outcome) -> Outcome:
        from klepaas_plugins.deployments.keeping import keep

        await keep(self._host, place, run, outcome, request.url)
        return outcome

    async def _place(self, request: DeploymentRequest) -> Place:
        return await locate(self._clusters, request.app_name, request.namespace, request.context)

    async def _carrier(self, request: DeploymentRequest, run: "Run") -> "Carrier":
        from klepaas_plugins.deployments.carrying import Carrier
        from klepaas_plugins.deployments.releases import Cause

        place = await place_again(self._clusters, run.operation.target, request.context)
        if place is None:
            raise NotFound(f"No context leads to the cluster of {run.operation.title} any more")
        place = PlanLooks.of(self._host).handed_to(place, run.operation.request)
        settings = RolloutSettings.of(self._host)
        back = settings.auto_rollback if request.auto_rollback is None else request.auto_rollback
        plan = self._deploy(request, place).planned
        return Carrier.of(self._host, place, run, Cause.DEPLOY, lambda _pins: plan(), auto_rollback=back)

    def _deploy(self, request: DeploymentRequest, place: Place) -> "Deploy | DeployDocuments":
        if request.manifests is not None:
            from klepaas_plugins.deployments.planning.documents import DeployDocuments
            from klepaas_plugins.deployments.releases import Releases, ReleaseSettings

            _refuse_both(request)
            releases = Releases(place, ReleaseSettings.of(self._host))
            return DeployDocuments(place, request.manifests, request.take_ownership, releases)
        from klepaas_plugins.deployments.manifests import Wanted
        from klepaas_plugins.deployments.planning.deploy import Deploy

        wanted = Wanted(
            request.app_name,
            place.namespace,
            request.image,
            request.replicas,
            request.port,
            request.env_vars,
            request.resources,
            request.health_path,
        )
        return Deploy(place, wanted, request.take_ownership)


def _refuse_both(request: DeploymentRequest) -> None:
    """Manifests say everything themselves."""
    given = ("image", "replicas", "port", "env_vars", "resources", "health_path")
    beside = [name for name in given if getattr(request, name) not in (None, {})]
    if beside:
        raise BadRequest(
            f"{', '.join(beside)} cannot be given beside manifests, which say that themselves",
            next_step="Change the manifests, or leave them out",
        )
