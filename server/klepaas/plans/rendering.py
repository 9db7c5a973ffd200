"""What is shown of a change where it is asked for: the answer of a dry run, and what a person confirms.

A person confirms what is shown whole, or by its facts with the digest of the whole; nothing else can be confirmed.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

from klepaas.arguments import digest
from klepaas.changes import Action, ChangeSet
from klepaas.errors import BadRequest
from klepaas.output.audience import room_bytes
from klepaas.output.budget import LIST_BYTES, fit
from klepaas.output.verdict import nothing_changed
from klepaas.plans.describe import describe, describe_by_facts, escape

__all__ = [
    "CONFIRM_WORD",
    "Preview",
    "answer_dry_run",
    "indented",
    "is_typeable",
    "preview_of",
    "preview_of_text",
]

_PREVIEW_MAX_BYTES = 8000
# What `klepaas plans show` prints; more is not read by anybody.
_WHOLE_MAX_BYTES = 512 * 1024
_NAME_MAX_CHARS = 253
# What a person types where nothing in the change has a name.
CONFIRM_WORD = "confirm"
_DRY_RUN = "the server tried it out and stored nothing"


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What would change, as it is shown, and as it is compared later.

    Attributes:
        title: What it does, in a few words; clean.
        lines: The whole change; each line is clean.
        name: What a person types to confirm it at a terminal; it stands in the lines.
        content: What would change, as JSON data. It may hold secrets: only digests of it leave this process.
        basis: What that rests on, in the same way.
        short: The change by its facts, where it is too long for a question. None: it is not.
        risks: Of the lines, those that name a risk.
    """

    title: str
    lines: tuple[str, ...]
    name: str
    content: Any = field(repr=False)
    basis: Any = field(default=None, repr=False)
    short: tuple[str, ...] | None = None
    risks: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What a question and an answer show: the whole change, or its facts."""
        how = "" if self.short is None else " (in short)"
        return "\n".join([f"{self.title}{how}:", *(self.lines if self.short is None else self.short)])

    @property
    def digest(self) -> str:
        """The same as long as the same would change, while this process runs."""
        return digest([self.content, self.basis])


def answer_dry_run(changes: ChangeSet, note: str) -> str:
    """The answer of a dry run.

    Args:
        changes: What would change.
        note: Where its plan is, or why there is none; one sentence or more. "": nothing is to be said.
    """
    head = f"Dry run, {nothing_changed(_DRY_RUN)}. {escape(changes.title)} would:"
    if changes.is_empty:
        head = f"Dry run: {escape(changes.title)} would change nothing that was compared."
    after = f"\n{note}" if note else ""
    room = room_bytes(LIST_BYTES) - len(after.encode())
    return fit("\n".join([head, *describe(changes).lines]), room, "The rest are further differences") + after


def preview_of(changes: ChangeSet) -> Preview:
    """What a person is asked to confirm.

    Args:
        changes: What would change.

    Raises:
        BadRequest: It can be shown neither whole nor by its facts.
    """
    whole, short = describe(changes, value_max_chars=None), None
    room = room_bytes(_PREVIEW_MAX_BYTES)
    if len(whole.text.encode()) > room:
        short = describe_by_facts(changes)
        if len(short.text.encode()) > room or len(whole.text.encode()) > _WHOLE_MAX_BYTES:
            raise _too_long()
    return Preview(
        title=escape(changes.title),
        lines=whole.lines,
        name=_name_to_type(changes),
        content=_content(changes),
        basis=[changes.basis, [change.basis for change in changes.objects]],
        short=None if short is None else short.lines,
        risks=tuple(line.strip() for line in whole.lines if line.lstrip().startswith("! ")),
    )


def preview_of_text(text: str, *, title: str, name: str, content: Any) -> Preview:
    """What a person is asked to confirm where a tool shows its change itself, or only its arguments are known.

    Args:
        text: What is shown; clean.
        title: What it does, in a few words; clean.
        name: What a person types to confirm it; it stands in the text or in the title.
        content: The same as long as the same would change, as JSON data.

    Raises:
        BadRequest: It is too long to be shown whole.
    """
    shown = text.strip("\n")
    if len(shown.encode()) > _PREVIEW_MAX_BYTES:
        raise _too_long()
    return Preview(title=title, lines=tuple(shown.splitlines()), name=name, content=content)


def _too_long() -> BadRequest:
    return BadRequest(
        "This change is too long to be shown to a person, so it cannot be confirmed",
        next_step="Make it in several smaller changes",
    )


def _content(changes: ChangeSet) -> Any:
    """Everything that is done and shown, as JSON data."""
    objects = [
        [
            asdict(change.identity),
            change.action.value,
            [asdict(one) for one in change.fields],
            change.facts,
            [asdict(risk) for risk in change.risks],
            change.not_checked,
            change.body,
            dict(change.options),
        ]
        for change in changes.objects
    ]
    return [changes.title, changes.notes, [asdict(risk) for risk in changes.risks], objects]


def _name_to_type(changes: ChangeSet) -> str:
    """The name of an object that is deleted, else of one that is changed."""
    order = (Action.DELETE, Action.UPDATE, Action.CREATE, Action.NONE)
    objects = sorted(changes.objects, key=lambda change: order.index(change.action))
    names = (change.identity.name for change in objects if is_typeable(change.identity.name))
    return next(names, CONFIRM_WORD)


def is_typeable(name: str) -> bool:
    """Whether a person can type a name as it is shown.

    Args:
        name: The name.
    """
    return 0 < len(name) <= _NAME_MAX_CHARS and name.isascii() and name.isprintable() and escape(name) == name


def indented(text: str) -> str:
    """A preview's text as it stands below a line of klepaas' own, cut where it is too long.

    Args:
        text: The text.
    """
    shown = fit(text.strip("\n"), _PREVIEW_MAX_BYTES + 1000, "This is not all that would change")
    return "\n".join(f"  {line}" for line in shown.splitlines())
