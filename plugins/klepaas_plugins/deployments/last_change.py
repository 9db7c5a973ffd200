"""What last changed a workload, and who did: the release record, or the field manager of a change made outside klepaas.

The change-cause annotation is no source: whoever changes something without it leaves that of the change before.

Source: Kubernetes, "Server-Side Apply", section "Field management".
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from klepaas_plugins.deployments.objects import Object, age, at, condition, images, one_line, when
from klepaas_plugins.kubernetes.client import FIELD_MANAGER

if TYPE_CHECKING:
    from klepaas_plugins.deployments.releases import Release

__all__ = ["LastChange", "author_of", "last_change", "last_moment"]

_TITLE_CHARS = 120
# What Kubernetes itself writes is the consequence of somebody's change.
_CONTROLLERS = ("kube-controller-manager",)


@dataclass(frozen=True)
class LastChange:
    """The newest change of a workload.

    Attributes:
        moment: When. None: not known.
        words: What it was and who made it.
        is_recorded: Whether it is a release on record.
    """

    moment: datetime | None
    words: str
    is_recorded: bool = False

    def line(self, now: datetime, better_words: str | None = None) -> str:
        """It in an answer.

        Args:
            now: The present.
            better_words: What is known of it besides the record. None: nothing.
        """
        return f"{age(self.moment, now)} ago, {better_words or self.words}"


def last_change(workload: Object, release: "Release | None") -> LastChange:
    """What last changed a workload.

    Args:
        workload: The object, with its managed fields.
        release: The newest release of its application. None: none is recorded, or it may not be read.
    """
    foreign = _newest(_entries(workload, klepaas=False))
    recorded = release.moment if release is not None else None
    if foreign is not None and (recorded is None or foreign[0] > recorded):
        return LastChange(foreign[0], f"by {_author(foreign[1])}, not through klepaas")
    if release is None:
        return LastChange(last_moment(workload), f"image {', '.join(images(workload))}; no release is on record")
    return LastChange(recorded, _words(release), is_recorded=True)


def last_moment(workload: Object) -> datetime | None:
    """When a workload was last changed, by anybody. None: not known."""
    entries = _newest([*_entries(workload, klepaas=False), *_entries(workload, klepaas=True)])
    moment = when(condition(workload, "Progressing").get("lastUpdateTime"))
    moments = [one for one in (moment, entries[0] if entries else None) if one is not None]
    return max(moments, default=when(at(workload, "metadata", "creationTimestamp")))


def author_of(workloads: Iterable[Object]) -> str:
    """Who last changed workloads, as their managed fields say, for a record of what was found."""
    newest = _newest(
        entry for item in workloads for klepaas in (True, False) for entry in _entries(item, klepaas=klepaas)
    )
    return _author(newest[1]) if newest is not None else "unknown"


def _words(release: "Release") -> str:
    by = f" by {release.principal}" if release.principal else ""
    what = one_line(release.title, _TITLE_CHARS) or release.image
    if release.cause == "rollback" and release.restored_from:
        # Its title is that of the release which runs again.
        what = f"rollback to release {release.restored_from}"
    number = f"release {release.number} {release.state_text}" if release.number else "not recorded as a release"
    return f"{what}; {number}{by}"


def _author(manager: str) -> str:
    return f"{one_line(manager, 64)} (field manager)"


def _entries(item: Object, *, klepaas: bool) -> list[tuple[datetime, str]]:
    """When which manager changed something besides the status."""
    found: list[tuple[datetime, str]] = []
    for entry in at(item, "metadata", "managedFields") or ():
        manager, moment = str(entry.get("manager") or ""), when(entry.get("time"))
        if moment is None or entry.get("subresource") == "status" or manager in _CONTROLLERS:
            continue
        if manager.startswith(FIELD_MANAGER) is klepaas:
            found.append((moment.astimezone(UTC), manager))
    return found


def _newest(entries: Iterable[tuple[datetime, Any]]) -> tuple[datetime, Any] | None:
    return max(entries, default=None)
