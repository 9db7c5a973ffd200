"""The hooks of the cluster agent; the work is the deployments plugin's client."""

from collections.abc import Iterable

from klepaas.agents import DeploymentAgent
from klepaas.hookspecs import hookimpl
from klepaas.host import Host

__all__ = ["klepaas_deployment_agents"]


@hookimpl
def klepaas_deployment_agents(host: Host) -> Iterable[DeploymentAgent]:
    """Offer the agent."""
    from klepaas_agents.cluster.agent import ClusterAgent
    from klepaas_plugins.deployments.client import Deployments

    yield ClusterAgent(Deployments.of(host))
