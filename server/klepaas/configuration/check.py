"""What `klepaas config check` finds: every setting with its origin, and everything that is wrong, at once.

It reads what the server would read, one setting at a time, so that one mistake does not hide the next. It asks no
network: whether a cluster answers is the doctor's affair.
"""

import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import SecretBytes, SecretStr, ValidationError
from pydantic_core import to_jsonable_python
from pydantic_settings import BaseSettings

from klepaas.configuration import toml_file
from klepaas.configuration.places import Found, Origin, Setting, find, settings_of
from klepaas.configuration.registry import Section, left_out, nearest, sections, unknown_keys
from klepaas.configuration.toml_file import ConfigurationError, Document
from klepaas.deprecation import KlepaasDeprecationWarning
from klepaas.observability import one_line
from klepaas.plugins import Plugins, PluginState
from klepaas.settings import Settings, SettingsBase, given_only, kinds_of, problems_of

__all__ = ["Problem", "Report", "Row", "Severity", "check", "check_settings", "shown", "usable_settings"]

# Those of the command line, and of our own tests and tools.
_NO_SETTINGS = (toml_file.VARIABLE, "KLEPAAS_UPDATE_SNAPSHOTS")
_PREFIX, _TEST_PREFIX = "KLEPAAS_", "KLEPAAS_TEST_"
# How alike two names must be for one to be a slip of the other: other plugins have variables of that beginning too.
_LIKELY = 0.75


class Severity(StrEnum):
    """How much a problem matters."""

    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Problem:
    """Something that is wrong or looks wrong.

    Attributes:
        severity: Whether klepaas can run with it.
        plugin: Whose setting it is; "klepaas" for the server's.
        text: One sentence, never with a secret.
    """

    severity: Severity
    plugin: str
    text: str


@dataclass(frozen=True)
class Row:
    """One setting as it is.

    Attributes:
        plugin: Whose it is.
        setting: What it is.
        origin: Where its value comes from.
        name: The variable or key that gave it. None: none did.
        value: The value as it may be shown; a secret is only "set". None: not set, or wrong.
    """

    plugin: str
    setting: Setting
    origin: Origin
    name: str | None
    value: Any


@dataclass
class Report:
    """What a check found.

    Attributes:
        document: The settings file.
        rows: Every setting.
        problems: Everything that is wrong.
    """

    document: Document
    rows: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def of(self, severity: Severity) -> list[Problem]:
        """The problems that matter so much."""
        return [problem for problem in self.problems if problem.severity is severity]

    def error(self, plugin: str, text: str) -> None:
        """Note that klepaas cannot run like this."""
        self.problems.append(Problem(Severity.ERROR, plugin, one_line(text)))

    def warn(self, plugin: str, text: str) -> None:
        """Note what looks wrong."""
        self.problems.append(Problem(Severity.WARNING, plugin, one_line(text)))


def usable_settings(overrides: Mapping[str, Any]) -> Settings:
    """The server's settings, with defaults in place of what is wrong.

    Where it cannot be told which plugins the operator wants, no plugin of another distribution is loaded.

    Args:
        overrides: What the command line says.
    """
    report = Report(_document(None))
    settings, wrong = _load(Section("klepaas", Settings), report, overrides)
    assert isinstance(settings, Settings)  # noqa: S101 -- it has a default for everything
    if wrong & {"external_plugins", "disabled_plugins"}:
        with given_only():
            settings = Settings(**{**_raw(settings), "external_plugins": False})
    return settings


def _raw(settings: SettingsBase) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in type(settings).model_fields}


def check(plugins: Plugins, overrides: Mapping[str, Any]) -> Report:
    """Look at every setting of the server and of all active plugins, and at what became of the plugins.

    Args:
        plugins: The plugins.
        overrides: What the command line says, by the names of the server's settings.
    """
    report = check_settings(plugins, overrides)
    _look_at_plugins(report, usable_settings(overrides), plugins)
    return report


def check_settings(plugins: Plugins, overrides: Mapping[str, Any], *, only_likely: bool = False) -> Report:
    """The same, without what became of the plugins.

    Args:
        plugins: The plugins.
        overrides: What the command line says.
        only_likely: Pass over variables that are nobody's and no slip either: a plugin that is not here may have them.
    """
    report = Report(Document())
    report.document = _document(report)
    known = sections(plugins)
    for section in known:
        settings, _ = _load(section, report, overrides if section.kind is Settings else {})
        if settings is not None:
            for concern in settings.concerns():
                report.warn(section.plugin, concern)
    _look_at_keys(report, known, plugins)
    _look_at_variables(report, known, only_likely)
    return report


def _document(report: Report | None) -> Document:
    try:
        return toml_file.read()
    except ConfigurationError as exc:
        if report is not None:
            report.error("klepaas", str(exc))
        return Document()


