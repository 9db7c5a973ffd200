"""The hooks: everything that a plugin can add to klepaas.

A plugin is a module named by an entry point in the group `klepaas`. It implements any of these functions, each marked
with `@klepaas.hookspecs.hookimpl`. Each hook that adds something returns an iterable of one dataclass; built-in plugins
use the same hooks as everybody else. Loading and every call is guarded (`klepaas.plugins`): a plugin that fails is left
out and reported, and harms only itself. Each hook has a page with an example in docs/plugins.
"""

import argparse
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import pluggy

from klepaas.agents import DeploymentAgent
from klepaas.audit import AuditSink
from klepaas.evidence import EvidenceSource
from klepaas.external import ExternalProvider
from klepaas.host import Host
from klepaas.http.routes import HttpRoute
from klepaas.notifications import NotificationSink
from klepaas.operations.kinds import Kind
from klepaas.prompts import Prompt
from klepaas.resources import Resource
from klepaas.settings import SettingsBase
from klepaas.tools import Tool

__all__ = [
    "PROJECT",
    "Command",
    "DoctorCheck",
    "Finding",
    "HealthCheck",
    "HealthReport",
    "HealthStatus",
    "Level",
    "Prompt",
    "Resource",
    "hookimpl",
    "hookspec",
]

PROJECT = "klepaas"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class HealthStatus(StrEnum):
    """How a component is."""

    OK = "ok"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True)
class HealthReport:
    """What a health check found.

    Attributes:
        status: How the component is.
        reason: One sentence, without secrets.
    """

    status: HealthStatus
    reason: str


@dataclass(frozen=True)
class HealthCheck:
    """A component that klepaas depends on at run time, and how to ask after it.

    Attributes:
        component: The component's name, for example "kubernetes/prod".
        check: Asks the component. It is called with a time limit and need not set its own.
        timeout_s: That limit, in seconds.
        required: Whether klepaas cannot serve at all while it is unhealthy: then `/readyz` says no.
        probed: Whether `/readyz` asks it too, and says so where it is not ok: for what bears being asked every few
            seconds, and costs nobody else anything. What is required is always asked.
    """

    component: str
    check: Callable[[], Awaitable[HealthReport]]
    timeout_s: float = 5.0
    required: bool = False
    probed: bool = False


