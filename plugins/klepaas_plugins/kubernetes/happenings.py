"""What `k8s_events` does: events newest first, of an object also those of what it owns, repeats folded into a line."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from klepaas.errors import KlepaasError
from klepaas.output import Answer, table
from klepaas.output.budget import LIST_BYTES, fit
from klepaas_plugins.kubernetes.client import Cluster, Resource, require_namespace
from klepaas_plugins.kubernetes.dependents import owned_by
from klepaas_plugins.kubernetes.masking.messages import message_line
from klepaas_plugins.kubernetes.wording import age

__all__ = ["EventQuestion", "answer_events"]

PAGE = 500
PAGES_MAX = 4
MESSAGE_MAX_CHARS = 400
# The suffixes that controllers give to what they make: web-56cb6f6f4-hdww5, web-0, web-28512340.
_SUFFIX = r"(?:-[bcdfghjklmnpqrstvwxz2456789]{5,10}){0,2}|-\d{1,10}(?:-[bcdfghjklmnpqrstvwxz2456789]{5})?"


@dataclass(frozen=True)
class EventQuestion:
    """What is asked.

    Attributes:
        cluster: The cluster.
        namespace: The namespace. None: all of them.
        name: The object's name; without a kind, also what its controllers made of it. None: all objects.
        resource: The object's kind. None: any.
        warnings_only: Whether normal events are left out.
        limit: Most lines.
        since_s: Only what was last seen within these seconds. None: all that the cluster keeps.
    """

    cluster: Cluster
    namespace: str | None
    name: str | None
    resource: Resource | None
    warnings_only: bool
    limit: int
    since_s: int | None = None

    @property
    def kind(self) -> str | None:
        """The object's Kind. None: any."""
        return self.resource.kind if self.resource else None

    @property
    def subject(self) -> str:
        """What is asked about, in words."""
        of = f" of {self.kind.lower() if self.kind else 'object'} {self.name}" if self.name else ""
        of = of or (f" of kind {self.kind}" if self.kind else "")
        place = "in any namespace" if self.namespace is None else f"in namespace {self.namespace}"
        lately = f" in the last {self.since_s} s" if self.since_s is not None else ""
        return f"{'warning ' if self.warnings_only else ''}events{of} {place}{lately}"


@dataclass
class _Line:
    """Events that say the same of the same object."""

    event: Mapping[str, Any]
    message: str
    last: str
    count: int


async def answer_events(question: EventQuestion) -> Answer:
    """The events, newest first.

    Args:
        question: What is asked.

    Raises:
        NotFound: The namespace does not exist.
    """
    family = await _family(question)
    found, complete = await _read(question, family)
    lines = _folded(event for event in found if _is_about(question, event, family))
    if question.since_s is not None:
        since = _normal(datetime.now(UTC) - timedelta(seconds=question.since_s))
        lines = [line for line in lines if line.last >= since]
    notes = [] if complete else [f"[only {len(found)} events were read, the newest may be missing: narrow it]"]
    if not lines:
        unsure = await require_namespace(question.cluster, question.namespace)
        empty = f"No {question.subject}. The cluster keeps events for about an hour."
        return Answer("\n".join([empty, *notes, *([unsure] if unsure else [])]))
    shown = lines[: question.limit]
    if len(lines) > len(shown):
        notes.append(f"[{len(lines) - len(shown)} older ones left out; raise limit to see them]")
    text = fit(_text(question, shown), LIST_BYTES, "The rest is older; narrow it with name, kind or types=warning")
    return Answer("\n".join([text, *notes]))


async def _family(question: EventQuestion) -> frozenset[str]:
    """The uids of what the object owns; empty where it owns nothing or is gone."""
    resource, name = question.resource, question.name
    if resource is None or name is None or not resource.namespaced or question.namespace is None:
        return frozenset()
    try:
        owner = await question.cluster.get(resource, name, question.namespace)
    except KlepaasError:
        # Its events outlive an object, and may be readable where it is not.
        return frozenset()
    found = await owned_by(question.cluster, resource, owner)
    return frozenset(one.uid for one in found.objects)


