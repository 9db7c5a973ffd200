"""What `k8s_logs` does: find the pod and the container that is meant, read its log, and say what was chosen and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from klepaas import names
from klepaas.errors import BadRequest, NotFound
from klepaas.names import Check
from klepaas.output import Answer
from klepaas_plugins.kubernetes.client import Cluster
from klepaas_plugins.kubernetes.pods import Container, containers, pod_state, preferred, worst_first
from klepaas_plugins.kubernetes.wording import near

__all__ = ["POD_OR_WORKLOAD", "LogQuestion", "answer_logs"]

LOG_TEXT_BYTES = 32_000
LINE_MAX_CHARS = 2000
FETCH_MAX_BYTES = 4 * 1024 * 1024
PODS_MAX = 500
# What makes objects one application, in this order; then a workload of that name.
_APPLICATION_LABELS = ("app.kubernetes.io/instance", "app.kubernetes.io/name", "app")
_WORKLOADS = ("deployments.apps", "statefulsets.apps", "daemonsets.apps", "jobs.batch")


def _is_pod_or_workload(value: str) -> bool:
    kind, slash, name = value.rpartition("/")
    return names.OBJECT.accepts(name) and (not slash or ("/" not in kind and names.KIND.accepts(kind)))


POD_OR_WORKLOAD = Check(
    "pod or workload", _is_pod_or_workload, "a pod's name, an application's name, or kind/name such as deployment/web"
)


@dataclass(frozen=True)
class LogQuestion:
    """What is asked.

    Attributes:
        cluster: The cluster.
        namespace: The namespace.
        name: A pod, an application, or kind/name.
        container: The container. None: the one that fails, or the pod's main one.
        tail_lines: How many of the last lines.
        previous: Whether the run before the last restart is meant.
        since_s: Only lines of the last seconds. None: all.
    """

    cluster: Cluster
    namespace: str
    name: str
    container: str | None
    tail_lines: int
    previous: bool
    since_s: int | None


@dataclass(frozen=True)
class _Choice:
    pod: Mapping[str, Any]
    note: str | None = None

    @property
    def name(self) -> str:
        return str((self.pod.get("metadata") or {}).get("name"))


async def answer_logs(question: LogQuestion) -> Answer:
    """The log of one container, with a line about it above.

    Args:
        question: What is asked.

    Raises:
        NotFound: There is no such pod, workload or application, or it has no pods.
        BadRequest: There is no such container, or no previous run of it.
    """
    choice = await _choose(question)
    container = _container(question, choice)
    others = [other.name for other in containers(choice.pod) if other.name != container.name]
    head = [f"pod {choice.name}, container {container.name}: {container.state}"]
    head += [choice.note] if choice.note else []
    head += [f"other containers: {', '.join(others)}"] if others else []
    if not container.has_log:
        state = pod_state(choice.pod)
        head += [f"It has no log: it has not started. Pod: {state}. k8s_events(name='{choice.name}') may say why."]
        return Answer("\n".join(head))
    if container.has_previous and not question.previous:
        head += ["previous=true shows the run before."]
    text = await question.cluster.logs(
        choice.name,
        question.namespace,
        container=container.name,
        tail_lines=question.tail_lines,
        previous=question.previous,
        since_s=question.since_s,
        limit_bytes=FETCH_MAX_BYTES,
    )
    return Answer("\n".join([*head, "", *_lines(text, question)]))


def _container(question: LogQuestion, choice: _Choice) -> Container:
    found = {container.name: container for container in containers(choice.pod)}
    chosen = found.get(question.container) if question.container else preferred(choice.pod)
    if chosen is None:
        raise BadRequest(
            f"Pod {choice.name} has no container {question.container}", next_step=f"It has: {', '.join(found)}"
        )
    if question.previous and not chosen.has_previous:
        raise BadRequest(
            f"Container {chosen.name} of pod {choice.name} has no previous run: {chosen.state}",
            next_step="Ask without previous",
        )
    return chosen


def _lines(text: str, question: LogQuestion) -> list[str]:
    """The last lines that fit; a log's end says more than its beginning."""
    lines = text.removesuffix("\n").split("\n") if text else []
    if not lines:
        return ["(no lines in that time)" if question.since_s else "(the log is empty)"]
    kept: list[str] = []
    size_bytes = 0
    for line in reversed(lines):
        shown = (
            line
            if len(line) <= LINE_MAX_CHARS
            else f"{line[:LINE_MAX_CHARS]}[+{len(line) - LINE_MAX_CHARS} characters]"
        )
        size_bytes += len(shown.encode()) + 1
        if size_bytes > LOG_TEXT_BYTES and kept:
            break
        kept.append(shown)
    left_out = len(lines) - len(kept)
    kept += (
        [f"[{left_out} earlier lines left out; ask for fewer lines, or for the last seconds with since_s]"]
        if left_out
        else []
    )
    if len(text.encode()) >= FETCH_MAX_BYTES:
        kept.insert(0, "[the lines are very long: later ones are missing; ask for fewer]")
    return kept[::-1]


