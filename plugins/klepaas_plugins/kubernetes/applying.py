"""What `k8s_apply` and `k8s_create` do: look at everything first, then change it in a safe order.

Every object is read and tried as a server-side dry run before the first one is changed, so that most of what can go
wrong changes nothing. What goes wrong later stops the rest, and the answer says which objects were changed by then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn

import anyio

from klepaas.errors import BadRequest, Conflict, Forbidden, KlepaasError, NotFound, TimedOut
from klepaas.offload import offload, size_of
from klepaas.output import Answer
from klepaas.output.budget import LIST_BYTES, fit
from klepaas.output.verdict import NOT_SENT, Claim, Verdict, nothing_changed
from klepaas_plugins.kubernetes.client import FIELD_MANAGER, Cluster, FieldConflict, Resource
from klepaas_plugins.kubernetes.differences import differences
from klepaas_plugins.kubernetes.manifests import Manifest, in_safe_order, read_manifests
from klepaas_plugins.kubernetes.masking.comparing import (
    holds_hidden,
    owners_of_hidden,
    with_encoded_data,
    with_live_secrets,
)

__all__ = ["Wish", "answer_change"]

AT_ONCE = 6
# How it is known what became of an object.
_COMPARED = "the object that the server answered, beside the one before"
_NOT_COMPARED = "applied, hidden values are not compared"
_DRY_RUN = "the server tried it out and stored nothing"
SERVED_TIMEOUT_S = 20.0
SERVED_PAUSE_S = 0.2


@dataclass(frozen=True)
class Wish:
    """What is asked.

    Attributes:
        cluster: The cluster.
        text: The manifests.
        namespace: Where objects belong that name no namespace. None: the context's.
        create: Whether the objects must be new.
        take_ownership: Whether fields of other managers are taken over.
        dry_run: Whether nothing is changed.
    """

    cluster: Cluster
    text: str
    namespace: str | None
    create: bool
    take_ownership: bool
    dry_run: bool


@dataclass
class _Item:
    """One object on its way.

    Attributes:
        manifest: What was sent.
        resource: Its kind. None: it is defined by another of the objects.
        namespace: Where it belongs. None: nowhere, or not known yet.
        live: The object as it is. None: there is none, or it cannot be seen.
        state: What would become, or became, of it.
        lines: What changes in it.
        error: Why it cannot be.
    """

    manifest: Manifest
    resource: Resource | None
    namespace: str | None
    live: Mapping[str, Any] | None = None
    state: str = ""
    lines: list[str] = field(default_factory=list)
    error: KlepaasError | None = None

    @property
    def title(self) -> str:
        place = f" (namespace {self.namespace})" if self.namespace else ""
        return f"{self.manifest.kind.lower()}/{self.manifest.name or '(generated)'}{place}"


async def answer_change(wish: Wish) -> Answer:
    """Apply or create the objects, or show what that would do.

    Args:
        wish: What is asked.

    Raises:
        BadRequest: The manifests, or one of the objects, are not valid; nothing was changed.
        FieldConflict: Other managers own fields of an object; nothing was changed.
        KlepaasError: One of the changes failed; the error says which objects were changed before it.
    """
    read = partial(read_manifests, wish.text, names_required=not wish.create)
    manifests = in_safe_order(await offload(read, size_chars=len(wish.text)))
    for one in manifests:
        encoded = with_encoded_data(one.body)
        one.body.clear()
        one.body.update(encoded)
    items = [await _located(wish, one, manifests) for one in manifests]
    await _try_all(wish, items)
    failed = [item for item in items if item.error is not None]
    if failed:
        _refuse(wish, items, failed)
    if not wish.dry_run:
        await _change_all(wish, items)
    return _answer(wish, items)


async def _located(wish: Wish, manifest: Manifest, every: Sequence[Manifest]) -> _Item:
    """Find the object's kind and its namespace."""
    try:
        resource = await wish.cluster.resource(f"{manifest.api_version}/{manifest.kind}")
    except NotFound as exc:
        if (manifest.group, manifest.kind) in [one.defines for one in every]:
            return _Item(manifest, None, manifest.namespace or wish.namespace)
        raise NotFound(f"{manifest.where}: {exc.what}", next_step=exc.next_step) from exc
    return _Item(manifest, resource, _namespace(wish, manifest, resource))


