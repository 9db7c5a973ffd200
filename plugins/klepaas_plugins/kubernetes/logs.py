"""What `k8s_logs` does: read the log of one container, or of all pods together, and say what was chosen and why.

Which pods are meant is `podchoice`, which lines are wanted `loglines`, and how they are read `logreading`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from klepaas.errors import BadRequest, KlepaasError
from klepaas.names import Check
from klepaas.output import Answer
from klepaas.output.safe import cut_with_count
from klepaas.resilience import gather
from klepaas_plugins.kubernetes.client import Cluster, LogRange
from klepaas_plugins.kubernetes.loglines import folded
from klepaas_plugins.kubernetes.logreading import SEARCHED_LINES, Filter, Line, Read, read_log
from klepaas_plugins.kubernetes.podchoice import Choice, choose, labelled
from klepaas_plugins.kubernetes.pods import Container, containers, pod_state, preferred

__all__ = ["TIME", "LogQuestion", "answer_logs"]

LOG_TEXT_BYTES = 32_000
LINE_MAX_CHARS = 2000
READ_MAX_BYTES = 16 * 1024 * 1024
READ_MAX_S = 4.0
PODS_AT_ONCE = 20
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)")
TIME = Check("time", lambda text: _TIME.fullmatch(text) is not None, "a time such as 2026-01-31T09:00:00Z", 40)


@dataclass(frozen=True)
class LogQuestion:
    """What is asked.

    Attributes:
        cluster: The cluster.
        namespace: The namespace.
        name: A pod, an application, or kind/name. None: by labels.
        label_selector: The pods' labels. None: by name.
        all_pods: Whether all pods are read, not only the least healthy one.
        container: The container. None: the one that fails, or the pod's main one.
        previous: Whether the run before the last restart is meant.
        since_s: Only lines of the last seconds. None: all.
        since_time: Only lines from this time on. None: all.
        lines: Which lines.
    """

    cluster: Cluster
    namespace: str
    name: str | None
    label_selector: str | None
    all_pods: bool
    container: str | None
    previous: bool
    since_s: int | None
    since_time: str | None
    lines: Filter

    def range_of(self, container: Container, *, pods: int) -> LogRange:
        """What is asked of the cluster, for each of so many pods."""
        return LogRange(
            container=container.name,
            previous=self.previous,
            since_s=self.since_s,
            since_time=self.since_time,
            limit_bytes=READ_MAX_BYTES // pods,
            timestamps=pods > 1,
        )


async def answer_logs(question: LogQuestion) -> Answer:
    """The log, with a line about it above.

    Args:
        question: What is asked.

    Raises:
        NotFound: There is no such pod, workload or application, or it has no pods.
        BadRequest: There is no such container, or no previous run of it.
    """
    cluster, namespace = question.cluster, question.namespace
    if (question.name is None) == (question.label_selector is None):
        raise BadRequest("Say which pods: name, or label_selector", next_step="Give exactly one of them")
    if question.name is not None:
        choice = await choose(cluster, namespace, question.name)
    else:
        choice = await labelled(cluster, namespace, question.label_selector or "")
    if len(choice.pods) > 1 and (question.all_pods or question.name is None):
        return await _merged(question, choice)
    return await _one(question, choice)


async def _one(question: LogQuestion, choice: Choice) -> Answer:
    pod = choice.pods[0]
    name, container = _name(pod), _container(question, pod)
    others = [other.name for other in containers(pod) if other.name != container.name]
    head = [f"pod {name}, container {container.name}: {container.state}"]
    head += [_why(choice)] if choice.whose else []
    head += [f"other containers: {', '.join(others)}"] if others else []
    if not container.has_log:
        head += [f"It has no log: it has not started. Pod: {pod_state(pod)}. k8s_events(name='{name}') may say why."]
        return Answer("\n".join(head))
    if container.has_previous and not question.previous:
        head += ["previous=true shows the run before."]
    wanted = question.range_of(container, pods=1)
    read = await read_log(question.cluster, name, question.namespace, wanted, question.lines, READ_MAX_S)
    texts = _with_gaps(question, list(read.lines))
    head += _about(question, [read])
    return Answer("\n".join([*head, "", *_fitting(folded(texts) or [_nothing(question)])]))


async def _merged(question: LogQuestion, choice: Choice) -> Answer:
    """The logs of all pods as one, by time, each line with its pod."""
    pods = choice.pods[:PODS_AT_ONCE]
    labels = _labels([_name(pod) for pod in pods])
    reads: dict[str, Read] = {}
    silent: list[str] = []

    async def read(pod: Mapping[str, Any]) -> None:
        name = _name(pod)
        try:
            container = _container(question, pod)
            if not container.has_log:
                silent.append(f"{name} ({container.state})")
                return
            wanted = question.range_of(container, pods=len(pods))
            reads[name] = await read_log(question.cluster, name, question.namespace, wanted, question.lines, READ_MAX_S)
        except KlepaasError as exc:
            silent.append(f"{name} ({exc.what})")

    await gather(*[partial(read, pod) for pod in pods])
    texts = _by_time(question, labels, reads)
    head = [f"{len(pods)} of {len(choice.pods)} pods of {choice.whose}, merged by time: {', '.join(labels.values())}"]
    head += [f"without a log: {'; '.join(silent)}"] if silent else []
    head += _about(question, list(reads.values()))
    return Answer("\n".join([*head, "", *_fitting(folded(texts, labelled=True) or [_nothing(question)])]))


def _by_time(question: LogQuestion, labels: Mapping[str, str], reads: Mapping[str, Read]) -> list[str]:
    lines = [(line.stamp, line.number, labels[name], line.text) for name, read in reads.items() for line in read.lines]
    lines.sort()
    around = 2 * question.lines.context_lines + 1 if question.lines.selects else 1
    return [f"{label}| {text}" for _, _, label, text in lines[-question.lines.last * around :]]


def _labels(pods: Sequence[str]) -> dict[str, str]:
    """What stands before a pod's lines: the part of its name that tells it from the others."""
    short = {name: name.rpartition("-")[2] for name in pods}
    return short if len(set(short.values())) == len(pods) else {name: name for name in pods}


