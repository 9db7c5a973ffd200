"""Writes `settings.md`, the page of all settings, from the settings classes.

    python docs/settings_table.py > docs/settings.md

A test compares the file with what this writes.
"""

import enum
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from klepaas.configuration.places import Setting
from klepaas.configuration.registry import Section, sections
from klepaas.plugins import Plugins
from klepaas.settings import Settings, given_only

HEAD = """\
# Settings

Written by `docs/settings_table.py` from the settings classes; a test keeps it true. Nothing has to be set: klepaas
reads your kubeconfig as kubectl does, and looks without changing anything.

## Where a setting comes from

The first of these that says something wins:

1. the command line: `--writes`, `--strict-plugins`, `--verbose`;
2. the environment: the variable in the first column of the tables below. A variable that is set to nothing counts as
   not set. A list or a table is written as JSON;
3. the settings file: the key in the second column;
4. the default.

`klepaas config check` shows what is set and where it comes from, and everything that is wrong at once;
`klepaas config check --all` shows the defaults too.

## The settings file

One TOML file, which need not exist: the one that `--config FILE` or `KLEPAAS_CONFIG` names, else `klepaas/config.toml`
in your folder for configuration (`~/.config` on Linux, `~/Library/Application Support` on macOS).
`KLEPAAS_CONFIG=/dev/null` means that there is none. The server's own settings stand at the top, those of a plugin in
its table:

```toml
mode = "writes"
required_components = ["kubernetes/prod"]

[[policy]]
context = "prod*"
decision = "confirm"

[kubernetes]
context = "staging"
namespace = "shop"
```

- A key that no setting has is an error which names the nearest one.
- A file that another user may write to, or replace, is not used, because it decides what klepaas may change and which
  programs it starts: the file, each folder above it and each link on the way must belong to you or root, and neither
  everybody nor a group with other members may write to them. The error names the `chmod` to run. The same holds for the
  file of `KLEPAAS_MCP_CONFIG`, and for a kubeconfig whose context names a credential plugin. On Windows, and for access
  control lists, klepaas does not check this.
- klepaas reads it at its start. It never writes it.

## Secrets

A setting marked *secret* can be given in three ways:

- the variable itself;
- a file that the variable with `_FILE` at its end names: `KLEPAAS_DATABASE_URL_FILE=/run/secrets/database`. It holds
  the secret and nothing else. Other users must not be able to read it, unless it belongs to root, as what a cluster
  mounts does;
- the settings file, if nobody else can read that (`chmod 600`); `klepaas config check` warns all the same.

No command shows a secret, and klepaas blanks out the secrets it holds in everything that it says.

## Former names

A variable that is named *formerly* below still works, and klepaas says at its start which one to use instead.
"""
TITLES = {"klepaas": "The server"}


def page() -> str:
    """The whole page."""
    with given_only():
        plugins = Plugins(Settings(external_plugins=False, strict_plugins=True))
        known = sections(plugins)
    lines = [HEAD]
    for plugin in dict.fromkeys(section.plugin for section in known):
        lines += _of_plugin(plugin, [section for section in known if section.plugin == plugin])
    return "\n".join(lines)


def _of_plugin(plugin: str, known: Iterable[Section]) -> Iterator[str]:
    yield f"## {TITLES.get(plugin, f'The {plugin} plugin')}\n"
    yield "| variable | key in the file | type | default | meaning |"
    yield "|---|---|---|---|---|"
    for section in known:
        for setting in section.settings:
            cells = (
                _code(setting.variable),
                _code(setting.key),
                type_of(setting),
                default_of(setting),
                meaning(setting),
            )
            yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
    yield ""


def _code(text: str) -> str:
    return f"`{text}`"


def meaning(setting: Setting) -> str:
    """What a setting is for, and its other variables.

    Raises:
        ValueError: Its class does not say what it is for.
    """
    text = setting.info.description
    if not text:
        raise ValueError(f"{setting.variable} has no description")
    others = [f"also `{name}`" for name in setting.variables[1:]]
    others += [f"*formerly* `{was.variable}`, until {was.remove_in}" for was in setting.was]
    return "; ".join([text, *others])


def default_of(setting: Setting) -> str:
    """The default as the page shows it."""
    if setting.info.default_factory is not None:
        return "see there"
    value = setting.info.default
    if value is PydanticUndefined:
        return "must be set"
    if value is None or value == "":
        return "none"
    if isinstance(value, tuple | list | Mapping) and not value:
        return "empty"
    if isinstance(value, bool):
        return _code(str(value).lower())
    if isinstance(value, tuple | list):
        return ", ".join(_code(str(item)) for item in value)
    return _code(f"{value:g}" if isinstance(value, float) else str(value))


def type_of(setting: Setting) -> str:
    """The type as a person says it, with its limits."""
    name = _type_name(setting.info.annotation)
    limits = _limits(setting.info.metadata)
    return f"{name}, {limits}" if limits and name in ("number", "whole number") else name


def _type_name(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type_name(inner[0])
    if origin in (Union, types.UnionType):
        return " or ".join(_type_name(one) for one in inner if one is not type(None))
    if origin in (tuple, list, set, frozenset):
        return f"list of {_many(inner[0])}"
    if origin is not None and issubclass(origin, Mapping):
        return "table"
    return _plain(annotation)


def _plain(annotation: Any) -> str:
    if get_origin(annotation) is not None:  # a Literal
        return " or ".join(f"`{one}`" for one in get_args(annotation))
    if issubclass(annotation, enum.Enum):
        return " or ".join(f"`{one.value}`" for one in annotation)
    if issubclass(annotation, BaseModel):
        return "table"
    names: dict[type, str] = {
        bool: "`true` or `false`",
        int: "whole number",
        float: "number",
        str: "text",
        Path: "path",
    }
    return names[annotation] if annotation is not SecretStr else "text, *secret*"


def _many(annotation: Any) -> str:
    name = _type_name(annotation)
    return {"text": "texts", "table": "tables", "whole number": "whole numbers", "path": "paths"}.get(name, name)


def _limits(metadata: Iterable[Any]) -> str:
    low = high = ""
    for item in metadata:
        low = low or _limit(item, ge="at least", gt="more than")
        high = high or _limit(item, le="at most", lt="less than")
    return " and ".join(filter(None, (low, high)))


def _limit(item: Any, **words: str) -> str:
    for attribute, word in words.items():
        value = getattr(item, attribute, None)
        if value is not None:
            return f"{word} {value}"
    return ""


if __name__ == "__main__":
    sys.stdout.write(page())
