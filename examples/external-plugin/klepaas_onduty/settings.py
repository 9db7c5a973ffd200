"""What the plugin reads from its environment; nothing here ever comes from a tool's argument."""

from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["OndutySettings"]


class OndutySettings(BaseSettings):
    """The plugin's settings; every field is `KLEPAAS_ONDUTY_` and its name in upper case."""

    model_config = SettingsConfigDict(
        env_prefix="KLEPAAS_ONDUTY_",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    url: Annotated[str | None, Field(pattern=r"https?://\S+", description="Where the service is")] = None
    token: Annotated[SecretStr | None, Field(description="The service's token")] = None
