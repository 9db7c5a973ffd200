"""What `k8s_apply` and `k8s_create` do: plan every object first, then write them in a safe order.

Every object is read and tried as a server-side dry run before the first one is changed, so that most of what can go
wrong changes nothing. What goes wrong later stops the rest, and the answer says which objects were changed by then.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NoReturn

from klepaas.changes import Action, ChangeSet, ObjectChange
from klepaas.errors import BadRequest, Conflict, KlepaasError, NotFound
from klepaas.offload import offload
from klepaas.output import Answer
from klepaas.output.audience import room_bytes
from klepaas.output.budget import LIST_BYTES, fit
from klepaas.output.verdict import NOT_SENT, Claim, Verdict, nothing_changed
from klepaas.plans.describe import describe_object, describe_warnings, escape
from klepaas.resilience import gather
from klepaas_plugins.kubernetes.client import Cluster, FieldConflict, Resource
from klepaas_plugins.kubernetes.client.warnings import collect_warnings, joined
from klepaas_plugins.kubernetes.manifests import Manifest, in_safe_order, read_manifests
from klepaas_plugins.kubernetes.risks import find_risks, judge_again
from klepaas_plugins.kubernetes.write.autoscaling import AUTOSCALER, AutoscalerChanges, leaving_first
from klepaas_plugins.kubernetes.write.awaiting import await_kind
from klepaas_plugins.kubernetes.write.generated_names import draw_name
from klepaas_plugins.kubernetes.write.planning import ApplyRequest, plan_apply
from klepaas_plugins.kubernetes.write.writer import Judge, Written, refuse_recreation, write

__all__ = ["ManifestRequest", "answer_manifests", "plan_manifests"]

AT_ONCE = 6
# How it is known what became of an object.
_COMPARED = "the object that the server answered, beside the one before"
_NOT_COMPARED = "applied, hidden values are not compared"
_DRY_RUN = "the server tried it out and stored nothing"


@dataclass(frozen=True, kw_only=True)
class ManifestRequest:
    """What is asked for.

    Attributes:
        cluster: The cluster.
        text: The manifests.
        namespace: Where objects belong that name no namespace. None: the context's.
        create: Whether the objects must be new.
        take_ownership: Whether fields of controllers are taken over.
        remove_unnamed: Whether fields that klepaas set and the manifests do not name are removed.
    """

    cluster: Cluster
    text: str
    namespace: str | None = None
    create: bool = False
    take_ownership: bool = False
    remove_unnamed: bool = False


@dataclass
class _Item:
    """One object on its way.

    Attributes:
        manifest: What was sent.
        resource: Its kind. None: it is defined by another of the objects.
        body: The object with its name and its place.
        plan: What becomes of it. None: not known.
        error: Why nothing can.
    """

    manifest: Manifest
    resource: Resource | None
    body: dict[str, Any]
    plan: ObjectChange | None = None
    error: KlepaasError | None = None
    namespaces: frozenset[str] = field(default_factory=frozenset)


async def plan_manifests(request: ManifestRequest) -> ChangeSet:
    """What the manifests would change; nothing is changed.

    Args:
        request: What is asked for.

    Raises:
        BadRequest: The manifests, or one of the objects, are not valid.
        FieldConflict: Controllers own fields of an object.
        KlepaasError: One of the objects cannot be changed.
    """
    read = partial(read_manifests, request.text, names_required=not request.create)
    manifests = in_safe_order(await offload(read, size_chars=len(request.text)))
    items = [await _locate(request, one, manifests) for one in manifests]
    _refuse_doubles(items)
    await _plan_all(request, items)
    failed = [item for item in items if item.error is not None]
    if failed:
        _refuse(request, items, failed)
    planned = leaving_first(item.plan for item in items if item.plan is not None)
    plans = await find_risks(request.cluster, planned)
    verb = "Create" if request.create else "Apply"
    what = plans[0].identity.title if len(plans) == 1 else f"{len(plans)} objects"
    return ChangeSet(title=f"{verb} {what}", objects=plans)


async def _locate(request: ManifestRequest, manifest: Manifest, every: Sequence[Manifest]) -> _Item:
    """Find the object's kind, its namespace and its name."""
    resource: Resource | None = None
    definition = next((one for one in every if one.defines == (manifest.group, manifest.kind)), None)
    try:
        resource = await request.cluster.resource(f"{manifest.api_version}/{manifest.kind}")
        is_namespaced = resource.namespaced
    except NotFound as exc:
        if definition is None:
            raise NotFound(f"{manifest.where}: {exc.what}", next_step=exc.next_step) from exc
        is_namespaced = (definition.body.get("spec") or {}).get("scope") != "Cluster"
    namespace = _namespace(request, manifest) if is_namespaced else None
    metadata = {key: value for key, value in manifest.body["metadata"].items() if key != "namespace"}
    body = {**manifest.body, "metadata": {**metadata, **({"namespace": namespace} if namespace else {})}}
    if manifest.name is None:
        if resource is None:
            raise BadRequest(f"{manifest.where} needs a name, since its kind is new", next_step="Give it metadata.name")
        name = await draw_name(request.cluster, resource, body, namespace)
        body["metadata"] = {key: value for key, value in body["metadata"].items() if key != "generateName"}
        body["metadata"]["name"] = name
    else:
        body["metadata"].pop("generateName", None)
    made = frozenset(one.name for one in every if one.kind == "Namespace" and one.name)
    return _Item(manifest, resource, body, namespaces=made)


