"""What `k8s_get` does: look up objects of any kind and lay them out in few bytes, without their secrets."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import yaml

from klepaas.errors import BadRequest, KlepaasError, NotFound
from klepaas.output import Answer, table
from klepaas.output.budget import fit
from klepaas_plugins.kubernetes.client import Cluster, Expired, Resource, Row, Table
from klepaas_plugins.kubernetes.paging import ASKED_BYTES, Listing, Page, cursor_for, paged, token_of
from klepaas_plugins.kubernetes.redaction import mask
from klepaas_plugins.kubernetes.secret_text import is_harmless, is_secret, masked
from klepaas_plugins.kubernetes.wording import cell, near

__all__ = ["Output", "Question", "answer_many", "answer_one", "answer_one_anywhere"]

Output = Literal["table", "wide", "yaml", "json", "names"]
# Enough to fill the budget, for each kind of output, in one request.
_FIRST = {"table": 250, "wide": 150, "names": 500, "yaml": 20, "json": 20}
NEAR_FROM = 500


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
        note: What the caller should know about how the question was read. None: nothing.
    """

    cluster: Cluster
    resource: Resource
    namespace: str | None
    output: Output
    label_selector: str | None = None
    field_selector: str | None = None
    note: str | None = None

    @property
    def everywhere(self) -> bool:
        """Whether the answer must tell each object's namespace."""
        return self.resource.namespaced and self.namespace is None

    @property
    def where(self) -> str:
        """The place in words."""
        if not self.resource.namespaced:
            return f"in context {self.cluster.context}"
        return "in any namespace" if self.namespace is None else f"in namespace {self.namespace}"

    def identity(self) -> tuple[str | None, ...]:
        """What makes a cursor one of this question."""
        kind = f"{self.resource.api_version}/{self.resource.plural}"
        return (self.cluster.context, kind, self.namespace, self.label_selector, self.field_selector)


async def answer_one(question: Question, name: str) -> Answer:
    """One object.

    Args:
        question: Where it is looked for.
        name: Its name.

    Raises:
        NotFound: There is none of that name; near names are told.
    """
    cluster, resource = question.cluster, question.resource
    try:
        if question.output in ("yaml", "json"):
            found = await cluster.get(resource, name, question.namespace)
            text = _document(found, question.output)
        else:
            page = await cluster.table(resource, question.namespace, name=name)
            text = _joined(_table_page(question, page))
    except NotFound as exc:
        raise await _nearest(question, name, exc) from exc
    return Answer(_with_note(question, fit(text, ASKED_BYTES, "The object is very large")))


async def answer_one_anywhere(question: Question, name: str) -> Answer:
    """Every object of one name, whatever its namespace.

    Args:
        question: What kind is looked for.
        name: The name.

    Raises:
        NotFound: There is none of that name.
    """
    answer = await answer_many(replace(question, field_selector=f"metadata.name={name}"), None, None)
    if answer.facts and answer.facts["count"] == 0:
        raise NotFound(f"There is no {question.resource.title} {name} {question.where}")
    return answer


async def answer_many(question: Question, limit: int | None, cursor: str | None) -> Answer:
    """A list of objects, as much as fits.

    Args:
        question: What is listed.
        limit: How many at most. None: as many as fit the budget.
        cursor: The cursor of the answer before. None: from the beginning.

    Raises:
        BadRequest: The cursor or a selector is wrong, or the kind cannot be listed.
        NotFound: The namespace does not exist.
    """
    if question.resource.verbs and "list" not in question.resource.verbs:
        raise BadRequest(f"{question.resource.plural} cannot be listed", next_step="Ask for one of them by its name")
    token = token_of(cursor, *question.identity())

    async def fetch(count: int, after: str | None) -> Page:
        return await _page(question, count, after)

    try:
        listing = await paged(fetch, first=_FIRST[question.output], limit=limit, token=token)
    except Expired as exc:
        raise BadRequest("This cursor is too old", next_step="Ask again without it") from exc
    if not listing.count:
        return Answer(_with_note(question, await _nothing(question)), {"count": 0})
    return _answer(question, listing)


def _answer(question: Question, listing: Listing) -> Answer:
    facts: dict[str, Any] = {"count": listing.count}
    text = _with_note(question, listing.text)
    if listing.remaining or listing.token:
        more = f"{listing.remaining} more" if listing.remaining else "more"
        if listing.token:
            facts["cursor"] = cursor_for(listing.token, *question.identity())
            text += f"\n[{more}; to go on: cursor={facts['cursor']}]"
        else:
            text += f"\n[{more}, not shown; narrow it with a namespace or a selector]"
        if listing.remaining:
            facts["remaining"] = listing.remaining
    return Answer(text, facts)


async def _page(question: Question, count: int, after: str | None) -> Page:
    cluster, resource, namespace = question.cluster, question.resource, question.namespace
    if question.output in ("yaml", "json"):
        found = await cluster.list(
            resource,
            namespace,
            label_selector=question.label_selector,
            field_selector=question.field_selector,
            limit=count,
            cursor=after,
        )
        return _document_page(question, found)
    page = await cluster.table(
        resource,
        namespace,
        label_selector=question.label_selector,
        field_selector=question.field_selector,
        limit=count,
        cursor=after,
    )
    return _table_page(question, page)