def _namespace(wish: Wish, manifest: Manifest, resource: Resource) -> str | None:
    if not resource.namespaced:
        manifest.body["metadata"].pop("namespace", None)
        return None
    if wish.namespace and manifest.namespace and manifest.namespace != wish.namespace:
        raise BadRequest(
            f"{manifest.where} is for namespace {manifest.namespace}, the call for {wish.namespace}",
            next_step=f"Leave namespace out of the call, or correct the document; {nothing_changed(NOT_SENT)}",
        )
    namespace = manifest.namespace or wish.namespace or wish.cluster.default_namespace
    manifest.body["metadata"]["namespace"] = namespace
    return namespace


async def _try_all(wish: Wish, items: Sequence[_Item]) -> None:
    slots = anyio.Semaphore(AT_ONCE)
    new_namespaces = {item.manifest.name for item in items if item.manifest.kind == "Namespace"}

    async def attempt(item: _Item) -> None:
        async with slots:
            try:
                await _try(wish, item)
            except NotFound as exc:
                later = item.namespace in new_namespaces and exc.what.find(f'namespaces "{item.namespace}"') >= 0
                item.state, item.error = ("created after its namespace", None) if later else ("", exc)
            except KlepaasError as exc:
                item.error = exc

    async with anyio.create_task_group() as group:
        for item in items:
            group.start_soon(attempt, item)


async def _try(wish: Wish, item: _Item) -> None:
    """See what the change would do, without doing it."""
    if item.resource is None:
        item.state = "created after its definition"
        return
    name, seen = item.manifest.name, True
    if not wish.create and name is not None:
        try:
            item.live = await wish.cluster.get(item.resource, name, item.namespace)
        except NotFound:
            item.live = None
        except Forbidden:
            seen = False
    if not seen:
        _refuse_unseen_secrets(wish, item)
    if item.live is not None:
        _refuse_owned_secrets(wish, item, item.live)
    result = await _send(wish, item, item.resource, dry_run=True)
    await _judge(item, result)
    if not seen:
        item.state, item.lines = "changed", ["(the live object may not be read, so what changes is not known)"]


async def _send(wish: Wish, item: _Item, resource: Resource, *, dry_run: bool) -> dict[str, Any]:
    if wish.create:
        return await wish.cluster.create(resource, item.manifest.body, item.namespace, dry_run=dry_run)
    body: Mapping[str, Any] = item.manifest.body
    if dry_run and item.live is not None:
        # A dry run with a hidden value would answer whether it is the one that is there.
        body = with_live_secrets(body, item.live)
    return await wish.cluster.apply(body, force=wish.take_ownership, dry_run=dry_run)


def _refuse_owned_secrets(wish: Wish, item: _Item, live: Mapping[str, Any]) -> None:
    """Refuse hidden values that other managers own; the server itself would not mind those that are equal.

    Raises:
        FieldConflict: There are some, and they are not to be taken over.
    """
    owners = () if wish.take_ownership else tuple(owners_of_hidden(item.manifest.body, live, FIELD_MANAGER))
    if owners:
        fields = ", ".join(f"{field} ({manager})" for manager, field in owners[:8])
        what = f"other managers own these fields: {fields}; their values are hidden, not compared"
        conflict = FieldConflict(f"Cannot apply {item.title}: {what}")
        conflict.owners = owners
        raise conflict


def _refuse_unseen_secrets(wish: Wish, item: _Item) -> None:
    """Refuse hidden values where the live object may not be read, so that their owners are not known.

    Raises:
        Forbidden: There are some, and fields are not to be taken over.
    """
    if not wish.take_ownership and holds_hidden(item.manifest.body):
        raise Forbidden(
            f"Cannot apply {item.title}: it holds hidden values, and who owns those of the live object may not be read",
            next_step="Ask for the right to read it, or take its fields over with take_ownership=true",
        )


