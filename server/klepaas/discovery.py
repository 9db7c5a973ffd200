"""Finds the distributions that bring plugins, and tells built-in ones from the others. It loads none of them.

A distribution's metadata is a stranger's text too: it may be broken, and its names may hold anything. importlib's own
`entry_points()` raises for everybody where one distribution's file is malformed, and takes whichever distribution of a
name stands first on the path, so a stranger called `klepaas` would hide the real one. Hence the loop of our own.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.metadata import Distribution, EntryPoint, distributions

from klepaas.hookspecs import PROJECT
from klepaas.observability import one_line

__all__ = ["Candidate", "Plugin", "PluginState", "candidates", "normalized"]

# Where the modules of built-in plugins are. A distribution may call itself klepaas; its modules are then elsewhere.
_OUR_PACKAGES = ("klepaas_plugins", "klepaas_providers", "klepaas_agents")
# Words of letters, and a version of numbers: no form of a secret.
_PLAIN_NAME = re.compile(r"[A-Za-z]{1,20}(?:[_.:-][A-Za-z]{1,20}){0,8}|\d{1,4}(?:\.\d{1,4}){1,3}")


class PluginState(StrEnum):
    """What became of a plugin."""

    ACTIVE = "active"
    DISABLED = "disabled"
    FAILED = "failed"


@dataclass
class Plugin:
    """One plugin and what became of it.

    Attributes:
        name: The entry point's name.
        module: The module that it names.
        distribution: The distribution that brought it.
        version: That distribution's version.
        built_in: Whether it came with klepaas itself.
        state: What became of it.
        reason: Why it is not active. None: it is.
        hooks: The hooks it implements.
        tools: The tools it offers.
    """

    name: str
    module: str
    distribution: str
    version: str
    built_in: bool
    state: PluginState = PluginState.ACTIVE
    reason: str | None = None
    hooks: list[str] = field(default_factory=list)
    tools: list[str] = field(default_factory=list)

    @property
    def is_third_party(self) -> bool:
        """Whether it is of none of klepaas' own packages, however it was found."""
        return not self.built_in and self.module.partition(".")[0] not in _OUR_PACKAGES

    @property
    def source(self) -> str:
        """The distribution as people name it."""
        return f"{self.distribution} {self.version}".strip()


@dataclass(frozen=True)
class Candidate:
    """A plugin that could be loaded.

    Attributes:
        plugin: What its metadata says about it.
        entry_point: What loads it. None: its metadata is broken.
        trouble: What is broken. None: nothing.
    """

    plugin: Plugin
    entry_point: EntryPoint | None
    trouble: str | None = None


def candidates(found: Iterable[EntryPoint] | None = None) -> list[Candidate]:
    """What could be loaded: built-in plugins first, then the others, each by name.

    The order never depends on a file system or on the order of the path.

    Args:
        found: The entry points to choose from. None: those of the installed distributions.
    """
    chosen = _installed() if found is None else (Candidate(_describe(item, item.dist), item) for item in found)
    return sorted(chosen, key=lambda item: (not item.plugin.built_in, item.plugin.name, item.plugin.distribution))


def normalized(name: str) -> str:
    """The name as package names are compared: two that a person would take for one are one.

    Source: packaging.python.org, "Names and normalization".
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def _installed() -> Iterator[Candidate]:
    seen: set[str] = set()
    for distribution in distributions():
        # Most distributions have nothing for us; only the others are worth parsing.
        if f"[{PROJECT}]" not in (_read(distribution, "entry_points.txt") or ""):
            continue
        name = normalized(_name_of(distribution))
        if name in seen and name != PROJECT:
            continue  # a second copy further down the path, which no import reaches
        seen.add(name)
        yield from _offered_by(distribution)


def _offered_by(distribution: Distribution) -> Iterator[Candidate]:
    try:
        points = [point for point in distribution.entry_points if point.group == PROJECT]
    except Exception as exc:  # noqa: BLE001 -- guarded boundary: a stranger's metadata
        name = _name_of(distribution)
        plugin = Plugin(one_line(name), "", one_line(name), one_line(_version_of(distribution)), built_in=False)
        yield Candidate(plugin, None, f"its entry_points.txt cannot be read: {type(exc).__name__}")
        return
    for point in points:
        yield Candidate(_describe(point, distribution), point)


def _shown(text: str, max_chars: int) -> str:
    """A name as it may be shown. The rules of redaction are not loaded for plain words: every start comes by here."""
    return text if len(text) <= max_chars and _PLAIN_NAME.fullmatch(text) else one_line(text, max_chars)


def _describe(entry_point: EntryPoint, distribution: Distribution | None) -> Plugin:
    name = _name_of(distribution) if distribution else "unknown"
    return Plugin(
        name=_shown(entry_point.name, 100),
        module=_shown(entry_point.value, 200),
        distribution=_shown(name, 100),
        version=_shown(_version_of(distribution), 40) if distribution else "",
        built_in=normalized(name) == PROJECT and entry_point.value.partition(".")[0] in _OUR_PACKAGES,
    )


def _read(distribution: Distribution, file: str) -> str | None:
    try:
        return distribution.read_text(file)
    except (OSError, ValueError):  # unreadable, or not UTF-8
        return None


def _name_of(distribution: Distribution) -> str:
    return _header(distribution, "Name") or "unknown"


def _version_of(distribution: Distribution) -> str:
    return _header(distribution, "Version")


def _header(distribution: Distribution, header: str) -> str:
    try:
        return str(distribution.metadata[header] or "")
    except Exception:  # noqa: BLE001 -- guarded boundary: a stranger's metadata, missing or malformed
        return ""
