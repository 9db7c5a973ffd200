"""The alerts that Prometheus itself holds for firing, as the overview takes them. It knows nothing of silences."""

from collections.abc import Iterable
from functools import partial

from klepaas.firing import FiringAlert, FiringAlerts
from klepaas.host import Host

__all__ = ["contribute"]


def contribute(host: Host, names: Iterable[str]) -> None:
    """Let the overview know of the alerts of servers; opens none of them.

    Args:
        host: The server's settings and shared services.
        names: The servers.
    """
    for name in names:
        FiringAlerts.of(host).contribute(f"prometheus/{name}", partial(_firing, host, name))


async def _firing(host: Host, name: str) -> Iterable[FiringAlert]:
    from klepaas_plugins.prometheus.client import PrometheusServers
    from klepaas_plugins.prometheus.inspecting import alert_rows, mapping, moment

    found = []
    for row in await alert_rows(PrometheusServers.of(host).get(name)):
        if row.get("state") == "firing":
            labels = {str(key): str(text) for key, text in mapping(row, "labels").items()}
            notes = mapping(row, "annotations")
            says = str(notes.get("summary") or notes.get("description") or notes.get("message") or "")
            about = labels.get("alertname", ""), labels.get("severity", ""), labels
            found.append(FiringAlert(*about, moment(row.get("activeAt")), says))
    return found
