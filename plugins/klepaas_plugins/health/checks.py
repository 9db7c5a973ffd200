"""How the machine is that klepaas runs on: room for the state, a place for the audit, the clock. It asks no network."""

import shutil
from collections.abc import Iterable
from pathlib import Path

import anyio.to_thread

from klepaas.audit_file import AuditFile
from klepaas.clocks import Clocks
from klepaas.hookspecs import HealthCheck, HealthReport, HealthStatus
from klepaas.host import Host
from klepaas.portability import files
from klepaas.settings import Mode
from klepaas_plugins.health.settings import HealthSettings

__all__ = ["health_checks"]

_MB = 1024 * 1024
_UNHEALTHY_TIMES = 10
_LIMIT_S = 3.0


def health_checks(host: Host) -> Iterable[HealthCheck]:
    """The checks of this machine; what keeps every change from being made is required where changes may be made.

    Args:
        host: The server's settings and shared services.
    """
    settings, writes = HealthSettings.of(host), host.settings.mode is Mode.WRITES
    folder, min_free_bytes = host.settings.state_dir, settings.disk_min_free_mb * _MB

    async def disk() -> HealthReport:
        return await anyio.to_thread.run_sync(_room, folder, min_free_bytes, abandon_on_cancel=True)

    async def audit() -> HealthReport:
        file = AuditFile(folder, host.settings.audit_file_max_bytes)
        objection = await anyio.to_thread.run_sync(file.objection, abandon_on_cancel=True)
        if objection is None:
            return HealthReport(HealthStatus.OK, "records can be written")
        return HealthReport(HealthStatus.UNHEALTHY, f"no change can be put on record: {objection}")

    async def clock() -> HealthReport:
        return _time(Clocks.of(host), settings.clock_max_skew_s)

    yield HealthCheck("disk", disk, _LIMIT_S, required=writes, probed=True)
    if writes:
        yield HealthCheck("audit", audit, _LIMIT_S, required=True, probed=True)
    yield HealthCheck("clock", clock, _LIMIT_S, probed=True)


def _room(folder: Path, min_free_bytes: int) -> HealthReport:
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    free_bytes = shutil.disk_usage(there).free
    text = f"{free_bytes / _MB:.0f} MB are free for the state folder"
    if not files.has_room_for_files(there):
        return HealthReport(HealthStatus.UNHEALTHY, "no further file can be made beside the state folder")
    if free_bytes < min_free_bytes:
        ill = free_bytes < min_free_bytes / 8
        return HealthReport(HealthStatus.UNHEALTHY if ill else HealthStatus.DEGRADED, f"only {text}")
    return HealthReport(HealthStatus.OK, text)


def _time(clocks: Clocks, max_skew_s: float) -> HealthReport:
    ahead_s = clocks.ours_is_ahead_s()
    if ahead_s is None:
        return HealthReport(HealthStatus.OK, "no upstream has told its time in the last hour")
    seen = clocks.lately()
    if abs(ahead_s) > max_skew_s:
        ill = abs(ahead_s) > _UNHEALTHY_TIMES * max_skew_s
        words = f"our clock is {_seconds(ahead_s)} those of most upstreams; synchronise it"
        return HealthReport(HealthStatus.UNHEALTHY if ill else HealthStatus.DEGRADED, words)
    wrong = [one for one in seen if abs(one.ahead_s) > max_skew_s]
    if wrong:
        names = ", ".join(f"that of {one.upstream} is {_seconds(one.ahead_s)} ours" for one in wrong[:3])
        return HealthReport(HealthStatus.DEGRADED, f"{names}; synchronise it")
    return HealthReport(HealthStatus.OK, f"within {max_skew_s:g} s of {len(seen)} upstreams")


def _seconds(ahead_s: float) -> str:
    return f"{abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'}"
