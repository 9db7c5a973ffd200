"""What the plugin can be told; nothing here ever comes from a tool's argument."""

from typing import Annotated

from klepaas.settings import SettingsBase
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

__all__ = ["OndutySettings"]


class OndutySettings(SettingsBase):
    """The plugin's settings; every field is `KLEPAAS_ONDUTY_` and its name in upper case, or a key of `[onduty]`."""

    model_config = SettingsConfigDict(env_prefix="KLEPAAS_ONDUTY_")

    url: Annotated[str | None, Field(pattern=r"https?://\S+", description="Where the service is")] = None
    token: Annotated[SecretStr | None, Field(description="The service's token")] = None
