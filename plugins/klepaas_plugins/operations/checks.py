"""How the store and the operations in it are: for `/readyz` and for `klepaas doctor`."""

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from klepaas.errors import KlepaasError
from klepaas.hookspecs import DoctorCheck, Finding, HealthCheck, HealthReport, HealthStatus, Level
from klepaas.host import Host
from klepaas.operations import Operations
from klepaas.settings import Mode
from klepaas.state_folder import objection_to_changes
from klepaas.store import Store

if TYPE_CHECKING:
    from klepaas.operations import Operation

__all__ = ["doctor_checks", "health_checks"]

_SLOW_S = 1.0
_STUCK_AFTER_S = 60.0


def health_checks(host: Host) -> Iterable[HealthCheck]:
    """The checks of the components "store" and "journal"."""
    store, operations = Store.of(host), Operations.of(host)

    async def check() -> HealthReport:
        if (objection := objection_to_changes(host.settings)) is not None:
            return HealthReport(HealthStatus.UNHEALTHY, objection)
        if not store.exists:
            return HealthReport(HealthStatus.OK, "nothing is stored yet")
        began_at = time.monotonic()
        try:
            await operations.find(None, limit=1)
        except KlepaasError as exc:
            return HealthReport(HealthStatus.UNHEALTHY, exc.what)
        took_s = time.monotonic() - began_at
        status = HealthStatus.OK if took_s < _SLOW_S else HealthStatus.DEGRADED
        return HealthReport(status, f"it answered in {took_s * 1000:.0f} ms")

    async def journal() -> HealthReport:
        if not store.exists:
            return HealthReport(HealthStatus.OK, "no operation yet")
        found, left = await _left(operations)
        if left:
            names = ", ".join(f"{operation.id} ({operation.title})" for operation in left[:3])
            return HealthReport(HealthStatus.DEGRADED, f"{len(left)} wait for a server to carry them out: {names}")
        return HealthReport(HealthStatus.OK, f"{len(found)} under way")

    # Where nothing is changed, nothing is to be put on record, and no probe loads the database library.
    writes = host.settings.mode is Mode.WRITES
    yield HealthCheck("store", check, required=writes, probed=writes)
    yield HealthCheck("journal", journal, probed=writes)


def doctor_checks(host: Host) -> Iterable[DoctorCheck]:
    """The checks of the store and of operations that nobody carries out."""
    store, operations = Store.of(host), Operations.of(host)

    async def whole() -> Iterable[Finding]:
        return await store.examine()

    async def attended() -> Iterable[Finding]:
        if not store.exists:
            return [Finding(Level.OK, "no operation yet")]
        found, left = await _left(operations)
        if not left:
            return [Finding(Level.OK, f"{len(found)} under way")]
        names = ", ".join(f"{operation.id} ({operation.title})" for operation in left[:5])
        repair = "Start `klepaas serve --writes` with access to the same cluster: it goes on with them"
        return [Finding(Level.WARNING, f"{len(left)} wait for a server to carry them out: {names}", repair)]

    yield DoctorCheck("store", whole)
    yield DoctorCheck("operations", attended)


async def _left(operations: Operations) -> "tuple[Sequence[Operation], Sequence[Operation]]":
    """Operations that are under way, and those of them that nobody has carried out for a while."""
    found = [operation for operation in await operations.find(None, limit=100) if not operation.ended]
    now = time.time()
    return found, [one for one in found if now - (one.unattended_since or now) > _STUCK_AFTER_S]