def _name(pod: Mapping[str, Any]) -> str:
    return str((pod.get("metadata") or {}).get("name"))


def _why(choice: Choice) -> str:
    names = [_name(pod) for pod in choice.pods[1:]]
    if not names:
        return f"the only pod of {choice.whose}"
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    chosen = f"chosen of {len(choice.pods)} pods of {choice.whose} as the worst, else newest"
    return f"{chosen}; others: {', '.join(names[:5])}{more}; all_pods=true reads all"


def _container(question: LogQuestion, pod: Mapping[str, Any]) -> Container:
    found = {container.name: container for container in containers(pod)}
    chosen = found.get(question.container) if question.container else preferred(pod)
    if chosen is None:
        raise BadRequest(
            f"Pod {_name(pod)} has no container {question.container}", next_step=f"It has: {', '.join(found)}"
        )
    if question.previous and not chosen.has_previous:
        raise BadRequest(
            f"Container {chosen.name} of pod {_name(pod)} has no previous run: {chosen.state}",
            next_step="Ask without previous",
        )
    return chosen


def _with_gaps(question: LogQuestion, lines: Sequence[Line]) -> list[str]:
    """The lines; where context was asked for, a mark between those that did not follow one another."""
    texts: list[str] = []
    before: int | None = None
    for line in lines:
        if question.lines.context_lines and before is not None and line.number > before + 1:
            texts.append("--")
        texts.append(line.text)
        before = line.number
    return texts


def _about(question: LogQuestion, reads: Sequence[Read]) -> list[str]:
    """What to know about how the log was read."""
    notes = []
    if question.lines.selects:
        found, count = sum(read.found for read in reads), sum(read.count for read in reads)
        last = f" (the last {SEARCHED_LINES})" if any(read.count >= SEARCHED_LINES for read in reads) else ""
        shown = f", the last {question.lines.last} are shown" if found > question.lines.last else ""
        notes.append(f"{found} of {count} lines read{last} match{shown}")
    if any(read.cut for read in reads):
        size_mib = sum(read.size_bytes for read in reads) / 1024 / 1024
        notes.append(f"[reading stopped after {size_mib:.1f} MiB; later lines are missing: ask for fewer, or since_s]")
    return notes


def _nothing(question: LogQuestion) -> str:
    if question.lines.selects:
        return "(no line matches)"
    return "(no lines in that time)" if question.since_s or question.since_time else "(the log is empty)"


def _fitting(lines: Sequence[str]) -> list[str]:
    """The last lines that fit; a log's end says more than its beginning."""
    kept: list[str] = []
    size_bytes = 0
    for line in reversed(lines):
        shown = cut_with_count(line, LINE_MAX_CHARS)
        size_bytes += len(shown.encode()) + 1
        if size_bytes > LOG_TEXT_BYTES and kept:
            break
        kept.append(shown)
    left_out = len(lines) - len(kept)
    note = f"[{left_out} earlier lines left out; ask for fewer lines, or for the last seconds with since_s]"
    return [*([note] if left_out else []), *reversed(kept)]
