"""Puts a change into words: one line a field, for the answer of a dry run, the question to a person, and the record.

Every text of a change may be somebody else's. Each path and value is masked and escaped by itself before any line is
composed, so that none can hide what follows it or pass for a line of klepaas' own.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from klepaas.changes import FOREIGN_MARK, Action, ChangeSet, FieldChange, ObjectChange, ObjectIdentity, Risk
from klepaas.effects import Effect
from klepaas.output.line_diff import changed_lines
from klepaas.output.quoting import json_text
from klepaas.output.safe import cut_with_count, safe_text

__all__ = ["VALUE_MAX_CHARS", "describe", "describe_by_facts", "describe_object", "describe_risk", "escape", "record"]

VALUE_MAX_CHARS = 160
# A value that stands in a line as it is: nothing in it can be taken for klepaas' own words.
_PLAIN = re.compile(r"[^\s\"\\]+(?: [^\s\"\\]+)*")
# A text of somebody else's among our words: more than a word is quoted.
_ONE_WORD = re.compile(r"[^\s\"\\,;]+")
_OWN_WORDS = re.compile(r"->|\((?:new|removed|owned by)|: |^[+-] |hidden, not compared")
_VERBS = {
    Action.CREATE: "create",
    Action.UPDATE: "change",
    Action.DELETE: "delete",
    Action.NONE: "leave as it is",
}


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
    lines += [f"  ! {_risk(risk)}" for risk in change.risks]
    lines += [f"  {escape(name)}: {writer.value(value)}" for name, value in change.facts]
    lines += [f"  {line}" for field in change.fields for line in writer.field(field)]
    return Description(lines=tuple(lines), is_whole=not writer.has_cut)


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
        path, after = escape(change.path), self._notes(change)
        before_text, after_text = change.before, change.after
        if change.hidden:
            size = f"{after_text}, " if after_text else ""
            yield f"{path}: {size}hidden, not compared{after}"
        elif before_text is not None and after_text is not None and "\n" in before_text + after_text:
            yield f"{path}:{after}"
            masked = safe_text(before_text), safe_text(after_text)
            yield from (f"  {self._cut(line)}" for line in changed_lines(*masked, context_lines=1))
        elif before_text is None:
            yield f"{path}: {self.value(after_text or '')} (new){after}"
        elif after_text is None:
            yield f"{path}: {self.value(before_text)} (removed){after}"
        else:
            yield f"{path}: {self.value(before_text)} -> {self.value(after_text)}{after}"

    def value(self, text: str) -> str:
        """A value in one line."""
        shown = self._cut(safe_text(text))
        if _PLAIN.fullmatch(shown) and not _OWN_WORDS.search(shown):
            return shown
        return json_text(shown)

    def _cut(self, text: str) -> str:
        if self._max is None or len(text) <= self._max:
            return text
        self.has_cut = True
        return cut_with_count(text, self._max)

    @staticmethod
    def _notes(change: FieldChange) -> str:
        owners = f" (owned by {', '.join(escape(owner) for owner in change.owners)})" if change.owners else ""
        return f"{owners} (needs recreation)" if change.recreate else owners


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
