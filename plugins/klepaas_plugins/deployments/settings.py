"""Settings of the application verbs, from `KLEPAAS_` environment variables."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from klepaas.host import Host

__all__ = ["RolloutSettings"]


class RolloutSettings(BaseSettings):
    """How a rollout is judged; every field is `KLEPAAS_ROLLOUT_` and its name in upper case."""

    model_config = SettingsConfigDict(env_prefix="KLEPAAS_ROLLOUT_", frozen=True, extra="ignore")

    unschedulable_grace_s: Annotated[
        float, Field(ge=0, description="Seconds that a pod may find no node before the rollout counts as failed")
    ] = 10.0
    log_lines: Annotated[int, Field(ge=0, le=100, description="Last log lines in the answer about a failure")] = 10

    @classmethod
    def of(cls, host: Host) -> "RolloutSettings":
        """The host's own, read once."""
        return host.service(cls, lambda _: cls())
