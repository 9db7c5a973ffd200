"""What besides the cluster's own objects an overview tells: alerts that fire, operations, and the newest releases.

Each is read within a short limit and left out, or said to be unknown, where it cannot be had: an overview must come
also where the store is broken and nobody monitors. Where nothing was ever stored no database library is imported.
"""

import time
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import anyio

from klepaas.errors import KlepaasError
from klepaas.firing import FiringAlert, FiringAlerts
from klepaas.host import Host
from klepaas.operations import Operations, State
from klepaas.principals import current_principal
from klepaas_plugins.deployments.applications import Workload
from klepaas_plugins.deployments.last_change import last_change, last_moment
from klepaas_plugins.deployments.objects import age, one_line
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.sections import Section
from klepaas_plugins.deployments.together import together
from klepaas_plugins.deployments.under_way import progress_of
from klepaas_plugins.kubernetes.client import Cluster, Clusters

if TYPE_CHECKING:
    from klepaas.operations import Operation
    from klepaas_plugins.deployments.releases import Release

__all__ = ["alerts", "changes", "operations", "own_trouble"]

_LIMIT_S = 4.0
_MOST = 6
_READ = 50
_LATELY_S = 86_400.0
_OWN_MAX_AGE_S = 60.0
_ENDED_BADLY = (State.FAILED, State.ROLLED_BACK, State.UNKNOWN)


async def alerts(host: Host, namespace: str | None) -> list[Section]:
    """The alerts that fire, as far as anybody who monitors knows.

    Args:
        host: The server's settings and shared services.
        namespace: Only of this namespace, and those that name none. None: all.
    """
    knows = FiringAlerts.of(host)
    if not knows.known:
        return []
    found = await knows.now()
    fire = [one for one in found.alerts if not one.silenced and namespace in (None, one.namespace or namespace)]
    lines = [_alert(one) for one in fire[:_MOST]] + [f"{name}: {why}" for name, why in found.silent.items()]
    silenced = sum(one.silenced for one in found.alerts)
    title = f"Firing alerts ({silenced} more silenced)" if silenced else "Firing alerts"
    return [Section(title, lines or ["none"], total=len(fire) + len(found.silent) or 1)]


def _alert(alert: FiringAlert) -> str:
    about = [
        alert.labels[name] for name in ("namespace", "pod", "deployment", "job", "instance") if name in alert.labels
    ]
    where = f" ({'/'.join(about[:2])})" if about else ""
    since = f", for {_ago(alert.since)}" if alert.since is not None else ""
    summary = f": {alert.summary}" if alert.summary else ""
    return f"{alert.severity or 'unknown'} {alert.name}{where}{since}{summary}"


async def own_trouble(host: Host) -> list[str]:
    """One line of what is wrong with klepaas itself: its store, its disk, its plugins, the servers that it uses.

    Clusters are left out, since the overview itself shows whether they answer.

    Args:
        host: The server's settings and shared services.
    """
    from klepaas.health import Health
    from klepaas.hookspecs import HealthStatus

    health = Health.of(host)
    with anyio.move_on_after(_LIMIT_S):
        await health.look_at([name for name in health.names() if "/" not in name], max_age_s=_OWN_MAX_AGE_S)
    trouble = [
        f"{one.component} {one.status.value}: {one_line(one.reason, 120)}"
        for one in health.seen()
        if one.status is not HealthStatus.OK and not one.component.startswith("kubernetes/")
    ]
    found = [*health.missing_plugins(), *trouble]
    return [f"klepaas itself: {'; '.join(found[:_MOST])} (check_system_health tells more)"] if found else []


