"""The PromQL of the ready-made questions: data, and the few builders that keep it short.

`SEL` stands for the labels that select, `WINDOW` for the window of a rate, `RANGE` for the whole range that is asked
for. What selects and which of these can answer is `questions`' affair.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

__all__ = ["OF_NODES", "OF_PODS", "Expression", "Labels"]


class Labels(Enum):
    """In which labels a metric says what it is about."""

    POD = "pod"
    VOLUME = "volume"
    REQUESTS = "requests"
    INGRESS = "ingress"
    MESH = "mesh"
    NODE = "node"


@dataclass(frozen=True)
class Expression:
    """One expression.

    Attributes:
        metric: The metric that must be there.
        promql: What is made of it.
        unit: What its values are.
        labels: Where the metric says what it is about.
        label: A label that its series must have. None: none in particular.
        now: Whether it counts over the whole range, so that it is asked for one time.
    """

    metric: str
    promql: str
    unit: str
    labels: Labels = Labels.POD
    label: str | None = None
    now: bool = False


def _rate(metric: str, by: str, more: str = "") -> str:
    return f"sum by ({by}) (rate({metric}{{{more}SEL}}[WINDOW]))"


def _sum(metric: str, by: str, more: str = "") -> str:
    return f"sum by ({by}) ({metric}{{{more}SEL}})"


def _either(label: str, parts: Mapping[str, str]) -> str:
    """Several expressions as one, told apart by a label."""
    return " or ".join(f'label_replace({text}, "{label}", "{name}", "", "")' for name, text in parts.items())


def _errors(metric: str, by: str, label: str, labels: Labels) -> Expression:
    """The share of failed requests, in percent; 0 where none failed."""
    every, failed = _rate(metric, by), _rate(metric, by, f'{label}=~"5.*",')
    return Expression(metric, f"100 * ({failed} or 0 * {every}) / ({every} > 0)", "% of requests failed", labels, label)


def _latency(metric: str, by: str, factor: str = "") -> str:
    """The median, and what 95 and 99 of a hundred requests stay under."""
    parts = {
        f"p{share}": f"histogram_quantile(0.{share}, {_rate(metric, f'{by}, le')}){factor}" for share in (50, 95, 99)
    }
    return _either("quantile", parts)


_OWN = 'container!="",'
_PODS, _JOB, _NODE = "namespace, pod", "namespace, job", "node, instance"
_DEVICES = 'device!~"lo|veth.*|cali.*|cni.*|docker.*|br-.*|flannel.*",'
_FILES = 'fstype!~"tmpfs|ramfs|overlay|squashfs|nsfs|devtmpfs",'
_OTEL = "http_server_request_duration_seconds"
_LIMITS = "kube_pod_container_resource_limits"
_CPU, _MEMORY = 'resource="cpu",', 'resource="memory",'
_REQUEST = Labels.REQUESTS
_MESH_BY = "destination_workload_namespace, destination_workload"

OF_PODS: Mapping[str, Sequence[Expression]] = {
    "cpu": (
        Expression(
            "container_cpu_usage_seconds_total", _rate("container_cpu_usage_seconds_total", _PODS, _OWN), "cores"
        ),
        Expression("process_cpu_seconds_total", _rate("process_cpu_seconds_total", "job, instance"), "cores", _REQUEST),
    ),
    "memory": (
        Expression(
            "container_memory_working_set_bytes", _sum("container_memory_working_set_bytes", _PODS, _OWN), "bytes"
        ),
        Expression(
            "process_resident_memory_bytes", _sum("process_resident_memory_bytes", "job, instance"), "bytes", _REQUEST
        ),
    ),
    "disk": (
        Expression(
            "kubelet_volume_stats_used_bytes",
            f"100 * {_sum('kubelet_volume_stats_used_bytes', 'namespace, persistentvolumeclaim')}"
            f" / {_sum('kubelet_volume_stats_capacity_bytes', 'namespace, persistentvolumeclaim')}",
            "% of the volume used",
            Labels.VOLUME,
        ),
        Expression("container_fs_usage_bytes", _sum("container_fs_usage_bytes", _PODS, _OWN), "bytes"),
    ),
    "network": (
        Expression(
            "container_network_receive_bytes_total",
            _either(
                "direction",
                {
                    "in": _rate("container_network_receive_bytes_total", _PODS),
                    "out": _rate("container_network_transmit_bytes_total", _PODS),
                },
            ),
            "bytes/s",
        ),
    ),
    "restarts": (
        Expression(
            "kube_pod_container_status_restarts_total",
            "round(sum by (namespace, pod, container) "
            "(increase(kube_pod_container_status_restarts_total{SEL}[RANGE]))) > 0",
            "restarts in the range",
            now=True,
        ),
    ),
    "saturation": (
        Expression(
            _LIMITS,
            _either(
                "resource",
                {
                    "cpu": f"100 * {_rate('container_cpu_usage_seconds_total', _PODS, _OWN)}"
                    f" / {_sum(_LIMITS, _PODS, _CPU)}",
                    "memory": f"100 * {_sum('container_memory_working_set_bytes', _PODS, _OWN)}"
                    f" / {_sum(_LIMITS, _PODS, _MEMORY)}",
                },
            ),
            "% of the limit",
        ),
        Expression(
            "container_cpu_cfs_periods_total",
            f"100 * {_rate('container_cpu_cfs_throttled_periods_total', _PODS)}"
            f" / {_rate('container_cpu_cfs_periods_total', _PODS)}",
            "% of the time slices throttled",
        ),
    ),
    "errors": (
        *(_errors("http_requests_total", _JOB, label, _REQUEST) for label in ("code", "status", "status_code")),
        _errors(f"{_OTEL}_count", _JOB, "http_response_status_code", _REQUEST),
        _errors("istio_requests_total", _MESH_BY, "response_code", Labels.MESH),
        _errors("nginx_ingress_controller_requests", "namespace, ingress", "status", Labels.INGRESS),
    ),
    "latency": (
        Expression(
            "http_request_duration_seconds_bucket",
            _latency("http_request_duration_seconds_bucket", _JOB),
            "seconds",
            _REQUEST,
        ),
        Expression(f"{_OTEL}_bucket", _latency(f"{_OTEL}_bucket", _JOB), "seconds", _REQUEST),
        Expression(
            "istio_request_duration_milliseconds_bucket",
            _latency("istio_request_duration_milliseconds_bucket", _MESH_BY, " / 1000"),
            "seconds",
            Labels.MESH,
        ),
        Expression(
            "nginx_ingress_controller_request_duration_seconds_bucket",
            _latency("nginx_ingress_controller_request_duration_seconds_bucket", "namespace, ingress"),
            "seconds",
            Labels.INGRESS,
        ),
    ),
}

_IDLE = 'mode="idle",'
OF_NODES: Mapping[str, Sequence[Expression]] = {
    "cpu": (
        Expression(
            "node_cpu_seconds_total",
            f"100 * (1 - avg by ({_NODE}) (rate(node_cpu_seconds_total{{{_IDLE}SEL}}[WINDOW])))",
            "% busy",
            Labels.NODE,
        ),
        Expression(
            "container_cpu_usage_seconds_total",
            _rate("container_cpu_usage_seconds_total", "node", _OWN),
            "cores",
            Labels.NODE,
        ),
    ),
    "memory": (
        Expression(
            "node_memory_MemAvailable_bytes",
            f"100 * (1 - {_sum('node_memory_MemAvailable_bytes', _NODE)}"
            f" / {_sum('node_memory_MemTotal_bytes', _NODE)})",
            "% used",
            Labels.NODE,
        ),
        Expression(
            "container_memory_working_set_bytes",
            _sum("container_memory_working_set_bytes", "node", _OWN),
            "bytes",
            Labels.NODE,
        ),
    ),
    "disk": (
        Expression(
            "node_filesystem_avail_bytes",
            f"100 * (1 - max by ({_NODE}, mountpoint) (node_filesystem_avail_bytes{{{_FILES}SEL}})"
            f" / max by ({_NODE}, mountpoint) (node_filesystem_size_bytes{{{_FILES}SEL}}))",
            "% used",
            Labels.NODE,
        ),
    ),
    "network": (
        Expression(
            "node_network_receive_bytes_total",
            _either(
                "direction",
                {
                    "in": _rate("node_network_receive_bytes_total", _NODE, _DEVICES),
                    "out": _rate("node_network_transmit_bytes_total", _NODE, _DEVICES),
                },
            ),
            "bytes/s",
            Labels.NODE,
        ),
    ),
    "saturation": (
        Expression(
            "node_load1",
            f"100 * {_sum('node_load1', _NODE)} / count by ({_NODE}) (node_cpu_seconds_total{{{_IDLE}SEL}})",
            "% load of its CPUs",
            Labels.NODE,
        ),
    ),
}
