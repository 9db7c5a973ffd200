"""Settings of the releases."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from klepaas.host import Host
from klepaas.settings import SettingsBase

__all__ = ["ReleaseSettings"]


class ReleaseSettings(SettingsBase):
    """How releases are kept; every field is `KLEPAAS_RELEASES_` and its name in upper case."""

    model_config = SettingsConfigDict(env_prefix="KLEPAAS_RELEASES_")

    keep: Annotated[
        int, Field(ge=2, le=200, description="Releases of an application that are kept, the last good one besides")
    ] = 20
    required: Annotated[
        bool, Field(description="Whether a change is refused where its release cannot be recorded in the cluster")
    ] = False
    max_parts: Annotated[
        int, Field(ge=1, le=32, description="Secrets that one release may take, of about 0.9 MiB compressed each")
    ] = 8

    @classmethod
    def of(cls, host: Host) -> "ReleaseSettings":
        """The host's own, read once."""
        return host.service(cls, lambda _: cls())
