"""What there is to say of an application when an alert about it fires: the answer of `get_deployment_status` then.

It asks the cluster that the alert names, and changes nothing.
"""

from klepaas import names
from klepaas.errors import NotFound
from klepaas.evidence import AlertSubject
from klepaas.host import Host
from klepaas_plugins.deployments.applications import application_of
from klepaas_plugins.deployments.place import locate
from klepaas_plugins.deployments.settings import RolloutSettings
from klepaas_plugins.deployments.status import status_of
from klepaas_plugins.kubernetes.client import Cluster, Clusters

__all__ = ["rollout_of"]

# The workload itself before the application that it belongs to; an exporter's own name is in none of them.
_NAMES = (
    *("deployment", "statefulset", "daemonset"),
    *("app_kubernetes_io_instance", "label_app_kubernetes_io_instance"),
    *("app_kubernetes_io_name", "label_app_kubernetes_io_name", "app", "label_app"),
)


async def rollout_of(host: Host, alert: AlertSubject) -> str | None:
    """How the application that an alert names stands. None: it names none.

    Args:
        host: The server's settings and shared services.
        alert: The alert.

    Raises:
        KlepaasError: That cannot be read.
    """
    namespace = alert.named("namespace", names.NAMESPACE)
    if namespace is None:
        return None
    clusters = Clusters.of(host)
    app = _application(alert) or await _of_pod(await clusters.cluster(alert.context), namespace, alert)
    if app is None:
        return None
    place = await locate(clusters, app, namespace, alert.context)
    return (await status_of(place, RolloutSettings.of(host), host)).text


def _application(alert: AlertSubject) -> str | None:
    return next((found for name in _NAMES if (found := alert.named(name, names.APPLICATION))), None)


async def _of_pod(cluster: Cluster, namespace: str, alert: AlertSubject) -> str | None:
    """The application of the pod that the labels name. None: none, or it is gone."""
    pod = alert.named("pod", names.OBJECT)
    if pod is None:
        return None
    try:
        found = application_of(await cluster.get(await cluster.resource("pods"), pod, namespace))
    except NotFound:
        return None
    return found if names.APPLICATION.accepts(found) else None
