"""Puts a change into words: for the answer of a dry run, the question to a person, the record, and what differs.

Nothing else describes a change. `describe` shows all of it below its objects, with whole paths; `list_differences` and
`summarize` are for an answer among other lines, with the short paths that people use.

Every text of a change may be somebody else's. Each path and value is masked and escaped by itself before any line is
composed, so that none can hide what follows it or pass for a line of klepaas' own.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from klepaas.changes import FOREIGN_MARK, Action, ChangeSet, FieldChange, ObjectChange, ObjectIdentity, Risk
from klepaas.effects import Effect
from klepaas.output.line_diff import changed_lines
from klepaas.output.quoting import json_text
from klepaas.output.safe import cut_with_count, safe_text

__all__ = [
    "VALUE_MAX_CHARS",
    "count_differences",
    "describe",
    "describe_by_facts",
    "describe_object",
    "describe_risk",
    "describe_warnings",
    "escape",
    "list_differences",
    "list_fields",
    "record",
    "summarize",
]

VALUE_MAX_CHARS = 160
# A value that stands in a line as it is: nothing in it can be taken for klepaas' own words.
_PLAIN = re.compile(r"[^\s\"\\]+(?: [^\s\"\\]+)*")
# A text of somebody else's among our words: more than a word is quoted.
_ONE_WORD = re.compile(r"[^\s\"\\,;]+")
_OWN_WORDS = re.compile(r"->|\((?:new|removed|owned by)|: |^[+-] |hidden, not compared")
_POD_SPEC = "spec.template.spec."
# Fields by which items of lists are told apart, so that a path holds their values.
_KEYS_OF_ITEMS = ("name", "containerPort", "port", "mountPath")
_WARNINGS_IN_SHORT_MAX = 3
_SUMMARY_MAX_OBJECTS, _SUMMARY_MAX_FIELDS = 3, 2
_VERBS = {
    Action.CREATE: "create",
    Action.UPDATE: "change",
    Action.DELETE: "delete",
    Action.NONE: "leave as it is",
}
_FATES = {Action.CREATE: "added", Action.DELETE: "removed"}


@dataclass(frozen=True, kw_only=True)
class Description:
    """A change in lines.

    Attributes:
        lines: The lines.
        is_whole: Whether every value stands in them uncut; what is hidden counts as whole.
    """

    lines: tuple[str, ...]
    is_whole: bool

    @property
    def text(self) -> str:
        """The lines, joined."""
        return "\n".join(self.lines)


def describe(changes: ChangeSet, *, value_max_chars: int | None = VALUE_MAX_CHARS) -> Description:
    """The whole change, object by object.

    Args:
        changes: The change.
        value_max_chars: The longest value that stands in a line, in characters. None: all stand there whole.
    """
    lines = [f"! {_risk(risk)}" for risk in changes.risks]
    whole = True
    for change in changes.objects:
        part = describe_object(change, value_max_chars=value_max_chars)
        lines += part.lines
        whole = whole and part.is_whole
    lines += [escape(note) for note in changes.notes]
    return Description(lines=tuple(lines), is_whole=whole)


def describe_object(change: ObjectChange, *, value_max_chars: int | None = VALUE_MAX_CHARS) -> Description:
    """What becomes of one object.

    Args:
        change: The object's change.
        value_max_chars: The longest value that stands in a line, in characters. None: all stand there whole.
    """
    writer = _Writer(value_max_chars)
    lines = [f"{_VERBS[change.action]} {escape(change.identity.title)}"]
    if change.not_checked is not None:
        lines.append(f"  not checked by the server: {escape(change.not_checked)}")
    lines += [f"  {line}" for line in describe_warnings(change)]
    lines += [f"  ! {_risk(risk)}" for risk in change.risks]
    lines += [f"  {escape(name)}: {writer.value(value)}" for name, value in change.facts]
    lines += [f"  {line}" for field in _fields(change) for line in writer.field(field)]
    return Description(lines=tuple(lines), is_whole=not writer.has_cut)


def describe_warnings(change: ObjectChange) -> list[str]:
    """What the upstream warned of, one line each; masked, and quoted as a text of others.

    Args:
        change: The object's change.
    """
    return [f"warning: {json_text(safe_text(text))}" for text in change.warnings]


def list_differences(changes: ChangeSet) -> list[str]:
    """What differs, each field and each whole object in one line: `Deployment web: image: app:1 -> app:2`.

    Args:
        changes: The change.
    """
    lines: list[str] = []
    for change in changes.objects:
        lines += [f"{_name(change)}: {line}" for line in list_fields(change)]
        lines += [f"{_name(change)}: {_FATES[change.action]}"] if change.action in _FATES else []
    return lines


def list_fields(change: ObjectChange) -> list[str]:
    """The fields of one object that change, each in one line; hidden ones, of which little is known, come last.

    Args:
        change: The object's change.
    """
    writer = _Writer(VALUE_MAX_CHARS)
    fields = sorted(_fields(change), key=lambda field: field.hidden)
    return [writer.line(field, _short_path(change, field.path)) for field in fields]


def summarize(changes: ChangeSet) -> str:
    """What differs on one short line: `Deployment web (image, replicas), Service web added`; "" where nothing does.

    Args:
        changes: The change.
    """
    parts = [part for change in changes.objects if (part := _summary(change))]
    more = len(parts) - _SUMMARY_MAX_OBJECTS
    return ", ".join(parts[:_SUMMARY_MAX_OBJECTS]) + (f" and {more} more" if more > 0 else "")


def count_differences(changes: ChangeSet) -> int:
    """How many fields and whole objects differ.

    Args:
        changes: The change.
    """
    return sum(1 if change.action in _FATES else len(_fields(change)) for change in changes.objects)


def describe_by_facts(changes: ChangeSet) -> Description:
    """A long change in short: its objects by kind, its images, every risk and every removal.

    Args:
        changes: The change.
    """
    writer = _Writer(None)
    lines = [f"! {_risk(risk)}" for risk in changes.risks]
    counts = Counter((change.action, change.identity.kind) for change in changes.objects)
    lines += [f"{_VERBS[action]}: {count} {escape(kind)}" for (action, kind), count in sorted(counts.items())]
    for change in changes.objects:
        title = escape(change.identity.title)
        lines += [f"! {title}: {_risk(risk)}" for risk in change.risks]
        lines += [f"{_VERBS[Action.DELETE]} {title}"] if change.action is Action.DELETE else []
        lines += [f"{title}: removes {escape(field.path)}" for field in change.removals]
        lines += [f"{title}: {line}" for line in describe_warnings(change)[:_WARNINGS_IN_SHORT_MAX]]
        lines += [f"{title}: {escape(name)} {writer.value(value)}" for name, value in _images(change)]
    return Description(lines=tuple(lines), is_whole=True)


def record(changes: ChangeSet) -> dict[str, Any]:
    """The change as a record keeps it: JSON data without values.

    Args:
        changes: The change.
    """
    risks = [
        {"code": risk.code, **_place(identity), "text": describe_risk(risk)} for identity, risk in changes.all_risks
    ]
    objects = [
        {
            "action": change.action.value,
            "object": escape(change.identity.title),
            **({"fields": [escape(field.path) for field in change.fields]} if change.fields else {}),
            **({"not_checked": escape(change.not_checked)} if change.not_checked else {}),
            **({"warnings": describe_warnings(change)} if change.warnings else {}),
        }
        for change in changes.objects
    ]
    return {"title": escape(changes.title), "objects": objects, **({"risks": risks} if risks else {})}


def escape(text: str) -> str:
    """A text of somebody else's as it may stand in a line of ours: masked, on one line, quoted where it could mislead.

    Args:
        text: The text.
    """
    shown = safe_text(text)
    if _PLAIN.fullmatch(shown) and not shown.startswith("!"):
        return shown
    return json_text(shown)


class _Writer:
    """Writes the fields of one description, and notes whether it had to cut."""

    def __init__(self, value_max_chars: int | None) -> None:
        self._max = value_max_chars
        self.has_cut = False

    def field(self, change: FieldChange) -> Iterator[str]:
        """A field in lines; a text of several lines as the difference of its lines."""
        if not _is_text_of_lines(change):
            yield self.line(change, _path(change.path))
            return
        yield f"{_path(change.path)}:{self._notes(change)}"
        yield from (f"  {self._cut(line)}" for line in _line_difference(change, context_lines=1))

    def line(self, change: FieldChange, path: str) -> str:
        """A field in one line; of a text of several lines the first that differ, and how many more do.

        Args:
            change: The field.
            path: Where it is, as it is shown; clean.
        """
        before, after = change.before, change.after
        if change.hidden:
            text = f"{after}, hidden, not compared" if after else "hidden, not compared"
        elif _is_text_of_lines(change):
            found = _line_difference(change)
            gone, come = ([line[1:] for line in found if line.startswith(sign)] for sign in ("-", "+"))
            text = f"{self._first_of(gone)} -> {self._first_of(come)}" if gone or come else "hidden lines of it differ"
        elif before is None:
            text = f"{self.value(after or '')} (new)"
        elif after is None:
            text = f"{self.value(before)} (removed)"
        else:
            text = f"{self.value(before)} -> {self.value(after)}"
        return f"{path}: {text}{self._notes(change)}"

    def _first_of(self, lines: Sequence[str]) -> str:
        if not lines:
            return "(no such line)"
        return self.value(lines[0]) + (f" (and {len(lines) - 1} more lines)" if len(lines) > 1 else "")

    def value(self, text: str) -> str:
        """A value in one line."""
        return _quote(self._cut(safe_text(text)))

    def _cut(self, text: str) -> str:
        if self._max is None or len(text) <= self._max:
            return text
        self.has_cut = True
        return cut_with_count(text, self._max)

    @staticmethod
    def _notes(change: FieldChange) -> str:
        owners = f" (owned by {', '.join(escape(owner) for owner in change.owners)})" if change.owners else ""
        return f"{owners} (needs recreation)" if change.recreate else owners


def _is_text_of_lines(change: FieldChange) -> bool:
    before, after = change.before, change.after
    return not change.hidden and before is not None and after is not None and "\n" in before + after


def _line_difference(change: FieldChange, context_lines: int = 0) -> list[str]:
    """The lines of a text that differ, as a unified diff shows them; masked before they are compared."""
    return changed_lines(safe_text(change.before or ""), safe_text(change.after or ""), context_lines)


def _fields(change: ObjectChange) -> list[FieldChange]:
    """The fields that are shown: not the key of an item of a list that its path and its other fields tell."""
    paths = [field.path for field in change.fields]
    return [field for field in change.fields if not _repeats_its_path(field, paths)]


def _repeats_its_path(field: FieldChange, paths: Sequence[str]) -> bool:
    if None not in (field.before, field.after):
        return False
    item, _, key = field.path.rpartition(".")
    is_key = key in _KEYS_OF_ITEMS and item.endswith(f"[{field.before or field.after}]")
    return is_key and any(path.startswith(f"{item}.") and path != field.path for path in paths)


def _quote(shown: str) -> str:
    """A masked text, quoted where it could pass for klepaas' own words."""
    return shown if _PLAIN.fullmatch(shown) and not _OWN_WORDS.search(shown) else json_text(shown)


