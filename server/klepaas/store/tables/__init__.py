"""The tables, one small module for each subject; importing this imports SQLAlchemy and all of them.

Times are seconds since 1970. A change of a table needs a migration (`klepaas.store.migrations`).
"""

from klepaas.store.tables.alerts import NotificationRow, ReportRow
from klepaas.store.tables.applications import ApplicationSettingsRow, ApplicationUrlRow
from klepaas.store.tables.base import Base
from klepaas.store.tables.history import DeploymentRow
from klepaas.store.tables.identities import IdentityRow
from klepaas.store.tables.operations import OperationRow, StepRow
from klepaas.store.tables.outbox import ParcelRow
from klepaas.store.tables.plans import PlanRow

__all__ = [
    "ApplicationSettingsRow",
    "ApplicationUrlRow",
    "Base",
    "DeploymentRow",
    "IdentityRow",
    "NotificationRow",
    "OperationRow",
    "ParcelRow",
    "PlanRow",
    "ReportRow",
    "StepRow",
]
