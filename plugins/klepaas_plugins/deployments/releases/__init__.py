"""Releases: what an application was, kept in its cluster, so that a change can be undone whole.

    capture -> record (pending) -> the gate watches -> mark verified | failed -> restore the last verified one

A release is an immutable snapshot of everything the application owns, one ConfigMap (docs/releases.md). Values of
Secrets are never in it, and of other secret values only keyed digests. Whoever deploys decides when; nothing here
watches a rollout. Each name is loaded with its first use, so that the settings can be read without the rest.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from klepaas_plugins.deployments.releases.book import Drift, Releases
    from klepaas_plugins.deployments.releases.model import Cause, Release, ReleaseState, Snapshot
    from klepaas_plugins.deployments.releases.restoring import Restored, Step
    from klepaas_plugins.deployments.releases.settings import ReleaseSettings

__all__ = [
    "Cause",
    "Drift",
    "Release",
    "ReleaseSettings",
    "ReleaseState",
    "Releases",
    "Restored",
    "Snapshot",
    "Step",
]

_HOMES = {
    "book": ("Drift", "Releases"),
    "model": ("Cause", "Release", "ReleaseState", "Snapshot"),
    "restoring": ("Restored", "Step"),
    "settings": ("ReleaseSettings",),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
