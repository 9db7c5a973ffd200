"""Where an application stands with klepaas: its release, what differs from it, and the change that is under way.

For the answer about its state. It only reads, and what may not be read is left out.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from klepaas.errors import KlepaasError
from klepaas.host import Host
from klepaas.operations import Operation, Operations
from klepaas.operations.advice import describe_wait
from klepaas_plugins.deployments.objects import one_line
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.planned import CANCELLED
from klepaas_plugins.deployments.settings import RolloutSettings
from klepaas_plugins.deployments.together import together
from klepaas_plugins.deployments.under_way import clock, describe_operation, is_first

if TYPE_CHECKING:
    from klepaas_plugins.deployments.releases import Drift, Release

__all__ = ["Standing", "standing"]

_REASON_CHARS = 160


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What the answer says besides the cluster's own state.

    Attributes:
        lines: One fact a line.
        facts: The same for a program.
        went_back: That a change was undone and nothing was changed since, in a few words. None: so it is not.
        newest: The newest release. None: none is recorded, or it may not be read.
        releases: Those on record, the newest first. None: they may not be read.
        operation: The change that is under way. None: there is none.
        not_checked: What the comparison with the release leaves open.
    """

    lines: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    went_back: str | None = None
    newest: "Release | None" = None
    releases: "tuple[Release, ...] | None" = None
    operation: Operation | None = None
    not_checked: tuple[str, ...] = ()


async def standing(host: Host, place: Place) -> Standing:
    """Where an application stands.

    Args:
        host: The server's settings and shared services.
        place: The application.
    """
    found = await together(partial(_known, _release, host, place), partial(_known, _change, host, place))
    lines = tuple(line for one in found for line in one.lines)
    facts = {key: value for one in found for key, value in one.facts.items()}
    operation, releases = found[1].operation, found[0].releases
    if operation is not None:
        first = is_first(operation, releases)
        lines = (*lines, _in_words(operation, first=first))
        facts |= {"first_deployment": True} if first else {}
    went_back = next((one.went_back for one in found if one.went_back), None)
    newest = next((one.newest for one in found if one.newest), None)
    not_checked = tuple(text for one in found for text in one.not_checked)
    return Standing(lines=lines, facts=facts, went_back=went_back, newest=newest, not_checked=not_checked)


async def _known(read: Any, host: Host, place: Place) -> Standing:
    """What can be read; a state must be told also where the store is broken or Secrets are out of reach."""
    try:
        found: Standing = await read(host, place)
        return found
    except KlepaasError:
        return Standing()


async def _release(host: Host, place: Place) -> Standing:
    from klepaas_plugins.deployments.releases import Releases, ReleaseSettings
    from klepaas_plugins.deployments.releases.listing import drift_facts, drift_line

    releases = Releases(place, ReleaseSettings.of(host))
    drift, listed = await releases.glance()
    line = drift_line(drift)
    went_back = _went_back(listed, drift, by_itself=RolloutSettings.of(host).auto_rollback)
    return Standing(
        lines=(f"Release: {line}",) if line else (),
        facts=drift_facts(drift),
        went_back=went_back,
        newest=listed[0] if listed else None,
        releases=tuple(listed),
        not_checked=_not_checked(drift),
    )


def _not_checked(drift: "Drift") -> tuple[str, ...]:
    """What the comparison with a release leaves open."""
    if drift.release is None or drift.difference is None or not drift.difference.unseen:
        return ()
    return (f"whether objects of further kinds were added since release {drift.release.number}",)


def _went_back(listed: "Sequence[Release]", drift: "Drift", *, by_itself: bool) -> str | None:
    """That the newest release failed and an earlier one runs again; each other way back is a release itself."""
    from klepaas_plugins.deployments.releases import ReleaseState

    newest, runs = listed[0] if listed else None, drift.release if drift.is_current else None
    if newest is None or runs is None or newest.state is not ReleaseState.FAILED or runs.number >= newest.number:
        return None
    why = one_line(newest.reason or "", _REASON_CHARS)
    back = f"rolled back {'automatically ' if by_itself else ''}to release {runs.number}, because"
    if why == CANCELLED:
        return f"{back} release {newest.number} was cancelled"
    return f"{back} release {newest.number} failed{f': {why}' if why else ''}"


async def _change(host: Host, place: Place) -> Standing:
    from klepaas_plugins.deployments.kinds import target_text
    from klepaas_plugins.kubernetes.client import Clusters

    target = await target_text(Clusters.of(host), place)
    operation = await Operations.of(host).running_on(target)
    if operation is None:
        return Standing()
    facts = {"operation": operation.id, "operation_state": str(operation.state)}
    if operation.unattended_since is not None:
        facts["unattended_since"] = clock(operation.unattended_since)
    if operation.hindrance is not None:
        facts["not_resumed_because"] = operation.hindrance
    if operation.waiting is not None:
        facts["waiting_for"] = operation.waiting.reason
        facts["waiting_since"] = clock(operation.waiting.since)
    return Standing(facts=facts, operation=operation)


def _in_words(operation: Operation, *, first: bool) -> str:
    now, head = time.time(), describe_operation(operation, first=first, progress=operation.line)
    if operation.unattended_since is None:
        return f"{head}. {describe_wait(operation)}" if operation.waiting is not None else head
    since = f"{clock(operation.unattended_since)} ({now - operation.unattended_since:.0f} s ago)"
    resumes = "no klepaas server carries it out; the next one that may change things resumes it"
    if operation.hindrance is not None:
        resumes = f"not carried on here: {operation.hindrance}"
    return f"{head}. Unattended since {since}: {resumes}."