async def _read(question: EventQuestion, family: frozenset[str]) -> tuple[list[Mapping[str, Any]], bool]:
    """The events, and whether these are all."""
    resource = await question.cluster.resource("v1/Event")
    selector = _field_selector(question, family)
    found: list[Mapping[str, Any]] = []
    cursor: str | None = None
    for _ in range(PAGES_MAX):
        page = await question.cluster.list(
            resource, question.namespace, field_selector=selector, limit=PAGE, cursor=cursor
        )
        found += page.get("items") or []
        cursor = (page.get("metadata") or {}).get("continue") or None
        if cursor is None:
            return found, True
    return found, False


def _field_selector(question: EventQuestion, family: frozenset[str]) -> str | None:
    terms = []
    if question.kind and not family:
        terms.append(f"involvedObject.kind={question.kind}")
        # Without a kind the name is compared here, since it stands for what its controllers made too.
        terms += [f"involvedObject.name={question.name}"] if question.name else []
    if question.warnings_only:
        terms.append("type=Warning")
    return ",".join(terms) or None


def _is_about(question: EventQuestion, event: Mapping[str, Any], family: frozenset[str]) -> bool:
    about = event.get("involvedObject") or {}
    if family:
        itself = (about.get("kind"), about.get("name")) == (question.kind, question.name)
        return itself or about.get("uid") in family
    if question.name is None or question.kind is not None:
        return True
    name = str(about.get("name"))
    return re.fullmatch(re.escape(question.name) + f"(?:{_SUFFIX})", name) is not None


def _folded(events: Iterable[Mapping[str, Any]]) -> list[_Line]:
    lines: dict[tuple[str, ...], _Line] = {}
    for event in events:
        about = event.get("involvedObject") or {}
        same = tuple(str(part) for part in (about.get("namespace"), about.get("kind"), about.get("name")))
        message = message_line(event.get("message"), MESSAGE_MAX_CHARS)
        same += (str(event.get("type")), str(event.get("reason")), message)
        last, count = _last(event), _count(event)
        known = lines.get(same)
        if known is None:
            lines[same] = _Line(event, message, last, count)
        else:
            known.count += count
            known.last = max(known.last, last)
    return sorted(lines.values(), key=lambda line: line.last, reverse=True)


def _last(event: Mapping[str, Any]) -> str:
    series = event.get("series") or {}
    metadata = event.get("metadata") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    others = (event.get("firstTimestamp"), metadata.get("creationTimestamp"))
    return next((_normal(time) for time in (*times, *others) if time), "")


def _normal(time: Any) -> str:
    """A time in one form, so that times with and without fractions of a second can be compared as text."""
    try:
        return datetime.fromisoformat(str(time)).astimezone(UTC).isoformat(timespec="microseconds")
    except ValueError:
        return ""


def _count(event: Mapping[str, Any]) -> int:
    series = event.get("series") or {}
    return int(series.get("count") or event.get("count") or 1)


def _text(question: EventQuestion, lines: list[_Line]) -> str:
    columns = ["AGE", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    rows = [_row(line) for line in lines]
    if question.namespace is None:
        columns = ["NAMESPACE", *columns]
        spaces = [str((line.event.get("involvedObject") or {}).get("namespace") or "") for line in lines]
        rows = [[space, *row] for space, row in zip(spaces, rows, strict=True)]
    return table(columns, rows)


def _row(line: _Line) -> list[str]:
    event = line.event
    about = event.get("involvedObject") or {}
    ago = age(line.last) + (f" x{line.count}" if line.count > 1 else "")
    thing = f"{str(about.get('kind') or '').lower()}/{about.get('name') or ''}"
    return [ago, str(event.get("type") or ""), str(event.get("reason") or ""), thing, line.message]
