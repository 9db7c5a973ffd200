"""Changes of applications that are under way, in words; above all first deployments, of which nothing else tells.

Until the first object is there, the cluster knows nothing of an application that is being deployed: without this an
answer would say that there is none. It asks the journal and no cluster.
"""

import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from klepaas.errors import KlepaasError
from klepaas.host import Host
from klepaas.operations import Operation, Operations, State
from klepaas.output import Answer, Output, json_answer
from klepaas.output.verdict import Verdict
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.kubernetes.client import Clusters

if TYPE_CHECKING:
    from klepaas_plugins.deployments.releases import Release

__all__ = ["answer_first_deployment", "clock", "describe_operation", "find_unseen", "is_first", "progress_of"]

_DEPLOY = "deploy"
_READ = 50


def is_first(operation: Operation, releases: "Collection[Release] | None") -> bool:
    """Whether an operation deploys what was never verified before.

    Args:
        operation: What is under way.
        releases: Those on record. None: they cannot be read.
    """
    from klepaas_plugins.deployments.releases import ReleaseState

    if operation.kind != _DEPLOY or not releases:
        return False
    return all(one.state is not ReleaseState.PASSED for one in releases)


def describe_operation(operation: Operation, *, first: bool, progress: str | None = None) -> str:
    """A change that is under way, in one line: since when, and how far it is or what it waits for.

    Args:
        operation: The operation.
        first: Whether it is a first deployment.
        progress: How far it is, in place of `progress_of`. None: as that says.
    """
    how, took_s = progress_of(operation) if progress is None else progress, time.time() - operation.created_at
    how = f": {how}" if how else ""
    if not first:
        return f"Under way: {operation.title} ({operation.id}), for {took_s:.0f} s{how}"
    since = f"since {clock(operation.created_at)} ({took_s:.0f} s ago)"
    return f"First deployment under way: {operation.title} (operation {operation.id}), {since}{how}"


def progress_of(operation: Operation) -> str:
    """What it waits for, or what it does. "": neither is known."""
    if operation.hindrance is not None:
        return f"not carried on here: {operation.hindrance}"
    if operation.waiting is not None:
        return f"waits for {operation.waiting.reason}"
    if operation.unattended_since is not None:
        return "waits for a server that carries it out"
    return operation.line


def clock(moment: float) -> str:
    """A moment, in seconds since 1970, as people write it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


async def answer_first_deployment(host: Host, place: Place, output: Output) -> Answer | None:
    """What to answer about an application that is not in the cluster. None: none is being deployed there either.

    Args:
        host: The server's settings and shared services.
        place: The application.
        output: How it reads.
    """
    from klepaas_plugins.deployments.kinds import target_text

    try:
        operation = await Operations.of(host).running_on(await target_text(Clusters.of(host), place))
    except KlepaasError:
        return None
    if operation is None or operation.kind != _DEPLOY:
        return None
    seen = Verdict(observed=("the workloads of the namespace", f"the record of operation {operation.id}"))
    if output == "json":
        facts: dict[str, Any] = {"state": "deploying", "first_deployment": True, "operation": operation.id}
        facts |= {"operation_state": str(operation.state), "progress": progress_of(operation) or None, "workloads": []}
        return json_answer("klepaas.status/v1", {**place.facts, **facts, **seen.facts()}, operation_id=operation.id)
    text = f"{place.text} is not in the cluster yet.\n{describe_operation(operation, first=True)}\n{seen.basis()}"
    return Answer(text, operation_id=operation.id)


async def find_unseen(
    host: Host, context: str, namespace: str | None, present: Collection[tuple[str, str]]
) -> list[tuple[str, str, Operation]]:
    """First deployments of which the cluster knows nothing yet: namespace, application and operation.

    Args:
        host: The server's settings and shared services.
        context: The cluster's context.
        namespace: Only in this namespace. None: all.
        present: Namespace and application of what the cluster knows.
    """
    try:
        operations, found = Operations.of(host), list[Operation]()
        for state in (State.RUNNING, State.PENDING):
            found += await operations.find(None, state=state, kind=_DEPLOY, limit=_READ)
        here = await Clusters.of(host).identities(context) if found else ()
    except KlepaasError:
        return []
    placed = [(one.target.rsplit("/", 2), one) for one in found if one.target.count("/") >= 2]
    return [
        (where, name, one)
        for (identity, where, name), one in placed
        if identity in here and namespace in (None, where) and (where, name) not in present
    ]