def _path(text: str) -> str:
    return _quote(safe_text(text))


def _short_path(change: ObjectChange, path: str) -> str:
    """A path as people say it: `image` where a workload has one container, `web: image` where it has several; clean."""
    names = _container_names(change.after or change.before or {})
    for name in names:
        prefix = f"{_POD_SPEC}containers[{name}]."
        if path.startswith(prefix):
            rest = _path(path.removeprefix(prefix))
            return rest if len(names) == 1 else f"{_path(name)}: {rest}"
    return _path(path.removeprefix(_POD_SPEC).removeprefix("spec."))


def _container_names(obj: Mapping[str, Any]) -> list[str]:
    found: Any = obj
    for step in ("spec", "template", "spec", "containers"):
        found = found.get(step) if isinstance(found, Mapping) else None
    items = found if isinstance(found, list) else []
    return [str(item.get("name")) for item in items if isinstance(item, Mapping)]


def _name(change: ObjectChange) -> str:
    return escape(f"{change.identity.kind} {change.identity.name}")


def _summary(change: ObjectChange) -> str:
    if change.action in _FATES:
        return f"{_name(change)} {_FATES[change.action]}"
    names = [_short_path(change, field.path) for field in _fields(change)]
    more = len(names) - _SUMMARY_MAX_FIELDS
    named = [*names[:_SUMMARY_MAX_FIELDS], *([f"{more} more fields"] if more > 0 else [])]
    return f"{_name(change)} ({', '.join(named)})" if named else ""


