"""Which variables a client has to give to the klepaas that it starts: what is set here and is no secret.

Clients start programs with an environment of their own, some with six variables. A secret is named and never handed on:
a client's configuration is a file that is shared, copied and read by others.
"""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from klepaas.configuration import toml_file
from klepaas.configuration.places import Setting
from klepaas.configuration.registry import Section

__all__ = ["HandedOn", "LeftOut", "hand_on"]

_PREFIX = "KLEPAAS_"
_KUBECONFIG = "KUBECONFIG"


@dataclass(frozen=True)
class LeftOut:
    """A variable that is set here and not handed on.

    Attributes:
        variable: Its name.
        why: Why not, a few words.
        give: How to give it to the client's klepaas.
    """

    variable: str
    why: str
    give: str

    @property
    def text(self) -> str:
        """What to say about it; without its value."""
        return f"Left out: {self.variable} ({self.why}). {self.give}"


@dataclass(frozen=True)
class HandedOn:
    """What a client gives to the klepaas that it starts, and what it does not.

    Attributes:
        variables: The variables, with paths that hold in any folder.
        left_out: The others that are set here.
    """

    variables: dict[str, str]
    left_out: tuple[LeftOut, ...]


def hand_on(sections: Iterable[Section]) -> HandedOn:
    """Look at what is set here.

    Args:
        sections: Every settings class that there is.
    """
    settings = [setting for section in sections for setting in section.settings]
    # Known also where the plugin whose setting it is does not take part.
    variables = {name: _absolute(os.environ[name]) for name in (_KUBECONFIG, toml_file.VARIABLE) if _is_set(name)}
    left_out = []
    secrets = [os.environ[name] for one in settings if one.secret for name in one.variables if _is_set(name)]
    for setting in settings:
        for name in filter(_is_set, _names_of(setting)):
            problem = _objection(setting, name, secrets)
            if problem is None:
                variables[name] = _value_of(setting, name)
            else:
                variables.pop(name, None)
                left_out.append(problem)
    seen = {*variables, *(one.variable for one in left_out)}
    return HandedOn(variables, (*left_out, *_unknown(seen)))


def _is_set(name: str) -> bool:
    return bool(os.environ.get(name))


def _names_of(setting: Setting) -> Iterator[str]:
    yield from setting.variables
    yield from (was.variable for was in setting.was)
    if setting.secret_file_variable:
        yield setting.secret_file_variable


def _objection(setting: Setting, name: str, secrets: Iterable[str]) -> LeftOut | None:
    from klepaas.output.redaction import redact_text

    file_variable = setting.secret_file_variable
    if name == file_variable:
        return None  # the path of a file is no secret
    if file_variable is not None:
        give = f"Write it to a file that only you can read, and add {file_variable} with the path of that file"
        return LeftOut(name, "it is a secret", f"{give} to the variables.")
    value = os.environ[name]
    if setting.structured and _is_not_json(value):
        return LeftOut(name, "it is not JSON", "Correct it first; `klepaas config check` says what is wrong.")
    if redact_text(value) != value or any(secret in value for secret in secrets):
        give = f"Set {setting.key} in the settings file ({toml_file.default_path()}), readable by you alone."
        return LeftOut(name, "a part of it looks like a secret", give)
    return None


def _is_not_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return True
    return False


def _value_of(setting: Setting, name: str) -> str:
    annotation = setting.info.annotation
    is_path = name in (setting.secret_file_variable, _KUBECONFIG) or Path in (annotation, *get_args(annotation))
    return _absolute(os.environ[name]) if is_path else os.environ[name]


def _absolute(paths: str) -> str:
    """Paths as they are right in whatever folder the client starts klepaas."""
    return os.pathsep.join(str(Path(part).expanduser().absolute()) for part in paths.split(os.pathsep) if part)


def _unknown(seen: Iterable[str]) -> Iterator[LeftOut]:
    """What has our prefix and is nobody's setting: it may be a secret of a plugin that is not here."""
    for name in sorted(os.environ):
        if name.startswith(_PREFIX) and _is_set(name) and name not in set(seen):
            yield LeftOut(
                name, "no active plugin has such a setting", "Add it to the variables yourself if it is no secret."
            )
