r"""Paths to fields of an object, in the part of kubectl's JSONPath that people use; what one finds in an object.

    .metadata.name   spec.containers[*].image   .status.conditions[?(@.type=="Ready")].status   ..image
    .metadata.labels.app\.kubernetes\.io/name   .metadata.labels['app']   .spec.ports[0:2].port

A path is data: nothing is evaluated, no expression is called, and the work is bounded. Own code because the libraries
speak RFC 9535, which has neither the escaped dots nor the missing root of what models write, and because they cost
more to import than this costs to run.

Source: Kubernetes, "JSONPath Support".
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from klepaas.errors import BadRequest
from klepaas.names import Check
from klepaas.output.quoting import quote
from klepaas_plugins.kubernetes.fieldwalk import Step, walk

__all__ = ["COLUMNS", "FieldPath", "columns_of", "path_of"]

COLUMNS_MAX = 20
STEPS_MAX = 40
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f-\x9f]+")
COLUMNS = Check(
    "list of columns", lambda text: _PRINTABLE.fullmatch(text) is not None, "NAME:.metadata.name,.status.phase", 1000
)
_NAME = re.compile(r"(?:[^.\[\]{}()\\,'\"\s]|\\.)+")
_INDEX = re.compile(r"-?\d{1,6}")
_SLICE = re.compile(r"(-?\d{0,6}):(-?\d{0,6})")
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_FILTER = re.compile(r"\?\(\s*+@(?P<path>[^=!<>]*)(?:(?P<sign>==|!=|<=|>=|<|>)(?P<value>.*))?\)")
_LABEL = re.compile(r"(?P<label>[A-Za-z][A-Za-z0-9 _/-]{0,40}):(?=[.$@{\[A-Za-z])")
# What people call by its bare name lies in the metadata.
_IN_METADATA = frozenset({"name", "namespace", "labels", "annotations", "uid", "creationTimestamp", "generation"})


@dataclass(frozen=True)
class FieldPath:
    """A path, understood.

    Attributes:
        text: As it was written.
        heading: What its column is called.
        steps: What it does.
    """

    text: str
    heading: str
    steps: tuple[Step, ...]

    def find(self, obj: Any) -> list[Any]:
        """What the path leads to in an object, in order.

        Raises:
            BadRequest: That would take too much work.
        """
        return walk(self.steps, obj)

    def find_each(self, obj: Any) -> list[Any]:
        """As `find`, with `ABSENT` for what an element of a list lacks, so that values keep their places.

        Raises:
            BadRequest: That would take too much work.
        """
        return walk(self.steps, obj, with_absent=True)


def columns_of(text: str) -> list[FieldPath]:
    """The columns in a text such as `NAME:.metadata.name,.spec.containers[*].image`.

    Args:
        text: Paths with or without a heading, separated by commas.

    Raises:
        BadRequest: A path is not valid; the message says which and where.
    """
    parts = [part.strip() for part in _split(text)]
    if not all(parts) or len(parts) > COLUMNS_MAX:
        raise BadRequest(
            f"columns holds an empty path or more than {COLUMNS_MAX}", next_step="Use NAME:.metadata.name,.status.phase"
        )
    return [path_of(part) for part in parts]


def path_of(text: str) -> FieldPath:
    """One path, with or without a heading.

    Raises:
        BadRequest: It is not valid.
    """
    label = _LABEL.match(text)
    body = text[label.end() :] if label else text
    bare = body.removeprefix("{").removesuffix("}") if body.startswith("{") else body
    bare = re.sub(r"^\.?items\[\*?\]", "", bare.removeprefix("$").removeprefix("@"))
    steps = _steps(bare, text)
    if len(steps) == 1 and steps[0].kind == "field" and steps[0].name in _IN_METADATA:
        steps = (Step("field", "metadata"), *steps)
    return FieldPath(bare, label["label"].strip() if label else _heading(steps), steps)


def _split(text: str) -> Iterator[str]:
    """The parts between commas that stand outside brackets and quotes."""
    start = depth = 0
    quote = ""
    for at, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "[{(":
            depth += 1
        elif character in "]})":
            depth -= 1
        elif character == "," and depth <= 0:
            yield text[start:at]
            start = at + 1
    yield text[start:]


def _heading(steps: Sequence[Step]) -> str:
    named = [step.name for step in steps if step.kind == "field"]
    return named[-1].rpartition("/")[2].upper() if named else "VALUE"


def _steps(text: str, whole: str) -> tuple[Step, ...]:
    found: list[Step] = []
    at = 0
    while at < len(text):
        step, at = _next(text, at, whole, first=not found)
        found.extend(step)
        if len(found) > STEPS_MAX:
            raise _wrong(whole, at, "it is too long")
    if not found and not whole.endswith(("$", "$}")):
        raise _wrong(whole, 0, "it names no field")
    return tuple(found)


def _next(text: str, at: int, whole: str, *, first: bool) -> tuple[list[Step], int]:
    """The step or steps that begin here, and where the next one begins."""
    before: list[Step] = []
    if text.startswith("..", at):
        before, at = [Step("below")], at + 2
    elif text[at] == ".":
        at += 1
    elif text[at] != "[" and not first:
        raise _wrong(whole, at, "a '.' or '[' is missing")
    if text.startswith("[", at):
        step, end = _bracket(text, at, whole)
        return [*before, step], end
    if text.startswith("*", at):
        return [*before, Step("all")], at + 1
    name = _NAME.match(text, at)
    if name is None:
        raise _wrong(whole, at, "a field's name is missing")
    return [*before, Step("field", re.sub(r"\\(.)", r"\1", name.group()))], name.end()


def _bracket(text: str, at: int, whole: str) -> tuple[Step, int]:
    end = _closing(text, at)
    if end < 0:
        raise _wrong(whole, at, "a ']' is missing")
    inside = text[at + 1 : end].strip()
    return _selector(inside, whole, at), end + 1


def _closing(text: str, at: int) -> int:
    quote, depth = "", 0
    for position in range(at, len(text)):
        character = text[position]
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "[]":
            depth += 1 if character == "[" else -1
            if depth == 0:
                return position
    return -1


def _selector(inside: str, whole: str, at: int) -> Step:
    if inside in ("*", ""):
        return Step("all")
    if _INDEX.fullmatch(inside):
        return Step("index", bounds=(int(inside), None))
    cut = _SLICE.fullmatch(inside)
    if cut:
        low, high = (int(part) if part not in ("", "-") else None for part in cut.groups())
        return Step("slice", bounds=(low, high))
    quoted = _QUOTED.fullmatch(inside)
    if quoted:
        return Step("field", quoted[1] if quoted[1] is not None else quoted[2])
    asked = _FILTER.fullmatch(inside)
    value = (asked["value"] or "").strip() if asked else ""
    if asked is None or (asked["sign"] and not value):
        raise _wrong(whole, at, "in brackets stands *, a number, a slice, a quoted name or ?(@.field==value)")
    inner = _steps(asked["path"].rstrip(), whole) if asked["path"].strip() else ()
    return Step("filter", asked["sign"] or "", inner=inner, value=_literal(value) if asked["sign"] else None)


def _literal(text: str | None) -> Any:
    if text is None:
        return None
    quoted = _QUOTED.fullmatch(text)
    if quoted:
        return quoted[1] if quoted[1] is not None else quoted[2]
    if text in ("true", "false"):
        return text == "true"
    try:
        return float(text)
    except ValueError:
        return text


def _wrong(whole: str, at: int, why: str) -> BadRequest:
    return BadRequest(
        f"The path {quote(whole, 80)} is not valid near character {at + 1}: {why}",
        next_step="Use paths such as .metadata.name or .spec.containers[*].image",
    )
