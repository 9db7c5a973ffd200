"""What is shown of a change where it is asked for: the answer of a dry run, and what a person confirms.

A person confirms what is shown whole, or by its facts with the digest of the whole; nothing else can be confirmed.
"""

from dataclasses import dataclass
from typing import Any

from klepaas.arguments import digest
from klepaas.changes import ChangeSet
from klepaas.effects import Effect
from klepaas.errors import BadRequest
from klepaas.output.budget import LIST_BYTES, fit
from klepaas.output.verdict import nothing_changed
from klepaas.plans.describe import describe, describe_by_facts, escape

__all__ = ["Preview", "answer_dry_run", "digest_of", "indented", "preview_of"]

_PREVIEW_MAX_BYTES = 8000
_DRY_RUN = "the server tried it out and stored nothing"


@dataclass(frozen=True)
class Preview:
    """What would change.

    Attributes:
        text: For a person; clean.
        digest: The same as long as the same would change.
    """

    text: str
    digest: str


def answer_dry_run(changes: ChangeSet) -> str:
    """The answer of a dry run.

    Args:
        changes: What would change.
    """
    head = f"Dry run, {nothing_changed(_DRY_RUN)}. {escape(changes.title)} would:"
    if changes.is_empty:
        head = f"Dry run: {escape(changes.title)} would change nothing that was compared."
    return fit("\n".join([head, *describe(changes).lines]), LIST_BYTES, "The rest are further differences")


def preview_of(changes: ChangeSet, declared: Effect) -> Preview:
    """What a person is asked to confirm.

    Args:
        changes: What would change.
        declared: The effect that the tool declares.

    Raises:
        BadRequest: It can be shown neither whole nor by its facts.
    """
    mark = digest_of(changes)
    whole = describe(changes, value_max_chars=None).text
    if len(whole.encode()) <= _PREVIEW_MAX_BYTES:
        return Preview(f"{escape(changes.title)}:\n{whole}", mark)
    short = describe_by_facts(changes).text
    if len(short.encode()) > _PREVIEW_MAX_BYTES:
        raise BadRequest(
            "This change is too long to be shown to a person, so it cannot be confirmed",
            next_step="Make it in several smaller changes",
        )
    effect = changes.effect(declared).value
    return Preview(f"{escape(changes.title)} ({effect}, in short; digest {mark[:16]}):\n{short}", mark)


def digest_of(changes: ChangeSet) -> str:
    """What is the same as long as the same would change, and tells nothing about hidden values.

    Args:
        changes: The change.
    """
    objects: list[Any] = [
        [str(change.identity), change.action.value, [str(field) for field in change.fields], change.facts,
         [str(risk) for risk in change.risks], change.body, change.basis, dict(change.options)]
        for change in changes.objects
    ]  # fmt: skip
    return digest([changes.title, objects, [str(risk) for risk in changes.risks], changes.basis])


def indented(text: str) -> str:
    """A preview's text as it stands below a line of klepaas' own, cut where it is too long.

    Args:
        text: The text.
    """
    shown = fit(text.strip("\n"), _PREVIEW_MAX_BYTES + 1000, "This is not all that would change")
    return "\n".join(f"  {line}" for line in shown.splitlines())