def _document_page(question: Question, found: Mapping[str, Any]) -> Page:
    kind = {"apiVersion": question.resource.api_version, "kind": question.resource.kind}
    texts = [_document({**kind, **item}, question.output) for item in found.get("items") or ()]
    if question.output == "yaml":
        texts = [text if at == 0 else f"---\n{text}" for at, text in enumerate(texts)]
    metadata = found.get("metadata") or {}
    return Page(texts, None, metadata.get("continue") or None, metadata.get("remainingItemCount"))


def _table_page(question: Question, page: Table) -> Page:
    if question.output == "names":
        return Page([_name(question, row) for row in page.rows], None, page.cursor, page.remaining)
    shown = [at for at, column in enumerate(page.columns) if column.priority == 0 or question.output == "wide"]
    columns = [page.columns[at].name for at in shown]
    rows = [[cell(row.cells[at]) if at < len(row.cells) else "" for at in shown] for row in page.rows]
    for at, column in enumerate(columns):
        if is_secret(column):
            _mask_column(page.rows, shown[at], rows, at)
    if question.everywhere:
        columns = ["Namespace", *columns]
        rows = [[row.namespace or "", *cells] for row, cells in zip(page.rows, rows, strict=True)]
    heading, *lines = table([column.upper() for column in columns], rows).split("\n")
    return Page(lines, heading, page.cursor, page.remaining)


def _name(question: Question, row: Row) -> str:
    name = row.name or (cell(row.cells[0]) if row.cells else "")
    return f"{row.namespace}/{name}" if question.everywhere and row.namespace else name


def _mask_column(source: list[Row], at: int, rows: list[list[str]], to: int) -> None:
    """Mask a column: those of a custom resource may show a field that holds a secret; a number is only a count."""
    for given, row in zip(source, rows, strict=True):
        if not is_harmless(row[to]) and isinstance(given.cells[at], str):
            row[to] = masked(row[to])


def _joined(page: Page) -> str:
    return "\n".join([*([page.heading] if page.heading else []), *page.lines])


def _document(found: Mapping[str, Any], output: Output) -> str:
    clean = mask(found)
    if output == "json":
        return json.dumps(clean, ensure_ascii=False, separators=(",", ":"))
    return yaml.dump(clean, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=200).rstrip("\n")


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes a text of several lines as a block, as a person would."""


def _text_node(dumper: Any, text: str) -> Any:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text_node)


def _with_note(question: Question, text: str) -> str:
    return f"[{question.note}]\n{text}" if question.note else text


async def _nothing(question: Question) -> str:
    """What is said of an empty list; a namespace that does not exist is an error, not an empty list."""
    if question.namespace is not None:
        await _require_namespace(question.cluster, question.namespace)
    selectors = [text for text in (question.label_selector, question.field_selector) if text]
    what = f"No {question.resource.plural} {question.where}"
    if selectors:
        return f"{what} match {' and '.join(selectors)}. Ask without the selector to see what is there."
    return f"{what}. all_namespaces=true looks everywhere." if question.namespace is not None else f"{what}."


async def _require_namespace(cluster: Cluster, namespace: str) -> None:
    kind = await cluster.resource("namespaces")
    try:
        await cluster.get(kind, namespace, None)
    except NotFound as exc:
        known = await _names(Question(cluster, kind, None, "names"))
        step = f"Did you mean {', '.join(near(namespace, known))}?" if near(namespace, known) else None
        raise NotFound(
            f"There is no namespace {namespace} in context {cluster.context}",
            next_step=step or f"Namespaces here: {', '.join(known[:15]) or 'unknown'}",
        ) from exc
    except KlepaasError:
        # Namespaces may not be readable with these credentials; then the list is simply empty.
        return


async def _nearest(question: Question, name: str, exc: NotFound) -> NotFound:
    """The same failure, with names that the caller may have meant."""
    if question.namespace is not None:
        await _require_namespace(question.cluster, question.namespace)
    found = near(name, await _names(question))
    if found:
        return NotFound(exc.what, next_step=f"Did you mean {', '.join(found)}?")
    elsewhere = await _elsewhere(question, name)
    if elsewhere:
        return NotFound(exc.what, next_step=f"It is in namespace {', '.join(elsewhere[:5])}")
    return exc


async def _names(question: Question) -> list[str]:
    try:
        page = await question.cluster.table(question.resource, question.namespace, limit=NEAR_FROM)
    except KlepaasError:
        return []
    return [row.name for row in page.rows if row.name]


async def _elsewhere(question: Question, name: str) -> list[str]:
    if not question.resource.namespaced:
        return []
    try:
        page = await question.cluster.table(question.resource, None, field_selector=f"metadata.name={name}", limit=10)
    except KlepaasError:
        return []
    return [row.namespace for row in page.rows if row.namespace]
