"""What the health plugin reads from its environment and its table in the settings file."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from klepaas.host import Host
from klepaas.settings import SettingsBase

__all__ = ["HealthSettings"]


class HealthSettings(SettingsBase):
    """The plugin's settings; every field is `KLEPAAS_HEALTH_` and its name in upper case."""

    model_config = SettingsConfigDict(env_prefix="KLEPAAS_HEALTH_")
    table = "health"

    interval_s: Annotated[
        float | None,
        Field(ge=10, le=86400, description="Ask every component so often, in seconds; else only when somebody asks"),
    ] = None
    disk_min_free_mb: Annotated[
        int,
        Field(ge=1, description="With less room for the state folder the disk is degraded; with an eighth, unhealthy"),
    ] = 64
    clock_max_skew_s: Annotated[
        float,
        Field(
            ge=1, description="With more seconds between our clock and upstreams' it is degraded; tenfold, unhealthy"
        ),
    ] = 30.0

    @classmethod
    def of(cls, host: Host) -> "HealthSettings":
        """The host's own, read once."""
        return host.service(cls, lambda _: cls())
