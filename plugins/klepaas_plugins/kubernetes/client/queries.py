"""What requests have in common: the parameters of a selection and of a change, and what no change may hold."""

import json
from collections.abc import Mapping
from typing import Any

from klepaas.errors import BadRequest
from klepaas.output.redaction import MARK

__all__ = ["change_query", "refuse_marks", "selection"]


def selection(
    label_selector: str | None, field_selector: str | None, limit: int | None = None, cursor: str | None = None
) -> dict[str, str | int]:
    """The parameters that choose objects of a list; what is None is left out."""
    given: dict[str, str | int | None] = {
        "labelSelector": label_selector,
        "fieldSelector": field_selector,
        "limit": limit,
        "continue": cursor,
    }
    return {key: value for key, value in given.items() if value is not None}


def change_query(field_manager: str, dry_run: bool) -> dict[str, str | int]:
    """The parameters of every change: whose it is, that unknown fields are errors, and whether it is tried only."""
    query: dict[str, str | int] = {"fieldManager": field_manager, "fieldValidation": "Strict"}
    return {**query, "dryRun": "All"} if dry_run else query


def refuse_marks(body: Mapping[str, Any]) -> None:
    """Redaction is one-way: what was read masked must never be written.

    Raises:
        BadRequest: The object holds a mark.
    """
    if MARK in json.dumps(body, ensure_ascii=False):
        raise BadRequest(
            f"The object holds {MARK}, which stands for a secret that was not shown",
            next_step="Leave that field out, so that its value stays as it is",
        )