def describe_risk(risk: Risk) -> str:
    """The text of a risk in one line: what is somebody else's in it is masked and escaped piece by piece.

    Args:
        risk: The risk.
    """
    pieces = risk.text.split(FOREIGN_MARK)
    if len(pieces) == 1:
        return escape(risk.text)
    return "".join(_piece(piece) if at % 2 else _own_words(piece) for at, piece in enumerate(pieces))


def _piece(text: str) -> str:
    shown = safe_text(text)
    return shown if _ONE_WORD.fullmatch(shown) else json_text(shown)


def _own_words(text: str) -> str:
    before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    return f"{before}{safe_text(text.strip())}{after if text.strip() else ''}"


def _risk(risk: Risk) -> str:
    shown = describe_risk(risk)
    return f"{risk.severity.value}: {shown}" if risk.severity is Effect.DESTRUCTIVE else shown


def _images(change: ObjectChange) -> list[tuple[str, str]]:
    """The images that a change names, whether in a new object or in a changed field."""
    facts = [(name, value) for name, value in change.facts if name.endswith("image")]
    fields = [(field.path, field.after) for field in change.fields if field.path.endswith(".image")]
    return [*facts, *((path, after) for path, after in fields if after is not None)]


def _place(identity: ObjectIdentity | None) -> dict[str, str]:
    return {} if identity is None else {"object": escape(identity.title)}
