"""The public way to bring an image to a Kubernetes cluster, for agents: what `deploy_application` promises.

One change at a time to an application, within this server, also against the other verbs. It chooses no agent and shows
no tool.
"""

from collections.abc import Sequence

from klepaas.agents import DeploymentRequest, Report
from klepaas.errors import BadRequest
from klepaas.host import Host
from klepaas.output import Answer
from klepaas.tools import Target
from klepaas_plugins.deployments.deploying import Deploy
from klepaas_plugins.deployments.manifests import Wanted
from klepaas_plugins.deployments.place import place_of
from klepaas_plugins.deployments.progress import ChangesInProgress
from klepaas_plugins.deployments.settings import RolloutSettings
from klepaas_plugins.kubernetes.client import Clusters

__all__ = ["Deployments"]


class Deployments:
    """Deploys images to clusters.

    Args:
        clusters: The clusters there are.
        running: The changes that run now.
        settings: How a rollout is judged.
    """

    def __init__(self, clusters: Clusters, running: ChangesInProgress, settings: RolloutSettings) -> None:
        self._clusters = clusters
        self._running = running
        self._settings = settings

    @classmethod
    def of(cls, host: Host) -> "Deployments":
        """The host's own."""
        return host.service(cls, lambda _: cls(Clusters.of(host), ChangesInProgress.of(host), RolloutSettings.of(host)))

    async def targets(self, request: DeploymentRequest) -> Sequence[Target]:
        """What deploying would change, with the names that defaults stand for.

        Args:
            request: What is wanted.
        """
        place = await place_of(self._clusters, request.app_name, request.namespace, request.context)
        return (place.target,)

    async def preview(self, request: DeploymentRequest) -> Answer:
        """Say what deploying would change, and store nothing.

        Args:
            request: What is wanted.

        Raises:
            KlepaasError: It would be refused; the error says why.
        """
        return await (await self._prepared(request)).preview()

    async def deploy(self, request: DeploymentRequest, report: Report, wait_s: float) -> Answer:
        """Deploy and wait.

        Args:
            request: What is wanted.
            report: Takes progress.
            wait_s: Longest wait for the rollout, in seconds; 0: do not wait.

        Raises:
            RolloutFailed: It was applied and does not come to life.
            KlepaasError: It was refused; nothing was stored, or the error says what was.
        """
        prepared = await self._prepared(request)
        with self._running.claim(prepared.place, "deploy_application"):
            return await prepared.run(wait_s, report)

    async def _prepared(self, request: DeploymentRequest) -> Deploy:
        if request.image is None:
            raise BadRequest(f"Nothing says which image {request.app_name} runs", next_step="Give an image")
        place = await place_of(self._clusters, request.app_name, request.namespace, request.context)
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
        return Deploy(place, wanted, request.take_ownership, self._settings)