def _namespace(request: ManifestRequest, manifest: Manifest) -> str:
    if request.namespace and manifest.namespace and manifest.namespace != request.namespace:
        raise BadRequest(
            f"{manifest.where} is for namespace {manifest.namespace}, the call for {request.namespace}",
            next_step=f"Leave namespace out of the call, or correct the document; {nothing_changed(NOT_SENT)}",
        )
    return manifest.namespace or request.namespace or request.cluster.default_namespace


def _refuse_doubles(items: Sequence[_Item]) -> None:
    """Refuse two documents of one object, which only their namespaces by default make one.

    Raises:
        BadRequest: There are some.
    """
    seen: dict[tuple[str, ...], Manifest] = {}
    for item in items:
        metadata, one = item.body["metadata"], item.manifest
        key = (one.group, one.kind, str(metadata.get("namespace")), str(metadata.get("name")))
        if key in seen:
            raise BadRequest(f"{seen[key].where} and {one.where} are the same object", next_step="Send it once")
        seen[key] = one


async def _plan_all(request: ManifestRequest, items: Sequence[_Item]) -> None:
    autoscalers = AutoscalerChanges(tuple(item.body for item in items if item.manifest.kind == AUTOSCALER))

    async def plan(item: _Item) -> None:
        try:
            item.plan = await plan_apply(_apply_request(request, item, autoscalers))
        except KlepaasError as exc:
            item.error = exc

    await gather(*[partial(plan, item) for item in items], at_once=AT_ONCE)


def _apply_request(request: ManifestRequest, item: _Item, autoscalers: AutoscalerChanges) -> ApplyRequest:
    return ApplyRequest(
        cluster=request.cluster,
        resource=item.resource,
        body=item.body,
        take_ownership=request.take_ownership,
        remove_unnamed=request.remove_unnamed,
        create=request.create,
        not_served=None if item.resource is not None else "its definition is not served yet",
        absent_namespace=item.body["metadata"].get("namespace") in item.namespaces,
        autoscalers=autoscalers,
    )


def _refuse(request: ManifestRequest, items: Sequence[_Item], failed: Sequence[_Item]) -> NoReturn:
    """Say why nothing was changed."""
    reasons = [f"{item.manifest.where}: {item.error.what}" for item in failed if item.error]
    first = failed[0].error or BadRequest("unknown")
    verb = "created" if request.create else "applied"
    unchanged = nothing_changed(_DRY_RUN).capitalize()
    if len(items) == 1:
        raise _like(first, f"{unchanged}: {first.what}") from first
    what = f"{unchanged}: {len(failed)} of {len(items)} objects cannot be {verb}; {reasons[0]}"
    raise _like(first, what, details="\n".join(reasons[1:]) or None) from first


async def answer_manifests(cluster: Cluster, changes: ChangeSet) -> Answer:
    """Write what was planned, object by object.

    Args:
        cluster: The cluster.
        changes: The plan.

    Raises:
        KlepaasError: One of the changes failed; the error says which objects were changed before it.
    """
    done: list[Written] = []
    for change in changes.objects:
        # Before the first is written: a set that cannot be made whole is not begun.
        refuse_recreation(change)
    judge = judge_again(cluster, changes.objects)
    for change in changes.objects:
        try:
            await await_kind(cluster, change, changes.objects)
            done.append(await _write(cluster, change, judge))
        except KlepaasError as exc:
            _report_failure(changes.objects, done, change, exc)
    lines = [line for one in done for line in _lines(one)]
    return Answer(fit("\n".join(lines), room_bytes(LIST_BYTES), "The rest are further differences"))


async def _write(cluster: Cluster, change: ObjectChange, judge: Judge) -> Written:
    """Make one change; what the server warns of then comes beside what it warned of when it was planned."""
    with collect_warnings() as warnings:
        written = await write(cluster, change, judge=judge)
    return replace(written, change=replace(written.change, warnings=joined(change.warnings, warnings)))


def _lines(written: Written) -> list[str]:
    """What became of an object."""
    change = written.change
    head = f"{_state(change)}\t{escape(change.identity.title)}"
    if change.action is Action.CREATE:
        return [head, *(f"  {line}" for line in describe_warnings(change))]
    extra = [f"  changed by the cluster besides: {', '.join(map(escape, written.deviations[:8]))}"]
    return [head, *describe_object(change).lines[1:], *(extra if written.deviations else [])]


def _state(change: ObjectChange) -> str:
    if change.action is Action.CREATE:
        return "created"
    if any(not one.hidden for one in change.fields):
        return "changed"
    if change.fields:
        return _NOT_COMPARED
    return Verdict(observed=(_COMPARED,)).render(Claim.UNCHANGED)


def _report_failure(
    every: Sequence[ObjectChange], done: Sequence[Written], failed: ObjectChange, exc: KlepaasError
) -> NoReturn:
    """Say what was changed before a change failed, and what was not."""
    rest = [one.identity.title for one in every[len(done) + 1 :]]
    if len(every) == 1:
        raise exc
    made = [f"{one.change.identity.title} {_state(one.change)}" for one in done]
    lines = [
        f"done: {', '.join(made) or 'nothing'}",
        f"failed: {failed.identity.title}",
        f"not tried: {', '.join(rest) or 'nothing'}",
    ]
    what = f"{len(done)} of {len(every)} objects were done, then {failed.identity.title} failed: {exc.what}"
    raise _like(exc, what, details="\n".join(lines)) from exc


def _like(error: KlepaasError, what: str, details: str | None = None) -> KlepaasError:
    """The same kind of error about the whole call."""
    kind = Conflict if isinstance(error, FieldConflict) else type(error)
    return kind(what, next_step=error.next_step, retry_after_s=error.retry_after_s, details=details)