class Level(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """What a doctor check found.

    Attributes:
        level: How much it matters.
        summary: One sentence, without secrets.
        repair: What to do about it. None: nothing to do.
    """

    level: Level
    summary: str
    repair: str | None = None


@dataclass(frozen=True)
class DoctorCheck:
    """A look at how klepaas is set up here: files, settings, permissions.

    Attributes:
        name: The check's name.
        check: Looks. It is called with a time limit.
        timeout_s: That limit, in seconds.
    """

    name: str
    check: Callable[[], Awaitable[Iterable[Finding]]]
    timeout_s: float = 10.0


@dataclass(frozen=True)
class Command:
    """A sub-command of `klepaas`.

    Attributes:
        name: The word a person types, or two: the first is a group, a new one or one that is there.
        help: One line for `klepaas --help`.
        run: Does the work; returns the exit code.
        configure: Adds arguments to the command's parser. None: it has none.
        examples: Whole command lines, for its help and the documentation.
        group_help: One line about the group, where the name begins a new one.
    """

    name: str
    help: str
    run: Callable[[argparse.Namespace], int]
    configure: Callable[[argparse.ArgumentParser], None] | None = None
    examples: Sequence[str] = ()
    group_help: str = ""


class Hooks:
    """The specification; see the module's text for how a plugin implements it."""

    @hookspec
    def klepaas_tools(self, host: Host) -> Iterable[Tool]:
        """Offer tools. Called once while the server is put together; must not touch a network.

        Args:
            host: The server's settings and shared services.

        Returns:
            The tools; a name that is already taken is refused together with the plugin that claims it second.
        """
        yield from ()

    @hookspec
    def klepaas_resources(self, host: Host) -> Iterable[Resource]:
        """Offer what clients can read. Called once while the server is put together; must not touch a network.

        Args:
            host: The server's settings and shared services.

        Returns:
            The resources; a URI or name that is already taken is refused together with the plugin that claims it
            second.
        """
        yield from ()

    @hookspec
    def klepaas_prompts(self, host: Host) -> Iterable[Prompt]:
        """Offer prompts. Called once while the server is put together; must not touch a network.

        Args:
            host: The server's settings and shared services.

        Returns:
            The prompts; a name that is already taken is refused together with the plugin that claims it second.
        """
        yield from ()

    @hookspec
    def klepaas_health_checks(self, host: Host) -> Iterable[HealthCheck]:
        """Name components whose health decides whether klepaas can do its work.

        Args:
            host: The server's settings and shared services.
        """
        yield from ()

    @hookspec
    def klepaas_doctor_checks(self, host: Host) -> Iterable[DoctorCheck]:
        """Offer checks for `klepaas doctor`.

        Args:
            host: The settings and shared services.
        """
        yield from ()

    @hookspec
    def klepaas_commands(self) -> Iterable[Command]:
        """Offer sub-commands of `klepaas`. Called at every command, so import heavy things inside `run`."""
        yield from ()

    @hookspec
    def klepaas_settings(self) -> Iterable[type[SettingsBase]]:
        """Name the plugin's classes of settings, for the settings file, `klepaas config check` and the documentation.

        Called when one of these needs them; must not make a class's settings, only name it.

        Returns:
            The classes; a variable or key that is already taken is refused together with the plugin that claims it
            second.
        """
        yield from ()

    @hookspec
    def klepaas_audit_sinks(self, host: Host) -> Iterable[AuditSink]:
        """Offer further places for the audit's records; a change that one of them does not take is not made.

        Args:
            host: The server's settings and shared services.
        """
        yield from ()

    @hookspec
    def klepaas_notification_sinks(self, host: Host) -> Iterable[NotificationSink]:
        """Offer places where notifications go.

        Args:
            host: The server's settings and shared services.
        """
        yield from ()

    @hookspec
    def klepaas_deployment_agents(self, host: Host) -> Iterable[DeploymentAgent]:
        """Offer what carries deployments out; built-in agents are asked first. Must not touch a network.

        Args:
            host: The server's settings and shared services.

        Returns:
            The agents; a name that is already taken is refused together with the plugin that claims it second.
        """
        yield from ()

    @hookspec
    def klepaas_operation_kinds(self, host: Host) -> Iterable[Kind]:
        """Offer kinds of operations: changes that outlive a crash and end in a known state. Must not touch a network.

        Args:
            host: The server's settings and shared services.

        Returns:
            The kinds; a name that is already taken is refused together with the plugin that claims it second.
        """
        yield from ()

    @hookspec
    def klepaas_http_routes(self, host: Host) -> Iterable[HttpRoute]:
        """Offer paths to which other programs post. Called once where the server serves HTTP, never on stdio.

        Args:
            host: The server's settings and shared services.

        Returns:
            The routes; a path that is already taken is refused together with the plugin that claims it second.
        """
        yield from ()

    @hookspec
    def klepaas_alert_evidence(self, host: Host) -> Iterable[EvidenceSource]:
        """Offer what can tell, when an alert fires, how that looks on the platform. Must not touch a network.

        Args:
            host: The server's settings and shared services.
        """
        yield from ()

    @hookspec
    def klepaas_external_providers(self, host: Host) -> Iterable[ExternalProvider]:
        """Name other MCP servers whose tools klepaas offers behind the same gate. Must not touch a network.

        Args:
            host: The server's settings and shared services.

        Returns:
            The providers; a prefix that is already taken is refused together with the plugin that claims it second.
        """
        yield from ()

    @hookspec
    def klepaas_start(self, host: Host) -> Awaitable[None] | None:
        """Take up work when the server starts; must return within seconds and never wait for a network.

        Args:
            host: The server's settings and shared services.

        Returns:
            An awaitable, which the server awaits with a time limit, or None.
        """

    @hookspec
    def klepaas_stop(self, host: Host) -> Awaitable[None] | None:
        """Let go when the server stops, in the reverse order of the starts.

        Args:
            host: The server's settings and shared services.

        Returns:
            An awaitable, which the server awaits with a time limit, or None.
        """
