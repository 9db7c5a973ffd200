"""The history of deployments in an answer: how they went, how long they took, and why the last ones failed.

From this server's store, which knows every change that klepaas carried out here. What other servers did stands in the
releases that the cluster keeps.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from klepaas.errors import KlepaasError
from klepaas.host import Host
from klepaas.output import Answer, Output, json_answer, table, timestamp
from klepaas.output.budget import LIST_BYTES, fit
from klepaas.output.verdict import Verdict
from klepaas.store.history import Deployment, History, Statistics
from klepaas_plugins.deployments.objects import age, counted, one_line
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.kubernetes.client import Clusters, namespace_error

__all__ = ["Question", "history_of"]

_PAGE = 20
_WHY_CHARS = 120
_DAY_S = 86_400.0


@dataclass(frozen=True)
class Question:
    """Whose history is asked for.

    Attributes:
        place: One application. None: all of them.
        namespace: Only in this namespace, where all are meant. None: in all.
        context: Only in the cluster of this context, where all are meant. None: in all.
        days: How many days back the figures count.
        before: Only what began before then, in seconds since 1970. None: everything.
    """

    place: Place | None
    namespace: str | None
    context: str | None
    days: int
    before: float | None

    async def filters(self, clusters: Clusters) -> dict[str, str | None]:
        """The same as the store asks it."""
        if self.place is not None:
            cluster: str | None = await clusters.identity(self.place.cluster.context)
            return {"cluster": cluster, "namespace": self.place.namespace, "application": self.place.app_name}
        cluster = await clusters.identity(self.context) if self.context is not None else None
        return {"cluster": cluster, "namespace": self.namespace}

    @property
    def named_namespace(self) -> str | None:
        """The namespace that it is about. None: all of them."""
        return self.place.namespace if self.place is not None else self.namespace

    @property
    def words(self) -> str:
        """Whose, for a sentence."""
        if self.place is not None:
            return self.place.text
        parts = [
            f"in namespace {self.namespace}" if self.namespace else "",
            f"in {self.context}" if self.context else "",
        ]
        return " ".join(["all applications", *(part for part in parts if part)])


async def history_of(host: Host, question: Question, output: Output = "text") -> Answer:
    """The answer of get_deployment_history.

    Args:
        host: The server's settings and shared services.
        question: Whose history.
        output: How it reads.

    Raises:
        StoreUnavailable: It cannot be read.
        NotFound: The namespace does not exist.
    """
    history, wanted = History.of(host), await question.filters(Clusters.of(host))
    now = time.time()
    figures = await history.statistics(**wanted, since=now - question.days * _DAY_S)
    found = await history.find(**wanted, before=question.before, limit=_PAGE + 1)
    page = found[:_PAGE]
    # The whole number, unrounded: what began then has been told.
    more = repr(page[-1].started_at) if len(found) > _PAGE else None
    if not page and question.before is None:
        await _check_namespace(host, question)
    if output == "json":
        return json_answer("klepaas.history/v1", {**_facts(question, figures, page, more), **_seen(question).facts()})
    if not page:
        return await _nothing(host, question)
    lines = [_headline(question, figures, now), table(_columns(question), [_row(question, item, now) for item in page])]
    lines.append(_seen(question).basis())
    lines += [f"There are older ones: cursor={more}"] if more else []
    return Answer(fit("\n".join(lines), LIST_BYTES, "Name an application, or use the cursor"))


async def _nothing(host: Host, question: Question) -> Answer:
    """This server carried out nothing; the cluster may know releases of others."""
    text = f"This server has carried out no change of {question.words}"
    if question.before is not None:
        return Answer(f"{text} before then.")
    known = await _releases(host, question.place) if question.place is not None else 0
    others = f"; the cluster keeps {counted(known, 'release')} of it: list_releases" if known else ""
    return Answer(f"{text}{others}.")


async def _check_namespace(host: Host, question: Question) -> None:
    """Refuse a namespace that does not exist. A cluster that does not answer hides no history."""
    place = question.place
    try:
        cluster = place.cluster if place is not None else await Clusters.of(host).cluster(question.context)
        error = await namespace_error(cluster, named) if (named := question.named_namespace) else None
    except KlepaasError:
        return
    if error is not None:
        raise error


async def _releases(host: Host, place: Place) -> int:
    from klepaas_plugins.deployments.releases import Releases, ReleaseSettings

    try:
        return len(await Releases(place, ReleaseSettings.of(host)).list())
    except KlepaasError:
        return 0


def _seen(question: Question) -> Verdict:
    """What the figures rest on."""
    observed = f"this server's record of changes of {question.words}"
    return Verdict(observed=(observed,), not_checked=("changes that other servers or other programs made",))


def _headline(question: Question, figures: Statistics, now: float) -> str:
    whose, days = question.words, counted(question.days, "day")
    if not figures.total:
        return f"Nothing of {whose} was changed in the last {days}; before that:"
    kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(figures.by_type.items()))
    parts = [f"{counted(figures.total, 'change')} of {whose} in the last {days} ({kinds})"]
    if figures.success_rate is not None:
        parts.append(f"{100 * figures.success_rate:.0f}% of those that ended succeeded")
    if figures.median_s is not None:
        parts.append(f"half of them within {_took(figures.median_s)}")
    if figures.last_failure_at is not None:
        parts.append(f"the last failure {_ago(figures.last_failure_at, now)} ago")
    return ", ".join(parts)


def _columns(question: Question) -> Sequence[str]:
    common = ("AGE", "WHAT", "STATE", "TOOK", "RELEASE", "IMAGE", "BY", "WHY")
    return common if question.place is not None else ("APPLICATION", *common)


def _row(question: Question, item: Deployment, now: float) -> list[str]:
    whose = [] if question.place is not None else [f"{item.namespace}/{item.application}"]
    return [
        *whose,
        _ago(item.started_at, now),
        _what(item),
        item.state,
        "" if item.duration_s is None else _took(item.duration_s),
        "" if item.release is None else str(item.release),
        f"{item.image} ({item.commit_sha[:12]})" if item.image and item.commit_sha else item.image or "",
        item.deployed_by,
        _why(item),
    ]


def _what(item: Deployment) -> str:
    """What was done: "rollback to 3", "scale 2 -> 5"."""
    if item.operation_type == "scale" and item.replicas is not None:
        return f"scale {item.previous_replicas if item.previous_replicas is not None else '?'} -> {item.replicas}"
    if item.operation_type == "rollback" and item.rollback_to_release is not None:
        return f"rollback to {item.rollback_to_release}"
    return item.operation_type


def _why(item: Deployment) -> str:
    stage = f"{item.error_stage}: " if item.error_stage else ""
    why = f"{stage}{one_line(item.error_message, _WHY_CHARS)}" if item.error_message else ""
    back = item.rollback_to_release if item.automatic and item.state == "rolled_back" else None
    return f"{why} (back at release {back})" if back else why


def _took(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"


def _ago(moment: float, now: float) -> str:
    return age(datetime.fromtimestamp(moment, UTC), datetime.fromtimestamp(now, UTC))


def _facts(question: Question, figures: Statistics, page: Sequence[Deployment], more: str | None) -> dict[str, Any]:
    """For a program: the figures, and a page of changes, newest first."""
    place = question.place
    return {
        "context": place.cluster.context if place is not None else question.context,
        "namespace": place.namespace if place is not None else question.namespace,
        "app": place.app_name if place is not None else None,
        "days": question.days,
        "total": figures.total,
        "by_state": dict(figures.by_state),
        "by_type": dict(figures.by_type),
        "success_rate": None if figures.success_rate is None else round(figures.success_rate, 4),
        "median_s": None if figures.median_s is None else round(figures.median_s, 3),
        "last_failure_at": timestamp(figures.last_failure_at),
        "changes": [_change(item) for item in page],
        "cursor": more,
    }


def _change(item: Deployment) -> dict[str, Any]:
    return {
        "operation_id": item.operation_id,
        "type": item.operation_type,
        "state": item.state,
        "context": item.context,
        "namespace": item.namespace,
        "app": item.application,
        "by": item.deployed_by,
        "started_at": timestamp(item.started_at),
        "ended_at": timestamp(item.ended_at),
        "took_s": None if item.duration_s is None else round(item.duration_s, 3),
        "image": item.image,
        "commit": item.commit_sha,
        "release": item.release,
        "restored_release": item.rollback_to_release,
        "replicas": item.replicas,
        "previous_replicas": item.previous_replicas,
        "error_stage": item.error_stage,
        "error": one_line(item.error_message, _WHY_CHARS) if item.error_message else None,
    }
