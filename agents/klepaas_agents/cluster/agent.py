"""Brings an image to the Kubernetes cluster of a context: what there is to it is the deployments plugin's affair."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from klepaas.agents import DeploymentAgent, DeploymentRequest
from klepaas.changes import ChangeSet
from klepaas.operations import Interrupted, Outcome
from klepaas.tools import Target
from klepaas_plugins.deployments.client import Deployments

if TYPE_CHECKING:
    from klepaas.operations import Run
    from klepaas.operations.origin import ActingUser

__all__ = ["ClusterAgent"]


class ClusterAgent(DeploymentAgent):
    """Takes every request that has an image, manifests, or settings of what runs already.

    Args:
        deployments: Carries them out.
    """

    name = "cluster"

    def __init__(self, deployments: Deployments) -> None:
        self._deployments = deployments

    def accepts(self, request: DeploymentRequest) -> bool:
        """Whether there is an image, manifests, or a setting of what runs: this agent builds nothing."""
        given = (request.image, request.manifests, request.replicas, request.port, request.health_path)
        return any(value is not None for value in given) or bool(request.env_vars or request.resources)

    async def targets(self, request: DeploymentRequest) -> Sequence[Target]:
        """The application, with the context and namespace that defaults stand for."""
        return await self._deployments.targets(request)

    async def plan(self, request: DeploymentRequest) -> ChangeSet:
        """The objects that would change, as a dry run of the API server says."""
        return await self._deployments.plan(request)

    async def place(self, request: DeploymentRequest) -> str:
        """The cluster itself, the namespace, the application."""
        return await self._deployments.place(request)

    async def reaches(self, place: str) -> bool:
        """Whether any context leads to the same cluster."""
        return await self._deployments.reaches(place)

    async def acting_user(self, request: DeploymentRequest, place: str) -> "ActingUser | None":
        """The user and the groups that the API server knows our credentials by."""
        return await self._deployments.acting_user(request, place)

    async def deploy(self, request: DeploymentRequest, run: "Run") -> Outcome:
        """Apply, and see it through: verified, or rolled back."""
        return await self._deployments.deploy(request, run)

    async def leave_in_order(self, request: DeploymentRequest, run: "Run", reason: Interrupted) -> Outcome:
        """Back to what was there."""
        return await self._deployments.leave_in_order(request, run, reason)

    async def end_unread(self, run: "Run", why: str) -> Outcome | None:
        """Look what is there, and go back where that is not known to be what was wanted."""
        return await self._deployments.end_unread(run, why)
