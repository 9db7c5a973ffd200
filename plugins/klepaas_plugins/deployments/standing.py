"""Where an application stands with klepaas: its release, what differs from it, and the change that is under way.

For the answer about its state. It only reads, and what may not be read is left out.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from klepaas.errors import KlepaasError
from klepaas.host import Host
from klepaas.operations import Operation, Operations
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.together import together

__all__ = ["Standing", "standing"]


@dataclass(frozen=True)
class Standing:
    """What the answer says besides the cluster's own state.

    Attributes:
        lines: One fact a line.
        facts: The same for a program.
    """

    lines: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


async def standing(host: Host, place: Place) -> Standing:
    """Where an application stands.

    Args:
        host: The server's settings and shared services.
        place: The application.
    """
    found = await together(partial(_known, _release, host, place), partial(_known, _change, host, place))
    lines = tuple(line for one in found for line in one.lines)
    return Standing(lines, {key: value for one in found for key, value in one.facts.items()})


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

    drift = await Releases(place, ReleaseSettings.of(host)).drift()
    line = drift_line(drift)
    return Standing((f"Release: {line}",) if line else (), drift_facts(drift))


async def _change(host: Host, place: Place) -> Standing:
    from klepaas_plugins.deployments.kinds import target_text
    from klepaas_plugins.kubernetes.client import Clusters

    target = await target_text(Clusters.of(host), place)
    operation = await Operations.of(host).running_on(target)
    if operation is None:
        return Standing()
    facts = {"operation": operation.id, "operation_state": str(operation.state)}
    if operation.unattended_since is not None:
        facts["unattended_since"] = _clock(operation.unattended_since)
    return Standing((_in_words(operation),), facts)


def _in_words(operation: Operation) -> str:
    now = time.time()
    line = f": {operation.line}" if operation.line else ""
    head = f"Under way: {operation.title} ({operation.id}), for {now - operation.created_at:.0f} s{line}"
    if operation.unattended_since is None:
        return head
    since = f"{_clock(operation.unattended_since)} ({now - operation.unattended_since:.0f} s ago)"
    resumes = "no klepaas server carries it out; the next one that may change things resumes it"
    return f"{head}. Unattended since {since}: {resumes}."


def _clock(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
