"""The Kubernetes plugin's hooks; the work is elsewhere."""

import argparse
from collections.abc import Iterable

from klepaas.context_aliases import ContextAliases
from klepaas.evidence import AlertSubject, EvidenceSource
from klepaas.hookspecs import Command, DoctorCheck, HealthCheck, Resource, hookimpl
from klepaas.host import Host
from klepaas.preloading import EVERY_CALL, Preloading
from klepaas.settings import SettingsBase
from klepaas.tools import Tool
from klepaas_plugins.kubernetes.client import LATE_MODULES, Clusters, explain_missing_namespaces

__all__: list[str] = []


@hookimpl
def klepaas_tools(host: Host) -> Iterable[Tool]:
    """The tools that look into a cluster."""
    from klepaas_plugins.kubernetes.tools import KubernetesTools

    preloading = Preloading.of(host)
    preloading.add(EVERY_CALL, ["klepaas_plugins.kubernetes.checks"])
    own = [f"klepaas_plugins.kubernetes.{name}" for name in ("contexts_shown", "write.apply", "write.delete")]
    preloading.add("kubernetes", [*LATE_MODULES, *own, "klepaas_plugins.kubernetes.write.generated_names"])
    clusters = Clusters.of(host)
    ContextAliases.of(host).answer_by(clusters.guarded_aliases)
    return explain_missing_namespaces(clusters, KubernetesTools(clusters).tools())


@hookimpl
def klepaas_resources(host: Host) -> Iterable[Resource]:
    """What can be read of a cluster."""
    from klepaas_plugins.kubernetes.resources import kubernetes_resources

    clusters = Clusters.of(host)
    return explain_missing_namespaces(clusters, kubernetes_resources(clusters))


@hookimpl
def klepaas_health_checks(host: Host) -> Iterable[HealthCheck]:
    """Whether each context's API server is ready."""
    from klepaas_plugins.kubernetes.checks import health_checks

    return health_checks(Clusters.of(host))


@hookimpl
def klepaas_doctor_checks(host: Host) -> Iterable[DoctorCheck]:
    """Whether access to the clusters is set up well."""
    from klepaas_plugins.kubernetes.checks import doctor_checks

    return doctor_checks(Clusters.of(host))


@hookimpl
def klepaas_alert_evidence(host: Host) -> Iterable[EvidenceSource]:
    """The pods that an alert names, with their logs and events."""

    async def collect(alert: AlertSubject) -> str | None:
        from klepaas_plugins.kubernetes.alert_evidence import pods_of

        return await pods_of(Clusters.of(host), alert)

    return [EvidenceSource("pods", collect)]


@hookimpl
def klepaas_settings() -> Iterable[type[SettingsBase]]:
    """Where the clusters are, and the limits of asking them."""
    from klepaas_plugins.kubernetes.settings import KubernetesSettings

    yield KubernetesSettings


@hookimpl
def klepaas_commands() -> Iterable[Command]:
    """The demo, which brings its own cluster; and manifests from files."""
    yield Command(
        "apply",
        "apply manifests from files, of any size: the way of the tool k8s_apply, for a person at a terminal",
        _apply,
        _apply_options,
        examples=(
            "klepaas apply deploy.yaml --dry-run",
            "klepaas apply crds/ operator.yaml --namespace operators --writes",
            "klepaas apply - --writes",
        ),
    )
    yield Command(
        "demo",
        "see it deploy, break, explain, roll back and scale, without a cluster",
        _demo,
        _demo_options,
        examples=("klepaas demo", "klepaas demo --serve"),
    )


def _apply(arguments: argparse.Namespace) -> int:
    from klepaas_plugins.kubernetes.apply_command import run

    return run(arguments)


def _apply_options(parser: argparse.ArgumentParser) -> None:
    from klepaas_plugins.kubernetes.apply_command import add_options

    add_options(parser)


def _demo(arguments: argparse.Namespace) -> int:
    from klepaas_plugins.kubernetes.demo import run

    return run(arguments)


def _demo_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for a program")
    parser.add_argument("--serve", action="store_true", help="keep the sandbox up, and print how to connect a client")