async def _judge(item: _Item, result: Mapping[str, Any]) -> None:
    """Put what became of the object into words."""
    if item.live is None:
        item.state, item.lines = "created", []
        return
    work = partial(differences, item.live, result, item.manifest.body)
    found = await offload(work, size_chars=size_of([item.live, result]))
    item.lines = found.lines
    if found.changed:
        item.state = "changed"
    elif found.not_compared:
        item.state = _NOT_COMPARED
    else:
        item.state = Verdict(observed=(_COMPARED,)).render(Claim.UNCHANGED)


async def _change_all(wish: Wish, items: Sequence[_Item]) -> None:
    done: list[_Item] = []
    for item in items:
        try:
            resource = item.resource or await _served(wish, item)
            await _judge(item, result := await _send(wish, item, resource, dry_run=False))
        except KlepaasError as exc:
            _report_failure(items, done, item, exc)
        name = (result.get("metadata") or {}).get("name")
        if item.manifest.name is None and name:
            item.lines = [f"name: {name}"]
        done.append(item)


async def _served(wish: Wish, item: _Item) -> Resource:
    """The kind that one of the objects has just defined, once the cluster serves it."""
    manifest = item.manifest
    try:
        with anyio.fail_after(SERVED_TIMEOUT_S):
            while True:
                try:
                    resource = await wish.cluster.resource(f"{manifest.api_version}/{manifest.kind}")
                except NotFound:
                    await anyio.sleep(SERVED_PAUSE_S)
                    continue
                item.namespace = _namespace(wish, manifest, resource)
                return resource
    except TimeoutError:
        raise TimedOut(
            f"The cluster does not serve {manifest.kind} {SERVED_TIMEOUT_S:g} s after its definition was made",
            next_step="Look at the definition's conditions, then apply again",
        ) from None


def _refuse(wish: Wish, items: Sequence[_Item], failed: Sequence[_Item]) -> NoReturn:
    """Say why nothing was changed."""
    reasons = [f"{item.manifest.where}: {_reason(item.error)}" for item in failed if item.error]
    first = failed[0].error or BadRequest("unknown")
    step = first.next_step
    if isinstance(first, FieldConflict):
        step = "Leave these fields out, or take them over with take_ownership=true"
    verb = "created" if wish.create else "applied"
    unchanged = nothing_changed(_DRY_RUN).capitalize()
    if len(items) == 1:
        raise _like(first, f"{unchanged}: {first.what}", step) from first
    what = f"{unchanged}: {len(failed)} of {len(items)} objects cannot be {verb}; {reasons[0]}"
    raise _like(first, what, step, details="\n".join(reasons[1:]) or None) from first


def _report_failure(items: Sequence[_Item], done: Sequence[_Item], item: _Item, exc: KlepaasError) -> NoReturn:
    """Say what was changed before a change failed, and what was not."""
    rest = [other.title for other in items if other is not item and other not in done]
    lines = [
        f"done: {', '.join(f'{other.title} {other.state}' for other in done) or 'nothing'}",
        f"failed: {item.title}",
        f"not tried: {', '.join(rest) or 'nothing'}",
    ]
    what = f"{len(done)} of {len(items)} objects were done, then {item.manifest.where} failed: {exc.what}"
    raise _like(exc, what, exc.next_step, details="\n".join(lines)) from exc


def _reason(error: KlepaasError | None) -> str:
    return error.what if error else ""


def _like(error: KlepaasError, what: str, step: str | None, details: str | None = None) -> KlepaasError:
    """The same kind of error about the whole call."""
    kind = Conflict if isinstance(error, FieldConflict) else type(error)
    return kind(what, next_step=step, retry_after_s=error.retry_after_s, details=details)


def _answer(wish: Wish, items: Sequence[_Item]) -> Answer:
    lines = [f"Dry run, {nothing_changed(_DRY_RUN)}. It would be:"] if wish.dry_run else []
    for item in items:
        lines.append(f"{item.state}\t{item.title}")
        lines += [f"  {line}" for line in item.lines]
    # All lines, since two changes may differ only in what is cut off.
    return Answer(fit("\n".join(lines), LIST_BYTES, "The rest are further differences"), basis=lines)
