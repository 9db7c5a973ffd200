"""A page of objects as lines: the server's own table, chosen columns, names, or whole documents. No secrets in any."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from klepaas.errors import BadRequest
from klepaas.output import table
from klepaas.output.masking.names import Secrecy, secrecy
from klepaas.output.quoting import quote
from klepaas.output.safe import cut_with_count, safe_text
from klepaas_plugins.kubernetes.client import Cluster, Resource, Row, Table
from klepaas_plugins.kubernetes.documents_shown import SHORTENED, Form, documents
from klepaas_plugins.kubernetes.fieldpaths import FieldPath
from klepaas_plugins.kubernetes.fieldwalk import ABSENT
from klepaas_plugins.kubernetes.masking import is_built_in, mask, mask_cells, mask_each
from klepaas_plugins.kubernetes.masking.messages import message_line
from klepaas_plugins.kubernetes.paging import Page
from klepaas_plugins.kubernetes.sorting import Order
from klepaas_plugins.kubernetes.wording import cell

__all__ = ["DOCUMENTS", "Output", "Question", "columns_page", "document_page", "joined", "table_page"]

Output = Literal["table", "wide", "yaml", "full", "json", "names"]
DOCUMENTS: Final = ("yaml", "full", "json")
CELL_MAX_CHARS = 2000
# Columns that hold messages of the cluster, which may quote whole objects.
_MESSAGES = frozenset({"message", "reason", "status", "note"})


@dataclass(frozen=True)
class Question:
    """What is asked of which cluster.

    Attributes:
        cluster: The cluster.
        resource: The kind.
        namespace: The namespace. None: all of them, or a kind without namespaces.
        output: The form of the answer.
        label_selector: Only objects with these labels. None: all.
        field_selector: Only objects with these fields. None: all.
        columns: What to show of each object. Empty: what the output says.
        order: How to sort. None: as the server does, by name.
        note: What the caller should know about how the question was read. None: nothing.
    """

    cluster: Cluster
    resource: Resource
    namespace: str | None
    output: Output
    label_selector: str | None = None
    field_selector: str | None = None
    columns: tuple[FieldPath, ...] = ()
    order: Order | None = None
    note: str | None = None

    @property
    def everywhere(self) -> bool:
        """Whether the answer must tell each object's namespace."""
        return self.resource.namespaced and self.namespace is None

    @property
    def custom(self) -> bool:
        """Whether it is of a kind whose fields and columns nobody here knows."""
        return not is_built_in(self.resource.api_version, self.resource.kind)

    @property
    def where(self) -> str:
        """The place in words."""
        if not self.resource.namespaced:
            return f"in context {self.cluster.context}"
        return "in any namespace" if self.namespace is None else f"in namespace {self.namespace}"

    def identity(self) -> tuple[str | None, ...]:
        """What makes a cursor one of this question."""
        kind = f"{self.resource.api_version}/{self.resource.plural}"
        asked = (self.cluster.context, kind, self.namespace, self.label_selector, self.field_selector)
        return (*asked, f"{self.order.by} {self.order.descending}") if self.order else asked


def document_page(question: Question, found: Mapping[str, Any]) -> Page:
    """Whole objects.

    Args:
        question: What is asked; its output is one of `DOCUMENTS`.
        found: The API's list.
    """
    form = cast("Form", question.output)
    texts = documents(_items(question, found), form)
    if form != "json":
        texts = [text if at == 0 else f"---\n{text}" for at, text in enumerate(texts)]
    metadata = found.get("metadata") or {}
    heading = SHORTENED if form == "yaml" else None
    return Page(texts, heading, metadata.get("continue") or None, metadata.get("remainingItemCount"))


def columns_page(question: Question, found: Mapping[str, Any]) -> Page:
    """Chosen columns; the paths see the objects as they may be shown.

    Args:
        question: What is asked; it has columns.
        found: The API's list.

    Raises:
        BadRequest: A path costs too much, or there is no such column to sort by.
    """
    headings = [column.heading for column in question.columns]
    rows, values = [], []
    for shown in mask_each(_items(question, found)):
        rows.append([_value(column.find_each(shown)) for column in question.columns])
        values.append(_sorting_value(question, headings, rows[-1], shown))
    if question.everywhere and not any(column.text.endswith("namespace") for column in question.columns):
        spaces = [str((item.get("metadata") or {}).get("namespace") or "") for item in found.get("items") or ()]
        headings, rows = ["NAMESPACE", *headings], [[space, *row] for space, row in zip(spaces, rows, strict=True)]
    heading, *lines = table(headings, rows).split("\n")
    metadata = found.get("metadata") or {}
    return Page(lines, heading, metadata.get("continue") or None, metadata.get("remainingItemCount"), values)


