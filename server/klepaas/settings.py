"""Settings of the server, from `KLEPAAS_` environment variables and the command line (which wins).

Plugins read their own variables with classes of the same kind; no plugin's setting stands here.
"""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError

from klepaas.policy import Rule

__all__ = ["LogFormat", "LogLevel", "Mode", "Settings", "SettingsError", "what_is_wrong"]


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


class LogFormat(StrEnum):
    """In which form the server speaks on stderr."""

    TEXT = "text"
    JSON = "json"


def _default_state_dir() -> Path:
    from platformdirs import user_state_path

    return user_state_path("klepaas", appauthor=False)


class Settings(BaseSettings):
    """The server's settings; every field is `KLEPAAS_` and its name in upper case."""

    # A variable that is set to nothing counts as not set: a state folder of "" would be the working folder.
    model_config = SettingsConfigDict(env_prefix="KLEPAAS_", frozen=True, extra="ignore", env_ignore_empty=True)

    mode: Annotated[Mode, Field(description="read-only (the default), or writes: changing tools are open too")] = (
        Mode.READ_ONLY
    )
    strict_plugins: Annotated[bool, Field(description="A plugin that fails to load stops the start")] = False
    disabled_plugins: Annotated[
        tuple[str, ...], Field(description='Names of plugins to leave out, as a JSON list: ["ncp"]')
    ] = ()
    external_plugins: Annotated[bool, Field(description="Whether plugins of other distributions are loaded")] = True
    log_level: Annotated[LogLevel, Field(description="How much to say on stderr")] = LogLevel.WARNING
    log_format: Annotated[LogFormat, Field(description="text, or json: one JSON object a line on stderr")] = (
        LogFormat.TEXT
    )
    answer_max_bytes: Annotated[
        int, Field(ge=1024, le=1024 * 1024, description="Hard limit of one answer's text, in bytes")
    ] = 256 * 1024
    max_concurrent_calls: Annotated[
        int, Field(ge=1, le=1000, description="Tool calls that run at the same time, on any transport; more wait")
    ] = 32
    rate_limit_per_minute: Annotated[
        int,
        Field(ge=0, le=1_000_000, description="Tool calls of one caller over HTTP in a minute; 0: as many as it likes"),
    ] = 600
    shutdown_grace_s: Annotated[
        float, Field(ge=0, le=3600, description="What running calls get to end when the server is asked to, in seconds")
    ] = 10.0
    # 4 MiB is what the MCP library takes at most.
    http_body_max_bytes: Annotated[
        int, Field(ge=1024, le=4 * 1024 * 1024, description="Longest body of an HTTP request, in bytes")
    ] = 1024 * 1024
    http_max_sessions: Annotated[
        int, Field(ge=1, le=10_000, description="Sessions of clients before 2026-07-28 that are open at the same time")
    ] = 1000
    required_plugins: Annotated[
        tuple[str, ...],
        Field(description="Plugins without which /readyz says no, besides the built-in ones, as a JSON list"),
    ] = ()
    required_components: Annotated[
        tuple[str, ...],
        Field(description='Components without which /readyz says no, as a JSON list: ["kubernetes/prod"]'),
    ] = ()
    policy: Annotated[
        tuple[Rule, ...],
        Field(
            max_length=200,
            description='Which changes are confirmed, as a JSON list: [{"context": "prod*", "decision": "confirm"}]',
        ),
    ] = ()
    # A client of 2026-07-28 gets no more than these 10 minutes from the MCP library.
    confirm_timeout_s: Annotated[
        float, Field(gt=0, le=600, description="How long a person gets to confirm a change, in seconds")
    ] = 300.0
    audit_file_max_bytes: Annotated[
        int, Field(ge=64 * 1024, description="Size at which the audit file is set aside; nine earlier ones are kept")
    ] = 10 * 1024 * 1024
    state_dir: Annotated[Path, Field(description="Folder for local state")] = Field(default_factory=_default_state_dir)


def what_is_wrong(exc: ValidationError | SettingsError) -> str:
    """What to repair in the environment: each variable with its trouble, never with its value.

    Args:
        exc: What a settings class raised, ours or a plugin's.
    """
    if isinstance(exc, SettingsError):
        field = re.search(r'field "(\w+)"', str(exc))
        variable = _variable(field[1], None) if field else "a variable"
        return f'{variable}: is not JSON; a list is written as ["first", "second"]'
    problems = exc.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(
        f"{_variable(str(error['loc'][0]), exc.title) if error['loc'] else exc.title}{_inside(error['loc'][1:])}: "
        f"{error['msg'].removeprefix('Value error, ')}"
        for error in problems[:5]
    )


def _inside(path: tuple[int | str, ...]) -> str:
    """Where in a list or mapping: "[0].decision"."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part[:40]}" for part in path)


def _variable(field: str, title: str | None) -> str:
    """The environment variable of a settings class's field; the field itself where no settings class has it.

    Args:
        field: The field's name, or the variable where the class names one of its own.
        title: The class's name. None: any class that has the field.
    """
    for kind in BaseSettings.__subclasses__():
        if field in kind.model_fields and title in (None, kind.__name__):
            return f"{kind.model_config.get('env_prefix', '')}{field}".upper()
    return field
