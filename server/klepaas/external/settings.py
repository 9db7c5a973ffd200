"""What can be set about external providers as a whole; what is said of one server stands in its `mcp.json`."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from klepaas.settings import SettingsBase

__all__ = ["ExternalSettings"]


class ExternalSettings(SettingsBase):
    """The settings of external providers; every field is `KLEPAAS_` and its name in upper case."""

    mcp_config: Annotated[
        Path | None, Field(description="File with further MCP servers, in the shape of an mcp.json")
    ] = None
    mcp_servers: Annotated[
        dict[str, Any], Field(description="Further MCP servers by name, each as in an mcp.json: a table of tables")
    ] = Field(default_factory=dict)
    mcp_strict_trust: Annotated[
        bool, Field(description="Tools of an external server are closed until `klepaas providers trust`, new ones too")
    ] = False
