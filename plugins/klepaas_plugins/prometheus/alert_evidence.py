"""What Prometheus can tell when an alert fires: the ready-made questions about what its labels name, the last hour.

The alert's own expression is not asked again: whoever posts an alert must not choose what is queried. It is loaded with
the first alert, not with the start.
"""

from functools import partial

from klepaas import names
from klepaas.errors import BadRequest, KlepaasError, NotFound
from klepaas.evidence import AlertSubject
from klepaas.host import Host
from klepaas.resilience import gather
from klepaas_plugins.prometheus.asking import Asking
from klepaas_plugins.prometheus.asking import ask as ask_figures
from klepaas_plugins.prometheus.client import PrometheusServers
from klepaas_plugins.prometheus.questions import Place, Question

__all__ = ["key_series_of"]

_OF_PODS: tuple[Question, ...] = ("cpu", "memory", "restarts", "errors", "latency")
_OF_NODES: tuple[Question, ...] = ("cpu", "memory", "disk", "saturation")
_APPLICATION = ("deployment", "statefulset", "daemonset", "app_kubernetes_io_name", "app", "service")
_RANGE_S, _SERIES = 3600.0, 5


async def key_series_of(host: Host, alert: AlertSubject) -> str | None:
    """The key series of what an alert names. None: it names nothing, or there is no Prometheus.

    Args:
        host: The server's settings and shared services.
        alert: The alert.

    Raises:
        KlepaasError: Not one question could be asked.
    """
    servers = PrometheusServers.of(host)
    place = _place(alert)
    if place is None or not servers.names:
        return None
    server = servers.get()
    told: dict[Question, str] = {}
    failed: list[KlepaasError] = []

    async def ask(question: Question) -> None:
        try:
            asking = Asking(server, None, question, place, _RANGE_S, None, None, _SERIES)
            figures = await ask_figures(asking)
        except (NotFound, BadRequest):  # there is no such metric
            return
        except KlepaasError as exc:
            failed.append(exc)
        else:
            if figures.series:
                told[question] = figures.text

    questions = _OF_PODS if place.node is None else _OF_NODES
    await gather(*[partial(ask, question) for question in questions])
    if failed and not told:
        raise failed[0]
    return "\n".join(told[one] for one in questions if one in told) or None


def _place(alert: AlertSubject) -> Place | None:
    namespace = alert.named("namespace", names.NAMESPACE)
    app = next((found for name in _APPLICATION if (found := alert.named(name, names.APPLICATION))), None)
    if namespace is not None:
        return Place(app, namespace)
    node = alert.named("node", names.OBJECT)
    return Place(node=node) if node is not None else None
