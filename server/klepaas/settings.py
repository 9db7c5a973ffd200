"""Settings: the kind of class that reads them, and the server's own.

A value comes from the command line, else from the environment, else from the settings file, else it is the default
(`klepaas.configuration` knows the places). Plugins have classes of the same kind, `SettingsBase`; no plugin's setting
stands here.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError

from klepaas.configuration import toml_file
from klepaas.configuration.places import Setting, Variable, Was, find, settings_of
from klepaas.configuration.toml_file import ConfigurationError
from klepaas.output.safe import limit_length
from klepaas.policy import Rule

__all__ = [
    "LogFormat",
    "LogLevel",
    "Mode",
    "Settings",
    "SettingsBase",
    "SettingsError",
    "Variable",
    "Was",
    "given_only",
    "kinds_of",
    "problems_of",
    "what_is_wrong",
]

_MOST_PROBLEMS = 5
_given_only: ContextVar[bool] = ContextVar("klepaas_settings_given_only", default=False)


@contextlib.contextmanager
def given_only() -> Iterator[None]:
    """Make settings of the values that are passed and of defaults: no environment, no file."""
    token = _given_only.set(True)
    try:
        yield
    finally:
        _given_only.reset(token)


class _Places(PydanticBaseSettingsSource):
    """The environment, files with secrets, and the settings file."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        raise NotImplementedError  # the library asks for it, and calls it only from its own __call__

    def __call__(self) -> dict[str, Any]:
        if _given_only.get():
            return {}
        document = toml_file.read()
        given = ((setting.field, find(setting, document)) for setting in settings_of(self.settings_cls))
        return {field: found.value for field, found in given if found is not None}


class SettingsBase(BaseSettings):
    """A class of settings, the server's or a plugin's; the hook `klepaas_settings` makes it known.

        class WeatherSettings(SettingsBase):
            model_config = SettingsConfigDict(env_prefix="KLEPAAS_WEATHER_")

            token: Annotated[SecretStr | None, Field(description="The service's token")] = None

    The field `token` is the variable `KLEPAAS_WEATHER_TOKEN`; in the settings file it is `token` in the table
    `[weather]`. A variable that is set to nothing counts as not set. A list or mapping is JSON in a variable. A secret
    is a `SecretStr`; `KLEPAAS_WEATHER_TOKEN_FILE` may name a file that holds it. Every field has a description: the
    documentation shows it.

    Attributes:
        table: The table in the settings file. None: the prefix without `KLEPAAS_`; "" is the top of the file.
    """

    model_config = SettingsConfigDict(env_prefix="KLEPAAS_", frozen=True, extra="ignore")
    table: ClassVar[str | None] = None

    def concerns(self) -> Iterable[str]:
        """What is allowed and still looks wrong, a sentence each, for `klepaas config check`; what must not be is for a
        validator.
        """  # noqa: D205
        return ()

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is passed to the class, then the places."""
        return init_settings, _Places(settings_cls)

    @model_validator(mode="after")
    def _keep_secrets_out_of_every_text(self) -> Self:
        secrets = [value for value in vars(self).values() if isinstance(value, SecretStr)]
        if secrets:
            from klepaas.output.redaction import vault

            for secret in secrets:
                vault.keep(secret.get_secret_value())
        return self


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


def _check_keys(keys: SecretStr | None) -> SecretStr | None:
    if keys is not None:
        from klepaas.output.redaction import vault
        from klepaas.store.keys import parse_keys

        parse_keys(keys.get_secret_value())
        for word in keys.get_secret_value().replace(",", " ").split():
            vault.keep(word)
    return keys


class Settings(SettingsBase):
    """The server's settings; every field is `KLEPAAS_` and its name in upper case, and a key at the top of the file."""

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
    state_dir: Annotated[
        Path,
        AfterValidator(Path.expanduser),
        Field(
            description="Folder for local state: the audit, the store; by itself klepaas uses the user's state folder"
        ),
    ] = Field(default_factory=_default_state_dir)
    database_url: Annotated[
        SecretStr | None,
        Field(description="PostgreSQL database for operations and history; without it a file in the state folder"),
    ] = None
    store_keys: Annotated[
        SecretStr | None,
        AfterValidator(_check_keys),
        Field(
            description="Keys of what the store encrypts, separated by commas, the first encrypts: for several servers "
            "that share a database; without it a key in the state folder"
        ),
    ] = None

    def concerns(self) -> Iterable[str]:
        """Plugins that are wanted and left out; rules that can never match."""
        for name in set(self.required_plugins) & set(self.disabled_plugins):
            yield f"KLEPAAS_REQUIRED_PLUGINS and KLEPAAS_DISABLED_PLUGINS both name {name}: /readyz will always say no"
        if not self.state_dir.is_absolute():
            yield "KLEPAAS_STATE_DIR is relative, so it is another folder for every working folder"


def what_is_wrong(exc: ValidationError | SettingsError) -> str:
    """What to repair, in one line.

    Args:
        exc: What a settings class raised, ours or a plugin's.
    """
    return "; ".join(problems_of(exc)[:_MOST_PROBLEMS])


def problems_of(exc: ValidationError | SettingsError) -> list[str]:
    """What to repair: each variable, or key of the settings file, with its trouble and never with its value.

    Args:
        exc: What a settings class raised, ours or a plugin's.
    """
    if isinstance(exc, ConfigurationError):
        return [str(exc)]
    if isinstance(exc, SettingsError):
        field = re.search(r'field "(\w+)"', str(exc))
        variable = _place(field[1], None) if field else "a variable"
        return [f'{variable}: is not JSON; a list is written as ["first", "second"]']
    return [
        f"{_place(str(error['loc'][0]), exc.title) if error['loc'] else exc.title}{_inside(error['loc'][1:])}: "
        f"{error['msg'].removeprefix('Value error, ')}"
        for error in exc.errors(include_input=False, include_url=False, include_context=False)
    ]


def _inside(path: tuple[int | str, ...]) -> str:
    """Where in a list or mapping: "[0].decision"."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{limit_length(part, 40)}" for part in path)


def _place(field: str, title: str | None) -> str:
    """Where the value of a settings class's field is given; the field itself where no settings class has it.

    Args:
        field: The field's name, or the variable where the class names one of its own.
        title: The class's name. None: any class that has the field.
    """
    # Ours first: FastMCP's own class has our name and some of our fields.
    for kind in chain(kinds_of(SettingsBase), kinds_of(BaseSettings)):
        if field in kind.model_fields and title in (None, kind.__name__):
            return _place_of(next(setting for setting in settings_of(kind) if setting.field == field))
    return field


def _place_of(setting: Setting) -> str:
    try:
        document = toml_file.read()
        found = find(setting, document)
    except SettingsError:
        return setting.variable
    if found is None:
        return setting.variable
    return f"{found.name} in {document.path}" if found.name == setting.key else found.name


def kinds_of(base: type[BaseSettings]) -> Iterator[type[BaseSettings]]:
    """Every settings class below this one that has been imported."""
    for kind in base.__subclasses__():
        yield kind
        yield from kinds_of(kind)
