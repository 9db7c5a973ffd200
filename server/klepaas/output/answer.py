"""The shape of a tool's answer, and tables in few bytes.

An answer is its text. There is no structured part beside it: several clients pass only the structured part to their
model where there is one, and the others pay for both. A program asks for `output="json"`, where the text is the data.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from klepaas.output.jsonable import valid_json

__all__ = ["Answer", "Output", "json_answer", "table", "timestamp"]

# How an answer reads: for people and models, or as data for a program.
Output = Literal["text", "json"]


@dataclass(frozen=True)
class Answer:
    """What a tool answers.

    Attributes:
        text: What the model and the person read; everything that is to be known stands in it.
        operation_id: The operation that the answer is about; it stands in the text too. None: there is none.
        plan_id: The plan that a second call confirms; it stands in the text too. None: there is none.
        basis: For the answer of a dry run or preview: JSON data that the change rests on and the text does not show,
            such as the uid of an object. The gate asks anew where it differs; it is never sent. None: the text alone.
    """

    text: str
    _: KW_ONLY
    operation_id: str | None = None
    plan_id: str | None = None
    basis: Any = None


def json_answer(schema: str, facts: Mapping[str, Any], *, operation_id: str | None = None) -> Answer:
    """The answer to `output="json"`: the facts as the text, led by the name and version of their schema.

    Args:
        schema: Name and version, for example "klepaas.status/v1".
        facts: JSON data; what JSON cannot carry, such as NaN, becomes a text. What it holds stays within the budget of
            an answer: JSON that is cut cannot be read.
        operation_id: The operation that the answer is about. None: there is none.
    """
    text = json.dumps(valid_json({"schema": schema, **facts}), ensure_ascii=False, separators=(",", ":"))
    return Answer(text, operation_id=operation_id)


def timestamp(seconds: float | None) -> str | None:
    """A moment for a program: RFC 3339, in UTC, to the second. None: it is not known.

    Args:
        seconds: Seconds since 1970. None: not known.
    """
    return None if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


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
