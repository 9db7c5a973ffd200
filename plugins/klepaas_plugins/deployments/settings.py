"""Settings of the application verbs."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from klepaas.host import Host
from klepaas.settings import SettingsBase

__all__ = ["RolloutSettings"]


class RolloutSettings(SettingsBase):
    """How a rollout is judged; every field is `KLEPAAS_ROLLOUT_` and its name in upper case."""

    model_config = SettingsConfigDict(env_prefix="KLEPAAS_ROLLOUT_")
    table = "deployments"

    unschedulable_grace_s: Annotated[
        float, Field(ge=0, description="Seconds that a pod may find no node before the rollout counts as failed")
    ] = 10.0
    min_healthy_s: Annotated[
        float | None,
        Field(
            ge=0,
            le=600,
            description="Seconds that all pods must stay ready, without a restart, before a rollout counts as good; "
            "by default two periods of their readiness probe, between 3 and 10, and 10 without a probe",
        ),
    ] = None
    deadline_s: Annotated[
        float, Field(ge=10, le=7200, description="Longest time that a change may take, its rollback not counted")
    ] = 900.0
    auto_rollback: Annotated[
        bool,
        Field(description="Whether a change that fails is rolled back by itself to the last release that proved good"),
    ] = True
    log_lines: Annotated[int, Field(ge=0, le=100, description="Last log lines in the answer about a failure")] = 10

    @classmethod
    def of(cls, host: Host) -> "RolloutSettings":
        """The host's own, read once."""
        return host.service(cls, lambda _: cls())
