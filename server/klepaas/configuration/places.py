"""Where one setting can be given, and what is given there: environment, secret file, settings file.

The command line stands before all of these and the default after them; both are the settings class's affair. A value is
read here and checked there.
"""

import json
import os
import types
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, is_dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic.fields import FieldInfo

from klepaas.configuration.toml_file import ConfigurationError, Document, read_bounded

__all__ = ["Found", "Origin", "Setting", "Variable", "Was", "find", "settings_of", "table_of"]

_PREFIX = "KLEPAAS_"
_SECRET_MAX_BYTES = 64 * 1024


class Variable:
    """Says that a setting has other variables than its name gives; the first that is set counts.

    Args:
        names: The variables.
    """

    def __init__(self, *names: str) -> None:
        self.names = names


@dataclass(frozen=True)
class Was:
    """Says that a setting had another variable, which still works and warns.

    Attributes:
        variable: The old variable.
        since: The version that has the new one.
        remove_in: The version that will not know the old one.
    """

    variable: str
    since: str
    remove_in: str


class Origin(StrEnum):
    """Where a value comes from, the strongest first."""

    COMMAND_LINE = "command line"
    ENVIRONMENT = "environment"
    SECRET_FILE = "secret file"  # noqa: S105 -- no secret
    FILE = "file"
    DEFAULT = "default"


@dataclass(frozen=True)
class Found:
    """A value that is given somewhere.

    Attributes:
        value: The value, unchecked.
        origin: What kind of place.
        name: The variable, or the key in the file.
    """

    value: Any
    origin: Origin
    name: str


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        field: Its name in the class.
        variables: Its variables; the first is the one to use.
        table: Its table in the file. "": the top.
        secret: Whether it is one.
        structured: Whether its variable holds JSON.
        was: Its former variables.
        info: What the class says about it.
    """

    field: str
    variables: tuple[str, ...]
    table: str
    secret: bool
    structured: bool
    was: tuple[Was, ...]
    info: FieldInfo

    @property
    def variable(self) -> str:
        """The variable to use."""
        return self.variables[0]

    @property
    def secret_file_variable(self) -> str | None:
        """The variable that names a file with the secret. None: it is no secret."""
        return f"{self.variable}_FILE" if self.secret else None

    @property
    def key(self) -> str:
        """Its key in the file, with the table."""
        return f"{self.table}.{self.field}" if self.table else self.field


@cache
def settings_of(kind: Any) -> tuple[Setting, ...]:
    """The settings of a settings class, in its order."""
    prefix = str(kind.model_config.get("env_prefix", ""))
    return tuple(_setting(name, info, prefix, table_of(kind)) for name, info in kind.model_fields.items())


def table_of(kind: Any) -> str:
    """The table of a settings class: what it says itself, else its prefix, as in `KLEPAAS_ROLLOUT_` and `rollout`."""
    table: str | None = getattr(kind, "table", None)
    if table is not None:
        return table
    prefix = str(kind.model_config.get("env_prefix", ""))
    return prefix.removeprefix(_PREFIX).strip("_").lower()


def _setting(name: str, info: FieldInfo, prefix: str, table: str) -> Setting:
    named = next((item.names for item in info.metadata if isinstance(item, Variable)), None)
    return Setting(
        field=name,
        variables=named or (f"{prefix}{name}".upper(),),
        table=table,
        secret=_holds(info.annotation, lambda kind: issubclass(kind, SecretStr | SecretBytes)),
        structured=_holds(info.annotation, _is_structure),
        was=tuple(item for item in info.metadata if isinstance(item, Was)),
        info=info,
    )


def _holds(annotation: Any, test: Any) -> bool:
    """Whether a type, or an alternative of it, passes a test."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _holds(get_args(annotation)[0], test)
    if origin in (Union, types.UnionType):
        return any(_holds(one, test) for one in get_args(annotation))
    kind = origin or annotation
    return isinstance(kind, type) and bool(test(kind))


def _is_structure(kind: type) -> bool:
    if issubclass(kind, str | bytes):
        return False
    return issubclass(kind, Sequence | AbstractSet | Mapping | BaseModel) or is_dataclass(kind)


def find(setting: Setting, document: Document) -> Found | None:
    """What is given for a setting. None: nothing, so its default holds.

    Args:
        setting: The setting.
        document: The settings file.

    Raises:
        ConfigurationError: What is given cannot be read, or is given twice in two ways that must agree.
    """
    given = next((name for name in setting.variables if os.environ.get(name)), None)
    file_variable = setting.secret_file_variable
    if file_variable and os.environ.get(file_variable):
        if given:
            raise ConfigurationError(f"{given} and {file_variable} are both set: keep one of them")
        return Found(_secret_in(file_variable), Origin.SECRET_FILE, file_variable)
    given = given or _former(setting)
    if given:
        return Found(_value_of(setting, given), Origin.ENVIRONMENT, given)
    return _in_file(setting, document)


def _former(setting: Setting) -> str | None:
    for was in setting.was:
        if os.environ.get(was.variable):
            from klepaas.deprecation import warn_deprecated

            warn_deprecated(was.variable, since=was.since, remove_in=was.remove_in, instead=setting.variable)
            return was.variable
    return None


def _value_of(setting: Setting, variable: str) -> Any:
    text = os.environ[variable]
    if not setting.structured:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ConfigurationError(f'{variable}: is not JSON; a list is written as ["first", "second"]') from exc


def _secret_in(variable: str) -> str:
    path = Path(os.environ[variable]).expanduser()
    try:
        data, mode = read_bounded(path, _SECRET_MAX_BYTES)
    except ConfigurationError as exc:
        raise ConfigurationError(f"{variable}: {exc}") from exc
    # What a cluster mounts belongs to root and may be readable by all in the container; who is not root cannot help it.
    if mode & 0o022 or (mode & 0o044 and path.stat().st_uid != 0):
        raise ConfigurationError(f"{variable}: other users can read or change {path}; chmod 600 {path}")
    try:
        text = data.decode().rstrip("\r\n")
    except UnicodeDecodeError as exc:
        raise ConfigurationError(f"{variable}: {path} is not text") from exc
    if not text:
        raise ConfigurationError(f"{variable}: {path} is empty")
    return text


def _in_file(setting: Setting, document: Document) -> Found | None:
    values: Any = document.values
    if setting.table:
        values = values.get(setting.table, {})
        if not isinstance(values, Mapping):
            raise ConfigurationError(f"{setting.table} in {document.path}: must be a table, [{setting.table}]")
    if setting.field not in values:
        return None
    if setting.secret and not document.is_private:
        raise ConfigurationError(
            f"{setting.key} in {document.path}: a secret in a file that others can read; chmod 600 {document.path}, or "
            f"name a file of its own in {setting.secret_file_variable}"
        )
    return Found(values[setting.field], Origin.FILE, setting.key)
