"""The shape of a tool's answer, and tables in few bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Answer", "table"]


@dataclass(frozen=True)
class Answer:
    """What a tool answers.

    Attributes:
        text: What the model and the person read.
        facts: The few values that a program would want, as JSON data; never a copy of the text, since a client that
            feeds both to its model would pay twice. None: there are none.
    """

    text: str
    facts: Mapping[str, Any] | None = None


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as one line of column names and one line a row.

    Tabs instead of padding: a list of pods costs about half the bytes, and a cell may hold spaces.

    Args:
        columns: Names of the columns.
        rows: Cells, as many as there are columns; an empty cell shows as "-".
    """
    lines = ["\t".join(columns)]
    lines.extend("\t".join(_cell(cell) for cell in row) for row in rows)
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()) or "-"
