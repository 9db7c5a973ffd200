"""Every settings class of the server and its plugins, and what the settings file says that none of them knows.

The classes are asked for only when there is a file, a check or documentation to make: a start without a file pays
nothing.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from klepaas.configuration import toml_file
from klepaas.configuration.places import Setting, settings_of, table_of
from klepaas.configuration.toml_file import ConfigurationError, Document

if TYPE_CHECKING:
    from klepaas.plugins import Plugins
    from klepaas.settings import SettingsBase

__all__ = ["Section", "UnknownKey", "check_file", "left_out", "nearest", "sections", "unknown_keys"]

_MOST_NAMED = 5


@dataclass(frozen=True)
class Section:
    """A settings class and whose it is.

    Attributes:
        plugin: The plugin's name; "klepaas" for the server.
        kind: The class.
    """

    plugin: str
    kind: "type[SettingsBase]"

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The class's settings."""
        return settings_of(self.kind)


def sections(plugins: "Plugins") -> list[Section]:
    """The server's settings class and those of all active plugins, in the order of the plugins.

    A plugin whose class is none, or that claims a variable or key of another, is left out.

    Args:
        plugins: The plugins to ask.
    """
    found = [Section("klepaas", kind) for kind in _of_the_server()]
    for contribution in plugins.contributions("klepaas_settings", type):
        section = Section(contribution.plugin.name, contribution.item)
        objection = _objection_to(section.kind, found)
        if objection:
            plugins.fail(contribution.plugin, f"its settings class {section.kind.__name__} {objection}")
            found = [other for other in found if other.plugin != section.plugin]
        else:
            found.append(section)
    return found


def _of_the_server() -> "Iterable[type[SettingsBase]]":
    from klepaas.external.settings import ExternalSettings
    from klepaas.settings import Settings

    return Settings, ExternalSettings


def _objection_to(kind: type[Any], found: Iterable[Section]) -> str | None:
    from klepaas.settings import SettingsBase

    if not issubclass(kind, SettingsBase):
        return "is no klepaas.settings.SettingsBase"
    for setting in settings_of(kind):
        for section in found:
            for other in section.settings:
                if setting.key == other.key or set(setting.variables) & set(other.variables):
                    return f"claims {setting.variable} ({setting.key}), which is {section.plugin}'s"
    return None


def check_file(plugins: "Plugins") -> None:
    """Refuse a settings file with a key that nobody knows.

    Args:
        plugins: The plugins, whose settings the file may hold.

    Raises:
        ConfigurationError: There is such a key; the nearest known one is named.
    """
    document = toml_file.read()
    if document.path is None:
        return
    unknown = unknown_keys(document, sections(plugins))
    if left_out(plugins):
        unknown = [one for one in unknown if not one.is_table]  # it may be the table of a plugin that is not here
    if unknown:
        raise ConfigurationError("; ".join(one.text(document) for one in unknown[:_MOST_NAMED]))


def left_out(plugins: "Plugins") -> list[str]:
    """The plugins that do not take part."""
    active = plugins.active
    return [plugin.name for plugin in plugins.all if plugin not in active]


@dataclass(frozen=True)
class UnknownKey:
    """A key of the file that no settings class has.

    Attributes:
        key: The key, with its table.
        is_table: Whether it is a table.
        near: The nearest key that there is. None: none is near.
    """

    key: str
    is_table: bool
    near: str | None

    def text(self, document: Document) -> str:
        """What to say about it."""
        what = f"the table [{self.key}]" if self.is_table else self.key
        hint = f"; did you mean {self.near}?" if self.near else "; see `klepaas config check --all` for what there is"
        return f"{what} in {document.path} is not a setting{hint}"


def unknown_keys(document: Document, known: Iterable[Section]) -> list[UnknownKey]:
    """The keys of the file that no settings class has.

    Args:
        document: The file.
        known: The settings classes.
    """
    tables: dict[str, set[str]] = {"": set()}
    for section in known:
        tables.setdefault(table_of(section.kind), set()).update(setting.field for setting in section.settings)
    return list(_unknown(document.values, tables))


def _unknown(values: Mapping[str, Any], tables: Mapping[str, set[str]]) -> Iterator[UnknownKey]:
    everywhere = {field: f"{table}.{field}" if table else field for table in tables for field in tables[table]}
    for name, value in values.items():
        if name in tables[""]:
            continue
        is_table = isinstance(value, Mapping)
        if name not in tables or not is_table:
            near = nearest(name, [*tables[""], *filter(None, tables)]) or everywhere.get(name)
            yield UnknownKey(name, is_table, near)
            continue
        for field in value:
            if field not in tables[name]:
                near = nearest(field, tables[name])
                elsewhere = everywhere.get(field)
                yield UnknownKey(f"{name}.{field}", False, f"{name}.{near}" if near else elsewhere)


def nearest(name: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """The known name that is most like it. None: none is.

    Args:
        name: What somebody wrote.
        known: What there is.
        likeness: How much they must have in common, of 1.
    """
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=likeness)
    return found[0] if found else None
