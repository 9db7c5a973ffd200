"""The hooks of the deployments plugin: the verbs that a person uses on applications.

Health and doctor checks of the cluster are the kubernetes plugin's affair.
"""

from collections.abc import Iterable

from klepaas.evidence import AlertSubject, EvidenceSource
from klepaas.hookspecs import Prompt, Resource, hookimpl
from klepaas.host import Host
from klepaas.operations import Kind
from klepaas.preloading import Preloading
from klepaas.settings import SettingsBase
from klepaas.tools import Tool
from klepaas_plugins.kubernetes.client import LATE_MODULES, Clusters, explain_missing_namespaces

__all__ = [
    "klepaas_alert_evidence",
    "klepaas_operation_kinds",
    "klepaas_prompts",
    "klepaas_resources",
    "klepaas_settings",
    "klepaas_tools",
]

# What calls import, beside what those import themselves.
_LATE_MODULES = (
    *LATE_MODULES,
    "statistics",
    "klepaas.health",
    *(
        f"klepaas_plugins.deployments.{name}"
        for name in ("overview", "status", "releases.book", "releases.listing", "past", "carrying")
    ),
    *(
        f"klepaas_plugins.deployments.{name}"
        for name in (
            "asking",
            "keeping",
            "planning.deploy",
            "planning.documents",
            "planning.restart",
            "planning.rollback",
        )
    ),
    *(f"klepaas_plugins.deployments.{name}" for name in ("planning.revision", "planning.scale", "tutorial_steps")),
)


@hookimpl
def klepaas_tools(host: Host) -> Iterable[Tool]:
    """Offer the applications toolset."""
    from klepaas_plugins.deployments.release_tools import ReleaseTools
    from klepaas_plugins.deployments.releases.settings import ReleaseSettings
    from klepaas_plugins.deployments.tools import application_tools

    # What is wrong with a setting is said at the start.
    ReleaseSettings.of(host)
    Preloading.of(host).add("deployments", _LATE_MODULES)
    clusters = Clusters.of(host)
    yield from explain_missing_namespaces(clusters, application_tools(host))
    yield from explain_missing_namespaces(clusters, ReleaseTools(host).tools())


@hookimpl
def klepaas_operation_kinds(host: Host) -> Iterable[Kind]:
    """Offer deploy, rollback, scale and restart as operations."""
    from klepaas_plugins.deployments.kinds import kinds

    return kinds(host)


@hookimpl
def klepaas_resources(host: Host) -> Iterable[Resource]:
    """Offer the applications to read."""
    from klepaas_plugins.deployments.resources import application_resources

    return explain_missing_namespaces(Clusters.of(host), application_resources(host))


@hookimpl
def klepaas_prompts(host: Host) -> Iterable[Prompt]:
    """Offer the prompts about applications, and the tutorial."""
    from klepaas_plugins.deployments.prompts import application_prompts

    return application_prompts(host)


@hookimpl
def klepaas_alert_evidence(host: Host) -> Iterable[EvidenceSource]:
    """The rollout of the application that an alert names."""

    async def collect(alert: AlertSubject) -> str | None:
        from klepaas_plugins.deployments.alert_evidence import rollout_of

        return await rollout_of(host, alert)

    return [EvidenceSource("rollout", collect)]


@hookimpl
def klepaas_settings() -> Iterable[type[SettingsBase]]:
    """How a rollout is judged, and how releases are kept."""
    from klepaas_plugins.deployments.releases.settings import ReleaseSettings
    from klepaas_plugins.deployments.settings import RolloutSettings

    yield RolloutSettings
    yield ReleaseSettings
