"""Questions that need no PromQL: for each the expressions that may answer it, by the usual exporters' metrics.

Each candidate names the metric that it needs and the ways in which an application, node or namespace may stand in that
metric's labels. Which of them there are is asked first, so that one query answers. It sends nothing itself.

Source: the metrics of cAdvisor, the kubelet, kube-state-metrics and node_exporter; OpenTelemetry's semantic conventions
for HTTP; the standard metrics of Istio and ingress-nginx. Names of pods: apimachinery's `rand.SafeEncodeString`, whose
alphabet has no vowels, so that the pods of "web" are told from those of "web-admin"; apiserver's `GenerateName`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from klepaas.errors import BadRequest
from klepaas_plugins.prometheus.expressions import OF_NODES, OF_PODS, Expression, Labels

__all__ = ["Candidate", "Chosen", "Place", "Question", "candidates", "chosen", "selectors"]

Question = Literal["cpu", "memory", "disk", "network", "restarts", "saturation", "errors", "latency"]
# As a node: all of them.
ALL = "all"
_SAFE = "[bcdfghjklmnpqrstvwxz2456789]"
# The API server cuts what a name is made from at so many characters, before it appends five of its own.
_BASE_CHARS, _HASH_CHARS = 58, 10
_POD_END = f"(-{_SAFE}{{6,10}}-{_SAFE}{{5}}|-{_SAFE}{{5}}|-[0-9]+)?"


@dataclass(frozen=True)
class Place:
    """What is asked about: an application, a namespace, a node, or all there is.

    Attributes:
        app_name: The application. None: any.
        namespace: The namespace. None: any.
        node: The node, or "all". None: it is not about nodes.
    """

    app_name: str | None = None
    namespace: str | None = None
    node: str | None = None

    @property
    def text(self) -> str:
        """It in words."""
        named = (("application", self.app_name), ("namespace", self.namespace), ("node", self.node))
        return ", ".join(f"{noun} {name}" for noun, name in named if name) or "everything"


@dataclass(frozen=True)
class _Matcher:
    """A label and the regular expression for its value."""

    label: str
    pattern: str

    @property
    def text(self) -> str:
        quoted = self.pattern.replace("\\", "\\\\")
        return f'{self.label}=~"{quoted}"' if quoted != self.plain else f'{self.label}="{quoted}"'

    @property
    def plain(self) -> str | None:
        """The one value that it fits, or None."""
        return self.pattern if re.fullmatch(r"[a-z0-9-]+", self.pattern) else None

    def fits(self, series: Mapping[str, str]) -> bool:
        return re.fullmatch(self.pattern, series.get(self.label, ""), re.DOTALL) is not None


_Way = tuple[_Matcher, ...]


@dataclass(frozen=True)
class Candidate:
    """One way to answer.

    Attributes:
        expression: The metric that must be there, and what is made of it.
        ways: How the place may stand in its labels, the best first.
    """

    expression: Expression
    ways: Sequence[_Way]

    def promql(self, way: _Way, window: str, whole: str) -> str:
        """The query.

        Args:
            way: How the place stands in the labels.
            window: Of rates, as PromQL writes it.
            whole: The whole range, as PromQL writes it.
        """
        text = self.expression.promql.replace("SEL", _text(way))
        return text.replace("WINDOW", window).replace("RANGE", whole).replace(",}", "}").replace("{}", "")


Chosen = tuple[Candidate, _Way]


def candidates(question: Question, place: Place) -> list[Candidate]:
    """The ways to answer, the best first.

    Args:
        question: What is asked.
        place: About what.

    Raises:
        BadRequest: The question has no answer about such a thing.
    """
    if place.node is not None and (place.app_name is not None or place.namespace is not None):
        raise BadRequest("A node excludes app_name and namespace", next_step="Ask about one of them")
    known = OF_NODES if place.node is not None else OF_PODS
    if question not in known:
        raise BadRequest(f"There are no {question} of a node", next_step="Ask about an application or a namespace")
    return [Candidate(one, _ways(place, one.labels)) for one in known[question]]


def selectors(ways: Sequence[Candidate]) -> list[str]:
    """What to look for, to see which of them can answer."""
    return [
        f"{one.expression.metric}{{{_text(way)}{_has(one)}}}".replace("{,", "{").replace("{}", "")
        for one in ways
        for way in one.ways
    ]


def chosen(ways: Sequence[Candidate], there: Sequence[Mapping[str, str]]) -> Chosen | None:
    """The best candidate of which there are series, and how the place stands in its labels. None: there is none.

    Args:
        ways: The candidates.
        there: The labels of series that were found.
    """
    for one in ways:
        label = one.expression.label or "__name__"
        named = [series for series in there if series.get("__name__") == one.expression.metric and label in series]
        for way in one.ways:
            if any(all(matcher.fits(series) for matcher in way) for series in named):
                return one, way
    return None


def _ways(place: Place, labels: Labels) -> list[_Way]:
    if labels is Labels.NODE:
        return [()] if place.node is None or place.node == ALL else [(one,) for one in _of_node(place.node)]
    space: _Way = () if place.namespace is None else (_Matcher("namespace", place.namespace),)
    if place.app_name is None:
        return [space]
    name = re.escape(place.app_name).replace(r"\-", "-")
    if labels is Labels.POD:
        return [(*space, _Matcher("pod", _pods(place.app_name)))]
    if labels is Labels.VOLUME:
        return [(*space, _Matcher("persistentvolumeclaim", f"(.*-)?{name}(-.*)?"))]
    if labels is Labels.INGRESS:
        return [(*space, _Matcher(label, name)) for label in ("exported_service", "service", "ingress")]
    if labels is Labels.MESH:
        where = () if place.namespace is None else (_Matcher("destination_workload_namespace", place.namespace),)
        return [(*where, _Matcher("destination_workload", name))]
    by_name = ("service", "app", "app_kubernetes_io_name", "service_name", "container")
    job = _Matcher("job", f"(.*/)?{name}")
    pod = _Matcher("pod", _pods(place.app_name))
    return [(*space, one) for one in (pod, *(_Matcher(label, name) for label in by_name), job)]


def _pods(app_name: str) -> str:
    """The names of an application's pods; of a long one only the beginning stands in them."""
    name, beginning = (re.escape(text).replace(r"\-", "-") for text in (app_name, app_name[:_BASE_CHARS]))
    if len(app_name) + _HASH_CHARS + 2 <= _BASE_CHARS:
        return f"{name}{_POD_END}"
    cut = f"-{_SAFE}{{0,{_HASH_CHARS}}}-?{_SAFE}{{5}}" if len(app_name) < _BASE_CHARS else f"{_SAFE}{{5}}"
    return f"({name}(-[0-9]+)?|{beginning}{cut})"


def _of_node(node: str) -> list[_Matcher]:
    name = re.escape(node).replace(r"\-", "-")
    return [
        *(_Matcher(label, name) for label in ("node", "nodename", "kubernetes_node")),
        _Matcher("instance", f"{name}(:[0-9]+)?"),
    ]


def _text(way: _Way) -> str:
    return ",".join(matcher.text for matcher in way)


def _has(one: Candidate) -> str:
    """That its series have the label that it needs."""
    return f',{one.expression.label}!=""' if one.expression.label else ""
