"""What of applications can be read as a resource: those of a namespace; of one its state, releases and history.

    klepaas://applications/{context}/{namespace}
    klepaas://applications/{context}/{namespace}/{app_name}
    klepaas://releases/{context}/{namespace}/{app_name}
    klepaas://history/{context}/{namespace}/{app_name}

Each is the same text as its tool's, so that a person can hand it to a model without a call.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Annotated, Any

from klepaas import names
from klepaas.completion import Completer
from klepaas.host import Host
from klepaas.output import Answer
from klepaas.resources import Resource
from klepaas_plugins.kubernetes.client import Cluster, Clusters, Completions

__all__ = ["application_resources", "completions"]

APPLICATIONS = "klepaas://applications/{context}/{namespace}"
APPLICATION = f"{APPLICATIONS}/{{app_name}}"
RELEASES = "klepaas://releases/{context}/{namespace}/{app_name}"
HISTORY = "klepaas://history/{context}/{namespace}/{app_name}"
# How far back the figures of the history go.
DAYS = 30
# Of each kind of workload; more are in no list that a person reads.
WORKLOADS_MAX = 500

Context = Annotated[str, names.CONTEXT]
Namespace = Annotated[str, names.NAMESPACE]


def application_resources(host: Host) -> Iterable[Resource]:
    """The resources.

    Args:
        host: The server's settings and shared services.
    """
    reader = _Reader(host)
    known = completions(Clusters.of(host))
    listed = {name: known[name] for name in ("context", "namespace")}
    yield Resource(
        APPLICATIONS, reader.applications, "Applications of a namespace", foreign_text=True, completions=listed
    )
    yield Resource(
        APPLICATION, reader.application, "State of an application", foreign_text=True, timeout_s=60, completions=known
    )
    yield Resource(
        RELEASES, reader.releases, "Releases of an application", foreign_text=True, timeout_s=60, completions=known
    )
    yield Resource(HISTORY, reader.history, "History of an application", foreign_text=True, completions=known)


def completions(clusters: Clusters) -> dict[str, Completer]:
    """What completes a context, a namespace and an application's name.

    Args:
        clusters: The clusters there are.
    """
    known = Completions(clusters)
    applications = partial(_application_names, clusters)
    return {"context": known.contexts, "namespace": known.namespaces, "app_name": applications}


async def _application_names(clusters: Clusters, chosen: Mapping[str, str]) -> Iterable[str]:
    from klepaas_plugins.deployments.applications import KINDS, application_of
    from klepaas_plugins.deployments.together import together

    cluster = await clusters.cluster(chosen.get("context"))
    place = chosen.get("namespace") or cluster.default_namespace
    pages = await together(*(partial(_metadata, cluster, kind, place) for kind in KINDS))
    return sorted({application_of(item) for page in pages for item in page})


async def _metadata(cluster: Cluster, kind: str, namespace: str) -> list[dict[str, Any]]:
    resource = await cluster.resource(f"{kind.lower()}s.apps")
    page = await cluster.metadata(resource, namespace, limit=WORKLOADS_MAX)
    return list(page.get("items") or ())


class _Reader:
    def __init__(self, host: Host) -> None:
        self._host = host

    async def applications(self, context: Context, namespace: Namespace) -> Answer:
        """The applications of a namespace with their state and image, unhealthy first."""
        from klepaas_plugins.deployments.listing import list_applications
        from klepaas_plugins.deployments.settings import RolloutSettings

        cluster = await Clusters.of(self._host).cluster(context)
        return await list_applications(
            self._host, cluster, namespace, RolloutSettings.of(self._host).unschedulable_grace_s
        )

    async def application(
        self, context: Context, namespace: Namespace, app_name: Annotated[str, names.APPLICATION]
    ) -> Answer:
        """How an application is: state, cause of trouble with log lines and events, endpoint, release, drift."""
        from klepaas_plugins.deployments.place import locate
        from klepaas_plugins.deployments.settings import RolloutSettings
        from klepaas_plugins.deployments.status import status_of

        place = await locate(Clusters.of(self._host), app_name, namespace, context)
        return await status_of(place, RolloutSettings.of(self._host), self._host)

    async def releases(
        self, context: Context, namespace: Namespace, app_name: Annotated[str, names.APPLICATION]
    ) -> Answer:
        """The newest releases of an application: who, when, what, how each went, which runs now."""
        from klepaas_plugins.deployments.place import locate
        from klepaas_plugins.deployments.releases import Releases, ReleaseSettings
        from klepaas_plugins.deployments.releases.listing import list_releases

        place = await locate(Clusters.of(self._host), app_name, namespace, context)
        return await list_releases(place, Releases(place, ReleaseSettings.of(self._host)), None)

    async def history(
        self, context: Context, namespace: Namespace, app_name: Annotated[str, names.APPLICATION]
    ) -> Answer:
        """The last changes of an application through this server, and how the last month's went."""
        from klepaas_plugins.deployments.past import Question, history_of
        from klepaas_plugins.deployments.place import locate

        place = await locate(Clusters.of(self._host), app_name, namespace, context)
        return await history_of(self._host, Question(place, None, None, DAYS, None))
