"""The hooks of the operations plugin: its tools, and whether the store in which operations are kept is well.

What an operation does is offered by other plugins; how it is kept and carried out is `klepaas.operations`' affair.
"""

from collections.abc import Iterable

from klepaas.hookspecs import DoctorCheck, HealthCheck, hookimpl
from klepaas.host import Host
from klepaas.preloading import EVERY_CALL, Preloading
from klepaas.tools import Tool

__all__: list[str] = []


@hookimpl
def klepaas_tools(host: Host) -> Iterable[Tool]:
    """The tools that ask after operations."""
    from klepaas_plugins.operations.tools import operation_tools

    preloading = Preloading.of(host)
    preloading.add(EVERY_CALL, ["klepaas_plugins.operations.checks"])
    preloading.add("operations", [f"klepaas_plugins.operations.{name}" for name in ("facts", "telling")])
    return operation_tools(host)


@hookimpl
def klepaas_health_checks(host: Host) -> Iterable[HealthCheck]:
    """Whether the store can be read."""
    from klepaas_plugins.operations.checks import health_checks

    return health_checks(host)


@hookimpl
def klepaas_doctor_checks(host: Host) -> Iterable[DoctorCheck]:
    """Whether the store is whole, of this version, and writable; whether operations are stuck."""
    from klepaas_plugins.operations.checks import doctor_checks

    return doctor_checks(host)