def table_page(question: Question, page: Table) -> Page:
    """The server's own table, or the names in it.

    Args:
        question: What is asked.
        page: The table.

    Raises:
        BadRequest: There is no such column to sort by.
    """
    every = [column.name for column in page.columns]
    cells = _masked_cells(question, page)
    values = []
    if question.order is not None:
        # A secret column must not be told by its order either.
        every = [name if secrecy(name) is Secrecy.PLAIN else "" for name in every]
        values = [
            _sorting_value(question, every, row, _safe(question, source))
            for row, source in zip(cells, page.rows, strict=True)
        ]
        values = [safe_text(value) if isinstance(value, str) else value for value in values]
    if question.output == "names":
        return Page([_name(question, row) for row in page.rows], None, page.cursor, page.remaining, values)
    shown = [at for at, column in enumerate(page.columns) if column.priority == 0 or question.output == "wide"]
    columns = [page.columns[at].name for at in shown]
    rows = [[cell(row[at]) if at < len(row) else "" for at in shown] for row in cells]
    for at, column in enumerate(columns):
        if column.lower() in _MESSAGES:
            # A hundred pods have three statuses.
            lines_of = {text: message_line(text, CELL_MAX_CHARS) for text in dict.fromkeys(row[at] for row in rows)}
            rows = [[*row[:at], lines_of[row[at]], *row[at + 1 :]] for row in rows]
    if question.everywhere:
        columns = ["Namespace", *columns]
        rows = [[source.namespace or "", *row] for source, row in zip(page.rows, rows, strict=True)]
    heading, *lines = table([column.upper() for column in columns], rows).split("\n")
    return Page(lines, heading, page.cursor, page.remaining, values)


def _masked_cells(question: Question, page: Table) -> list[list[Any]]:
    """The cells of all rows; of a custom kind each row is compared with its object."""
    columns = [(column.name, column.description) for column in page.columns]
    kind = {"apiVersion": question.resource.api_version, "kind": question.resource.kind}
    custom = question.custom
    rows = []
    for row in page.rows:
        known = row.object is not None and row.object.get("kind") != "PartialObjectMetadata"
        whole = {**kind, **(row.object or {})} if custom and known else None
        rows.append(mask_cells(columns, row.cells, whole, custom=custom))
    return rows


def joined(page: Page) -> str:
    """A page as one text."""
    return "\n".join([*([page.heading] if page.heading else []), *page.lines])


def _items(question: Question, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The objects of a list, each with its kind, which the API leaves out and masking goes by."""
    kind = {"apiVersion": question.resource.api_version, "kind": question.resource.kind}
    return [{**kind, **item} for item in found.get("items") or ()]


def _safe(question: Question, row: Row) -> Mapping[str, Any]:
    by_path = question.order is not None and question.order.path is not None
    return mask({"kind": question.resource.kind, **(row.object or {})}) if by_path else {}


def _sorting_value(question: Question, headings: Sequence[str], cells: Sequence[Any], shown: Mapping[str, Any]) -> Any:
    order = question.order
    if order is None:
        return None
    if order.path is not None:
        return order.path.find(shown)
    wanted = order.by.replace("_", " ").upper()
    for at, heading in enumerate(headings):
        if heading.upper() == wanted and at < len(cells):
            return cells[at]
    known = ", ".join(heading.upper() for heading in headings if heading)
    raise BadRequest(f"There is no column {quote(order.by, 40)} to sort by", next_step=f"Use {known}, or a path")


def _value(found: Sequence[Any]) -> str:
    text = ",".join(_shown(value) for value in found)
    return cut_with_count(text, CELL_MAX_CHARS)


def _shown(value: Any) -> str:
    if value is ABSENT:
        return "-"
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return cell(value)


def _name(question: Question, row: Row) -> str:
    name = row.name or (cell(row.cells[0]) if row.cells else "")
    return f"{row.namespace}/{name}" if question.everywhere and row.namespace else name