def _load(section: Section, report: Report, overrides: Mapping[str, Any]) -> tuple[SettingsBase | None, set[str]]:
    """The settings of one class, without what is wrong; and the names of what is wrong."""
    found: dict[str, Found] = {}
    wrong: set[str] = set()
    for setting in section.settings:
        if setting.field in overrides:
            found[setting.field] = Found(overrides[setting.field], Origin.COMMAND_LINE, "")
            continue
        try:
            value = _find_in_silence(setting, report.document)
        except ConfigurationError as exc:
            report.error(section.plugin, str(exc))
            wrong.add(setting.field)
        else:
            if value is not None:
                found[setting.field] = value
                _look_at_place(report, section, setting, value)
    settings = _make(section, found, wrong, report)
    report.rows += [_row(section, setting, found.get(setting.field), settings) for setting in section.settings]
    return settings, wrong


def _find_in_silence(setting: Setting, document: Document) -> Found | None:
    with warnings.catch_warnings():  # former variables are told among the problems
        warnings.simplefilter("ignore", KlepaasDeprecationWarning)
        return find(setting, document)


def _make(section: Section, found: dict[str, Found], wrong: set[str], report: Report) -> SettingsBase | None:
    while True:
        try:
            with given_only():
                return section.kind(**{name: value.value for name, value in found.items()})
        except ValidationError as exc:
            for text in problems_of(exc):
                report.error(section.plugin, text)
            bad = {str(error["loc"][0]) for error in exc.errors(include_input=False) if error["loc"]} & found.keys()
            if not bad:
                return None  # they do not go together, or one that must be given is not
            for name in bad:
                del found[name]
            wrong |= bad


def _look_at_place(report: Report, section: Section, setting: Setting, found: Found) -> None:
    if found.origin is Origin.FILE and setting.secret:
        better = setting.secret_file_variable
        report.warn(section.plugin, f"{setting.key} is a secret in the settings file; {better} can name one of its own")
    given = [name for name in setting.variables if os.environ.get(name)]
    for was in setting.was:
        if os.environ.get(was.variable):
            rest = f", and {given[0]} wins over it" if given else ""
            gone = f"{was.variable} goes away in {was.remove_in}: use {setting.variable}"
            report.warn(section.plugin, gone + rest)


def _row(section: Section, setting: Setting, found: Found | None, settings: SettingsBase | None) -> Row:
    origin = found.origin if found else Origin.DEFAULT
    value = getattr(settings, setting.field) if settings is not None else None
    return Row(section.plugin, setting, origin, found.name or None if found else None, shown(value))


def shown(value: Any) -> Any:
    """A setting's value as JSON data that may be shown."""
    if isinstance(value, SecretStr | SecretBytes):
        return "set"
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, Mapping):
        return {str(key): shown(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [shown(item) for item in value]
    plain = to_jsonable_python(value, fallback=str)
    return plain if plain == value or not isinstance(plain, str | list | dict) else shown(plain)


def _look_at_keys(report: Report, known: list[Section], plugins: Plugins) -> None:
    missing = left_out(plugins)
    for unknown in unknown_keys(report.document, known):
        text = unknown.text(report.document)
        if unknown.is_table and missing:
            report.warn("klepaas", f"{text} It may be the table of a plugin that is left out: {', '.join(missing)}")
        else:
            report.error("klepaas", text)


def _look_at_variables(report: Report, known: list[Section], only_likely: bool) -> None:
    names = set(_variables(known))
    endings = {name.removeprefix(_PREFIX): name for name in names if name.startswith(_PREFIX)}
    for name in sorted(os.environ):
        if not name.upper().startswith(_PREFIX) or name in names or not os.environ[name]:
            continue
        if name in _NO_SETTINGS or name.startswith(_TEST_PREFIX):
            continue
        near = nearest(name.upper().removeprefix(_PREFIX), endings, _LIKELY)
        if near:
            report.warn("klepaas", f"{name} is no variable of klepaas; did you mean {endings[near]}?")
        elif not only_likely:
            report.warn("klepaas", f"{name} is no variable of klepaas or of a plugin that is active")


def _variables(known: list[Section]) -> Iterator[str]:
    for section in known:
        for setting in section.settings:
            yield from setting.variables
            yield from (was.variable for was in setting.was)
            if setting.secret_file_variable:
                yield setting.secret_file_variable
    # Plugins that do not tell their settings by the hook have them all the same.
    for kind in kinds_of(BaseSettings):
        for setting in settings_of(kind):
            yield from setting.variables


def _look_at_plugins(report: Report, settings: Settings, plugins: Plugins) -> None:
    for plugin in plugins.all:
        if plugin.state is PluginState.FAILED:
            report.error(plugin.name, f"the plugin is left out: {plugin.reason}")
    names = [plugin.name for plugin in plugins.all]
    for variable, wanted in (
        ("KLEPAAS_DISABLED_PLUGINS", settings.disabled_plugins),
        ("KLEPAAS_REQUIRED_PLUGINS", settings.required_plugins),
    ):
        for name in wanted:
            if name not in names:
                near = nearest(name, names)
                hint = f"; did you mean {near}?" if near else ""
                report.warn("klepaas", f"{variable} names {name}, which no installed plugin is called{hint}")