async def _choose(question: LogQuestion) -> _Choice:
    kind, slash, name = question.name.rpartition("/")
    if slash:
        return await _of_kind(question, kind, name)
    cluster = question.cluster
    pods = await cluster.resource("pods")
    try:
        return _Choice(await cluster.get(pods, name, question.namespace))
    except NotFound as exc:
        choice = await _of_application(question, name)
        if choice is not None:
            return choice
        raise await _unknown(question, name) from exc


async def _of_kind(question: LogQuestion, kind: str, name: str) -> _Choice:
    cluster = question.cluster
    resource = await cluster.resource(kind)
    found = await cluster.get(resource, name, question.namespace)
    if resource.full_name == "pods":
        return _Choice(found)
    selector = _selector(found)
    if selector is None:
        raise BadRequest(f"A {resource.title} selects no pods", next_step="Name a pod or a workload")
    choice = await _worst(question, selector, f"{resource.title} {name}")
    if choice is None:
        raise NotFound(
            f"{resource.kind} {name} has no pods in namespace {question.namespace}",
            next_step=f"k8s_events(name='{name}') may say why",
        )
    return choice


def _selector(found: Mapping[str, Any]) -> str | None:
    """The label selector of a workload or a Service, as the API's parameter."""
    selector = (found.get("spec") or {}).get("selector")
    if not isinstance(selector, dict):
        return None
    if "matchLabels" not in selector and "matchExpressions" not in selector:
        return ",".join(f"{key}={value}" for key, value in selector.items()) or None
    terms = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for rule in selector.get("matchExpressions") or ():
        key, values = rule.get("key"), ",".join(rule.get("values") or ())
        form = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }
        terms.append(form.get(str(rule.get("operator")), str(key)))
    return ",".join(terms) or None


async def _of_application(question: LogQuestion, name: str) -> _Choice | None:
    for label in _APPLICATION_LABELS:
        choice = await _worst(question, f"{label}={name}", f"application {name}")
        if choice is not None:
            return choice
    for kind in _WORKLOADS:
        try:
            return await _of_kind(question, kind, name)
        except NotFound:
            continue
    return None


async def _worst(question: LogQuestion, selector: str, whose: str) -> _Choice | None:
    cluster = question.cluster
    pods = await cluster.resource("pods")
    found = await cluster.list(pods, question.namespace, label_selector=selector, limit=PODS_MAX)
    items = worst_first(found.get("items") or [])
    if not items:
        return None
    if len(items) == 1:
        return _Choice(items[0], f"the only pod of {whose}")
    others = [str((pod.get("metadata") or {}).get("name")) for pod in items[1:]]
    more = f" and {len(others) - 5} more" if len(others) > 5 else ""
    why = f"chosen of {len(items)} pods of {whose} as the least healthy, else newest"
    return _Choice(items[0], f"{why}; others: {', '.join(others[:5])}{more}")


async def _unknown(question: LogQuestion, name: str) -> NotFound:
    cluster = question.cluster
    table = await cluster.table(await cluster.resource("pods"), question.namespace, limit=PODS_MAX)
    found = near(name, [row.name for row in table.rows if row.name])
    place = f"namespace {question.namespace} (context {cluster.context})"
    return NotFound(
        f"There is no pod, application or workload {name} in {place}",
        next_step=f"Did you mean {', '.join(found)}?" if found else "k8s_get(kind='pods') lists the pods",
    )
