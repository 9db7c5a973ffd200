"""The hooks of the deployments plugin: the verbs that a person uses on applications.

Health and doctor checks of the cluster are the kubernetes plugin's affair.
"""

from collections.abc import Iterable

from klepaas.hookspecs import hookimpl
from klepaas.host import Host
from klepaas.settings import SettingsBase
from klepaas.tools import Tool

__all__ = ["klepaas_settings", "klepaas_tools"]


@hookimpl
def klepaas_tools(host: Host) -> Iterable[Tool]:
    """Offer the applications toolset."""
    from klepaas_plugins.deployments.tools import application_tools

    return application_tools(host)


@hookimpl
def klepaas_settings() -> Iterable[type[SettingsBase]]:
    """How a rollout is judged."""
    from klepaas_plugins.deployments.settings import RolloutSettings

    yield RolloutSettings
