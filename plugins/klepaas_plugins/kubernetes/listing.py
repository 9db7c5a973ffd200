"""What `k8s_get` does: look up objects of any kind and lay them out in few bytes, without their secrets."""

import re
from dataclasses import replace
from functools import partial
from typing import TypedDict

from klepaas.errors import BadRequest, KlepaasError, NotFound
from klepaas.offload import offload, size_of
from klepaas.output import Answer
from klepaas.output.budget import fit
from klepaas_plugins.kubernetes.client import Expired, Table, require_namespace
from klepaas_plugins.kubernetes.masking.comparing import selects_hidden
from klepaas_plugins.kubernetes.pages import DOCUMENTS, Question, columns_page, document_page, joined, table_page
from klepaas_plugins.kubernetes.paging import ASKED_BYTES, Listing, Page, cursor_for, paged, sorted_page, token_of
from klepaas_plugins.kubernetes.sorting import SORT_MAX
from klepaas_plugins.kubernetes.wording import near

__all__ = ["answer_many", "answer_one", "answer_one_anywhere"]

# Enough to fill the budget, for each kind of output, in one request.
_FIRST = {"table": 250, "wide": 150, "names": 500, "yaml": 20, "full": 20, "json": 20, "columns": 200}
NEAR_FROM = 500
# Most objects in one request.
AT_ONCE = 250
ROWS_AT_ONCE = 1000
_TERM = re.compile(r"(?P<path>[^=!]{1,300})(?:!=|==?)(?P<value>.*)")


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
        if question.columns or question.output in DOCUMENTS:
            found = {"items": [await cluster.get(resource, name, question.namespace)]}
            lay_out = columns_page if question.columns else document_page
            text = joined(await offload(partial(lay_out, question, found), size_chars=size_of(found)))
        else:
            found_table = await cluster.table(resource, question.namespace, name=name, whole_objects=question.custom)
            text = joined(await _table_page(question, found_table))
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
    listing = await _listing(replace(question, field_selector=f"metadata.name={name}"), None, None)
    if not listing.count:
        raise NotFound(f"There is no {question.resource.title} {name} {question.where}")
    return _answer(question, listing)


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
    listing = await _listing(question, limit, cursor)
    if not listing.count:
        return Answer(_with_note(question, await _nothing(question)))
    return _answer(question, listing)


async def _listing(question: Question, limit: int | None, cursor: str | None) -> Listing:
    if question.resource.verbs and "list" not in question.resource.verbs:
        raise BadRequest(f"{question.resource.plural} cannot be listed", next_step="Ask for one of them by its name")
    _refuse_guesses(question)
    token = token_of(cursor, *question.identity())

    async def fetch(count: int, after: str | None) -> Page:
        return await _page(question, count, after)

    try:
        if question.order:
            return await sorted_page(fetch, question.order, limit=limit, token=token)
        return await paged(fetch, first=_first(question), limit=limit, token=token)
    except Expired as exc:
        raise BadRequest("This cursor is too old", next_step="Ask again without it") from exc


def _refuse_guesses(question: Question) -> None:
    """Refuse a selector on a value that would not be shown: which objects match would answer guesses.

    Raises:
        BadRequest: There is such a selector.
    """
    for term in (question.field_selector or "").split(","):
        found = _TERM.fullmatch(term.strip())
        if found is None or not found["value"].strip():
            continue
        path, value = found["path"].strip(), found["value"].strip()
        if selects_hidden(question.resource.api_version, question.resource.kind, path, value):
            raise BadRequest(
                f"{question.resource.plural} cannot be selected by {path}: its values are hidden, and not compared",
                next_step="Select by another field, or by labels",
            )


def _answer(question: Question, listing: Listing) -> Answer:
    text = _with_note(question, listing.text)
    if listing.unread:
        text += f"\n[sorted among the first {SORT_MAX} objects only; narrow it with a namespace or a selector]"
    if listing.remaining or listing.token:
        more = f"{listing.remaining} more" if listing.remaining else "more"
        if listing.token:
            text += f"\n[{more}; to go on: cursor={cursor_for(listing.token, *question.identity())}]"
        else:
            text += f"\n[{more}, not shown; narrow it with a namespace or a selector]"
    return Answer(text)


def _first(question: Question) -> int:
    return _FIRST["columns" if question.columns else question.output]


async def _page(question: Question, count: int, after: str | None) -> Page:
    """A page, in several requests where it is long: of the objects only the lines are kept."""
    whole = question.columns or question.output in DOCUMENTS or question.order or question.custom
    most = AT_ONCE if whole else ROWS_AT_ONCE
    page = await _part(question, min(count, most), after)
    while page.token and len(page.lines) < count:
        further = await _part(question, min(count - len(page.lines), most), page.token)
        page = replace(
            further, lines=page.lines + further.lines, heading=page.heading, values=page.values + further.values
        )
    return page


async def _part(question: Question, count: int, after: str | None) -> Page:
    cluster, resource, namespace = question.cluster, question.resource, question.namespace
    selection = _Selection(
        label_selector=question.label_selector, field_selector=question.field_selector, limit=count, cursor=after
    )
    if question.columns or question.output in DOCUMENTS:
        found = await cluster.list(resource, namespace, **selection)
        lay_out = columns_page if question.columns else document_page
        return await offload(partial(lay_out, question, found), size_chars=size_of(found))
    by_path = question.order is not None and question.order.path is not None
    # The columns of a custom kind print any of its fields: the objects tell which of these are secrets.
    if question.custom and not by_path and question.output != "names":
        try:
            return await _table_page(
                question, await cluster.table(resource, namespace, **selection, whole_objects=True)
            )
        except BadRequest:
            pass  # they are too large; the columns' paths then tell, as far as the server says them
    return await _table_page(question, await cluster.table(resource, namespace, **selection, whole_objects=by_path))


async def _table_page(question: Question, found: Table) -> Page:
    """A table as lines, which takes a thread where whole objects came with it."""
    size_chars = size_of([[row.cells, row.object] for row in found.rows])
    return await offload(partial(table_page, question, found), size_chars=size_chars)


class _Selection(TypedDict):
    """What both ways of listing take."""

    label_selector: str | None
    field_selector: str | None
    limit: int
    cursor: str | None


def _with_note(question: Question, text: str) -> str:
    return f"[{question.note}]\n{text}" if question.note else text


async def _nothing(question: Question) -> str:
    """What is said of an empty list; a namespace that does not exist is an error, not an empty list."""
    note = await require_namespace(question.cluster, question.namespace)
    selectors = [text for text in (question.label_selector, question.field_selector) if text]
    what = f"No {question.resource.plural} {question.where}"
    if selectors:
        text = f"{what} match {' and '.join(selectors)}. Ask without the selector to see what is there."
    else:
        text = f"{what}. all_namespaces=true looks everywhere." if question.namespace is not None else f"{what}."
    return f"{text}\n{note}" if note else text


async def _nearest(question: Question, name: str, exc: NotFound) -> NotFound:
    """The same failure, with names that the caller may have meant."""
    await require_namespace(question.cluster, question.namespace)
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
