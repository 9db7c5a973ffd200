"""How the clusters are (health) and how access to them is set up here (doctor). Doctor checks touch no network."""

import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import anyio.to_thread

from klepaas.errors import KlepaasError
from klepaas.hookspecs import DoctorCheck, Finding, HealthCheck, HealthReport, HealthStatus, Level
from klepaas.portability import files
from klepaas_plugins.kubernetes.client import Clusters, credentials, exec_plugins
from klepaas_plugins.kubernetes.client.kubeconfig import Entry

__all__ = ["doctor_checks", "health_checks"]

SLOW_S = 1.0
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def health_checks(clusters: Clusters) -> list[HealthCheck]:
    """One check a context; none where there is no kubeconfig, which doctor reports."""
    try:
        contexts = clusters.contexts()
    except KlepaasError:
        return []
    return [HealthCheck(f"kubernetes/{item.name}", partial(_health, clusters, item.name)) for item in contexts]


async def _health(clusters: Clusters, context: str) -> HealthReport:
    known = _without_asking(clusters, context)
    if known is not None:
        return known
    started_at = time.monotonic()
    try:
        version = await (await clusters.cluster(context)).ready()
    except KlepaasError as exc:
        return HealthReport(HealthStatus.UNHEALTHY, exc.line)
    took_s = time.monotonic() - started_at
    status = HealthStatus.OK if took_s < SLOW_S else HealthStatus.DEGRADED
    return HealthReport(status, f"API server {version} is ready, answered in {took_s * 1000:.0f} ms")


def _without_asking(clusters: Clusters, context: str) -> HealthReport | None:
    """What is known already, where asking would only be refused or wait."""
    state = clusters.state(context)
    if state is None:
        return None
    if state.retry_in_s is not None:
        reason = f"it failed {state.failures} times in a row and is left alone for {state.retry_in_s:.0f} s"
        return HealthReport(HealthStatus.UNHEALTHY, f"{state.last_error}; {reason}" if state.last_error else reason)
    if state.rate_limited_for_s is not None:
        wait_s = state.rate_limited_for_s
        return HealthReport(HealthStatus.DEGRADED, f"the API server asked to be left alone for {wait_s:.0f} s more")
    return None


def doctor_checks(clusters: Clusters) -> list[DoctorCheck]:
    """Checks of the kubeconfig and of what its contexts need."""
    return [
        DoctorCheck("kubeconfig", partial(_in_thread, _kubeconfig, clusters)),
        DoctorCheck("contexts", partial(_in_thread, _contexts, clusters)),
    ]


async def _in_thread(look: Callable[[Clusters], list[Finding]], clusters: Clusters) -> Iterable[Finding]:
    return await anyio.to_thread.run_sync(look, clusters, abandon_on_cancel=True)


def _kubeconfig(clusters: Clusters) -> list[Finding]:
    try:
        merged = clusters.kubeconfig.merged()
    except KlepaasError as exc:
        looked = ", ".join(str(path) for path in clusters.kubeconfig.paths())
        return [Finding(Level.ERROR, f"{exc.what} (looked at {looked})", exc.next_step or "Set KUBECONFIG")]
    if not merged.files:
        return [Finding(Level.OK, "This is a pod: its own service account is used")]
    missing = [path for path in clusters.kubeconfig.paths() if path not in merged.files]
    findings = [_file(path) for path in merged.files]
    findings += [
        Finding(Level.WARNING, f"{path} is named by KUBECONFIG and does not exist", "Correct KUBECONFIG")
        for path in missing
    ]
    return findings


def _file(path: Path) -> Finding:
    mode = files.permissions(path.stat())
    if mode & 0o077:
        return Finding(Level.WARNING, f"{path} can be read by others (mode {mode:04o})", f"chmod 600 {path}")
    return Finding(Level.OK, f"{path} is readable, and by its owner only")


def _contexts(clusters: Clusters) -> list[Finding]:
    try:
        merged = clusters.kubeconfig.merged()
    except KlepaasError as exc:
        return [Finding(Level.WARNING, "There are no contexts to look at", exc.next_step or "Set KUBECONFIG")]
    findings = [_context(entry, clusters) for entry in merged.entries.values()]
    if merged.default is None:
        findings.append(Finding(Level.WARNING, "No context is the default one", "Set KLEPAAS_K8S_CONTEXT"))
    elif merged.default not in merged.entries:
        repair = "Correct current-context or KLEPAAS_K8S_CONTEXT"
        findings.append(Finding(Level.ERROR, f"The default context {merged.default} does not exist", repair))
    return findings or [Finding(Level.ERROR, "The kubeconfig has no contexts", "Add a cluster, a user and a context")]


def _context(entry: Entry, clusters: Clusters) -> Finding:
    name = f"Context {entry.context}"
    if entry.problem:
        return Finding(Level.ERROR, f"{name}: {entry.problem}", "Correct the kubeconfig")
    try:
        credentials.check_before_loading(entry, clusters.settings.exec_plugins)
        if entry.user.get("exec"):
            exec_plugins.locate(
                entry.user["exec"], entry.context, entry.user_dir, entry.user_file, clusters.settings.exec_plugins
            )
    except KlepaasError as exc:
        return Finding(Level.ERROR, exc.what, exc.next_step)
    if _is_open(entry):
        return Finding(Level.WARNING, f"{name} is not protected by TLS", "Use an https server with its authority")
    if _is_unverified(entry):
        repair = "Replace insecure-skip-tls-verify by certificate-authority-data"
        return Finding(Level.WARNING, f"{name} trusts any server's certificate", repair)
    return Finding(Level.OK, f"{name} resolves")


def _is_open(entry: Entry) -> bool:
    return urlsplit(str(entry.cluster.get("server"))).scheme == "http" and not _is_here(entry)


def _is_unverified(entry: Entry) -> bool:
    return entry.cluster.get("insecure-skip-tls-verify") is True and not _is_here(entry)


def _is_here(entry: Entry) -> bool:
    return urlsplit(str(entry.cluster.get("server"))).hostname in _LOOPBACK