async def operations(
    host: Host,
    context: str | None,
    namespace: str | None,
    since_s: int | None = None,
    *,
    present: Collection[tuple[str, str]] = (),
) -> tuple[list[Section], dict[str, int]]:
    """The caller's operations in a cluster that are under way, and those that ended badly of late.

    Args:
        host: The server's settings and shared services.
        context: The cluster's context.
        namespace: Only in this namespace. None: all.
        since_s: Only what ended badly in the last seconds. None: in the last day.
        present: Namespace and application of what the cluster knows; what else is deployed is deployed first.

    Returns:
        The lists, and their lengths for a program.
    """
    try:
        with anyio.fail_after(_LIMIT_S):
            found = await Operations.of(host).find(current_principal(), limit=_READ)
            here = await Clusters.of(host).identities(context) if found else ()
    except (KlepaasError, TimeoutError):
        return [Section("Operations", ["their store cannot be read: klepaas doctor"])], {}
    places = tuple(f"{name}/{namespace}/" if namespace else f"{name}/" for name in here)
    found = [one for one in found if one.target.startswith(places)]
    now = time.time()
    running = [one for one in found if not one.ended]
    bad = [one for one in found if one.state in _ENDED_BADLY and now - (one.ended_at or 0.0) < (since_s or _LATELY_S)]
    bad_title = f"Ended badly in the last {f'{since_s} s' if since_s else 'day'}"
    sections = [
        Section("Under way", [_running(one, present) for one in running[:_MOST]], "get_operation", len(running)),
        Section(bad_title, [_ended(one) for one in bad[:_MOST]], "get_operation", len(bad)),
    ]
    counts = {"operations_running": len(running), "operations_failed": len(bad)}
    return sections, counts


def _running(one: "Operation", present: Collection[tuple[str, str]]) -> str:
    state, place = progress_of(one), tuple(one.target.rsplit("/", 2)[1:])
    first = "first deployment, " if one.kind == "deploy" and len(place) == 2 and place not in present else ""
    return f"{_where(one)}{first}{one.title} ({one.id}), for {_ago(one.created_at)}{f': {state}' if state else ''}"


def _ended(one: "Operation") -> str:
    why = one.outcome.text.split("\n", 1)[0] if one.outcome else ""
    return f"{_where(one)}{one.title} ({one.id}): {one.state.value} {_ago(one.ended_at or 0.0)} ago; {why}"


def _where(one: "Operation") -> str:
    namespace = one.target.split("/")[-2] if one.target.count("/") >= 2 else ""
    return f"{namespace}: " if namespace else ""


async def changes(
    host: Host,
    cluster: Cluster,
    workloads: Sequence[Workload],
    namespace: str | None,
    most: int,
    *,
    earliest: datetime | None = None,
) -> list[Section]:
    """The newest changes of applications: the release where one was recorded, else its field manager.

    Args:
        host: The server's settings and shared services.
        cluster: The cluster.
        workloads: The workloads that count.
        namespace: Whose overview it is. None: all namespaces'.
        most: How many are told.
        earliest: Only what changed since. None: the newest.
    """
    dated = [(moment, item) for item in workloads if (moment := last_moment(item.item)) is not None]
    dated = [(moment, item) for moment, item in dated if earliest is None or moment >= earliest]
    dated.sort(key=lambda pair: pair[0], reverse=True)
    newest = [item for _, item in dated[:most]]
    releases = await together(*(partial(_release, host, cluster, item) for item in newest))
    now = datetime.now(UTC)
    lines = []
    for item, release in zip(newest, releases, strict=True):
        place = "" if namespace else f"{item.namespace}/"
        lines.append(f"{place}{item.name}: {last_change(item.item, release).line(now)}")
    return [Section("Recent changes", lines)]


async def _release(host: Host, cluster: Cluster, item: Workload) -> "Release | None":
    """The newest release of a workload's application. None: there is none, or it may not be read."""
    from klepaas_plugins.deployments.releases import Releases, ReleaseSettings

    try:
        with anyio.fail_after(_LIMIT_S):
            place = Place(cluster, item.namespace, item.application, None)
            found = await Releases(place, ReleaseSettings.of(host)).list()
    except (KlepaasError, TimeoutError):
        return None
    return found[0] if found else None


def _ago(moment: float) -> str:
    return age(datetime.fromtimestamp(moment, UTC), datetime.now(UTC))
