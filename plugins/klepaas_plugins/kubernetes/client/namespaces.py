"""Whether a namespace exists, asked only where an answer would be empty: an empty list must not hide a wrong name.

Nothing here costs a request as long as something was found. Where nothing was, one list of the namespaces tells both
whether it exists and which name is near; credentials that may not list namespaces ask for the one.
"""

import functools
import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import anyio

from klepaas.errors import KlepaasError, NotFound
from klepaas.host import Host
from klepaas.resources import Resource
from klepaas.tools import Tool
from klepaas_plugins.kubernetes.wording import near

if TYPE_CHECKING:
    from klepaas_plugins.kubernetes.client.cluster import Cluster
    from klepaas_plugins.kubernetes.client.clusters import Clusters

__all__ = ["explain_missing_namespaces", "missing_namespaces", "namespace_error", "require_namespace"]

# One page; a cluster with more namespaces is asked for the one by its name.
_PAGE = 1000
_MAX_NAMES = 15
# An answer about figures or alerts is complete without what a cluster says of the namespace.
_NOTE_LIMIT_S = 3.0
# A query may name many; so many are looked for.
_MAX_LOOKED_FOR = 3

_LACKED = re.compile(r'namespaces "([a-z0-9][-a-z0-9]{0,62})" not found')

P = ParamSpec("P")
T = TypeVar("T")
Declaration = TypeVar("Declaration", Tool, Resource)


async def require_namespace(cluster: "Cluster", namespace: str | None) -> str:
    """Refuse a namespace that does not exist; called where nothing was found in it.

    Args:
        cluster: The cluster.
        namespace: The namespace. None: all of them were meant.

    Returns:
        A note for the answer where the credentials may not see namespaces, so that it could not be checked; else "".

    Raises:
        NotFound: There is no such namespace; the nearest names are named.
    """
    if namespace is None:
        return ""
    try:
        error = await namespace_error(cluster, namespace)
    except KlepaasError as exc:
        return f"Not checked whether namespace {namespace} exists: {exc.what}."
    if error is not None:
        raise error
    return ""


async def missing_namespaces(host: Host, namespaces: Iterable[str], *, refuse: bool = False) -> str:
    """A note on namespaces that figures or alerts were asked about; called where nothing of them was found.

    These may be those of another cluster than the default context's. With one context that is where a namespace is
    looked for; with several the note says where it was not found.

    Args:
        host: The server's settings and shared services.
        namespaces: The namespaces that were named, if any.
        refuse: Whether one that does not exist is an error where only one cluster is configured.

    Returns:
        What to say of them; "" where they exist, none was named, or no cluster is configured.

    Raises:
        NotFound: `refuse`, and there is no such namespace; the nearest names are named.
    """
    wanted = list(dict.fromkeys(namespaces))[:_MAX_LOOKED_FOR]
    if not wanted:
        return ""
    from klepaas_plugins.kubernetes.client.clusters import Clusters

    try:
        clusters = Clusters.of(host)
        contexts, cluster = await clusters.known(), await clusters.cluster()
    except KlepaasError:
        return ""
    notes: list[str] = []
    with anyio.move_on_after(_NOTE_LIMIT_S) as limit:
        for namespace in wanted:
            try:
                notes.append(await require_namespace(cluster, namespace))
            except NotFound as exc:
                if refuse and len(contexts) == 1:
                    raise
                notes.append(f"Note: {exc.line}")
    if limit.cancelled_caught:
        notes.append(
            f"Not checked whether namespace {wanted[len(notes)]} exists: context {cluster.context} does not answer."
        )
    return "\n".join(note for note in notes if note)


async def namespace_error(cluster: "Cluster", namespace: str) -> NotFound | None:
    """What to say of a namespace that does not exist.

    Args:
        cluster: The cluster.
        namespace: The namespace.

    Returns:
        The error, with the nearest names. None: it exists.

    Raises:
        KlepaasError: It cannot be found out, for lack of rights or because the cluster does not answer.
    """
    kind = await cluster.resource("v1/Namespace")
    try:
        page = await cluster.table(kind, None, limit=_PAGE)
    except KlepaasError:
        return await _error_of_one(cluster, namespace, [])
    known = [row.name for row in page.rows if row.name]
    if namespace in known:
        return None
    return await _error_of_one(cluster, namespace, known) if page.cursor else _error(cluster, namespace, known)


async def _error_of_one(cluster: "Cluster", namespace: str, known: list[str]) -> NotFound | None:
    try:
        await cluster.get(await cluster.resource("v1/Namespace"), namespace, None)
    except NotFound:
        return _error(cluster, namespace, known)
    return None


def _error(cluster: "Cluster", namespace: str, known: list[str]) -> NotFound:
    found = near(namespace, known)
    if found:
        step = f"Did you mean {', '.join(found)}?"
    elif known:
        more = f" and {len(known) - _MAX_NAMES} more" if len(known) > _MAX_NAMES else ""
        step = f"Namespaces here: {', '.join(known[:_MAX_NAMES])}{more}"
    else:
        step = "Check the name; these credentials may not list namespaces"
    return NotFound(f"There is no namespace {namespace} in context {cluster.context}", next_step=step)


def explain_missing_namespaces(clusters: "Clusters", declared: Iterable[Declaration]) -> Iterator[Declaration]:
    """Tools or resources that, where something is not found, say first that their namespace does not exist.

    Args:
        clusters: The clusters there are.
        declared: The tools or resources; those without a parameter `namespace` stay as they are.
    """
    for one in declared:
        changed: dict[str, Any] = {"function": _explained(clusters, one.function)}
        if isinstance(one, Tool) and one.plan is not None:
            changed["plan"] = _explained(clusters, one.plan)
        yield replace(one, **changed)


def _explained(clusters: "Clusters", function: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    if "namespace" not in inspect.signature(function).parameters:
        return function

    @functools.wraps(function)
    async def explained(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await function(*args, **kwargs)
        except KlepaasError as exc:
            # An operation that ended so carries the code, whatever its class.
            if exc.code == NotFound.code:
                await _check_arguments(clusters, kwargs, exc)
            raise

    return explained


async def _check_arguments(clusters: "Clusters", arguments: Mapping[str, Any], cause: KlepaasError) -> None:
    """Raise what is wrong with the namespace of a call that found nothing; a cause that says so already stays."""
    if arguments.get("all_namespaces") or cause.what.startswith("There is no namespace "):
        return
    try:
        cluster = await clusters.cluster(arguments.get("context"))
        # A manifest may name another namespace than the call, and the server says which one it lacks.
        said = _LACKED.search(cause.what)
        named = said[1] if said else arguments.get("namespace") or cluster.default_namespace
        error = await namespace_error(cluster, named)
    except KlepaasError:
        # Whatever was not found is the better answer.
        return
    if error is not None:
        raise error from cause
