"""Settings of the server, from `KLEPAAS_` environment variables and the command line (which wins).

Plugins read their own variables with classes of the same kind; no plugin's setting stands here.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["LogLevel", "Mode", "Settings"]


class Mode(StrEnum):
    """What calls the server lets through."""

    READ_ONLY = "read-only"
    WRITES = "writes"


class LogLevel(StrEnum):
    """How much the server says on stderr."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def _default_state_dir() -> Path:
    from platformdirs import user_state_path

    return user_state_path("klepaas", appauthor=False)


class Settings(BaseSettings):
    """The server's settings; every field is `KLEPAAS_` and its name in upper case."""

    model_config = SettingsConfigDict(env_prefix="KLEPAAS_", frozen=True, extra="ignore")

    mode: Annotated[Mode, Field(description="read-only (the default), or writes: changing tools are open too")] = (
        Mode.READ_ONLY
    )
    strict_plugins: Annotated[bool, Field(description="A plugin that fails to load stops the start")] = False
    disabled_plugins: Annotated[
        tuple[str, ...], Field(description='Names of plugins to leave out, as a JSON list: ["ncp"]')
    ] = ()
    external_plugins: Annotated[bool, Field(description="Whether plugins of other distributions are loaded")] = True
    log_level: Annotated[LogLevel, Field(description="How much to say on stderr")] = LogLevel.WARNING
    answer_max_bytes: Annotated[
        int, Field(ge=1024, le=1024 * 1024, description="Hard limit of one answer's text, in bytes")
    ] = 256 * 1024
    state_dir: Annotated[Path, Field(description="Folder for local state")] = Field(default_factory=_default_state_dir)
