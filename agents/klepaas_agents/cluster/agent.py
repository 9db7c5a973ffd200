"""Brings an image to the Kubernetes cluster of a context: what there is to it is the deployments plugin's affair."""

from collections.abc import Sequence

from klepaas.agents import DeploymentAgent, DeploymentRequest, Report
from klepaas.output import Answer
from klepaas.tools import Target
from klepaas_plugins.deployments.client import Deployments

__all__ = ["ClusterAgent"]


class ClusterAgent(DeploymentAgent):
    """Takes every request that has an image.

    Args:
        deployments: Carries them out.
    """

    name = "cluster"

    def __init__(self, deployments: Deployments) -> None:
        self._deployments = deployments

    def accepts(self, request: DeploymentRequest) -> bool:
        """Whether there is an image: this agent builds nothing."""
        return request.image is not None

    async def targets(self, request: DeploymentRequest) -> Sequence[Target]:
        """The application, with the context and namespace that defaults stand for."""
        return await self._deployments.targets(request)

    async def preview(self, request: DeploymentRequest) -> Answer:
        """The objects that would change, as a dry run of the API server says."""
        return await self._deployments.preview(request)

    async def deploy(self, request: DeploymentRequest, report: Report, wait_s: float) -> Answer:
        """Apply, and wait for the rollout."""
        return await self._deployments.deploy(request, report, wait_s)
