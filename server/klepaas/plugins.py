"""The plugin host: finds plugins, loads them, calls their hooks, and survives all of it.

Every plugin, built in or not, is an entry point in the group `klepaas`. The built-in ones come first and their names
are reserved: pluggy alone would let whichever distribution the file system lists first win. A plugin that fails in any
way (import error, exit, wrong hook argument, unknown hook, error in a hook, a name that is taken) is left out, with the
reason and its distribution kept; with strict plugins it stops the start.

Three places here catch every exception on purpose: loading, registering and calling a stranger's code.
"""

import contextlib
import inspect
import logging
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

import anyio
import pluggy

from klepaas.hookspecs import PROJECT, Hooks
from klepaas.host import Host
from klepaas.output.redaction import redact_text
from klepaas.settings import Settings

__all__ = ["Contribution", "Plugin", "PluginError", "PluginState", "Plugins"]

log = logging.getLogger(__name__)
T = TypeVar("T")

# A start hook may not hold up the server; a stop hook may not hold up its end.
START_LIMIT_S = 5.0
STOP_LIMIT_S = 5.0


class PluginError(Exception):
    """A plugin failed while plugins are strict."""


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
    def source(self) -> str:
        """The distribution as people name it."""
        return f"{self.distribution} {self.version}".strip()


@dataclass(frozen=True)
class Contribution(Generic[T]):
    """One thing that a plugin adds, with where it came from."""

    plugin: Plugin
    item: T


class Plugins:
    """The plugins of one klepaas.

    Args:
        settings: Says which plugins are left out and whether a failure is fatal.
        found: The entry points to load. None: those of the installed distributions.

    Raises:
        PluginError: A plugin failed and the settings are strict.
    """

    def __init__(self, settings: Settings, found: Iterable[EntryPoint] | None = None) -> None:
        self._settings = settings
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(Hooks)
        self.all: list[Plugin] = []
        for entry_point in _in_order(entry_points(group=PROJECT) if found is None else found):
            self._load(entry_point)
        self._refuse_unknown_hooks()

    @property
    def active(self) -> list[Plugin]:
        """The plugins that take part, built-in ones first."""
        return [plugin for plugin in self.all if plugin.state is PluginState.ACTIVE]

    def contributions(self, hook: str, kind: type[T], **arguments: Any) -> Iterator[Contribution[T]]:
        """Call a hook of every active plugin, each by itself.

        Args:
            hook: The hook's name.
            kind: What each item must be.
            arguments: The hook's arguments.

        Yields:
            Every item of every plugin whose call went well as a whole.
        """
        for plugin in self.active:
            for item in self._call(plugin, hook, kind, arguments):
                yield Contribution(plugin, item)

    def fail(self, plugin: Plugin, reason: str) -> None:
        """Leave a plugin out from now on.

        Args:
            plugin: The plugin.
            reason: Why, one sentence.

        Raises:
            PluginError: Plugins are strict.
        """
        plugin.state = PluginState.FAILED
        plugin.reason = redact_text(reason)
        if self._manager.has_plugin(plugin.name):
            self._manager.unregister(name=plugin.name)
        log.warning("plugin %s (%s) is left out: %s", plugin.name, plugin.source, plugin.reason)
        if self._settings.strict_plugins:
            raise PluginError(f"plugin {plugin.name} ({plugin.source}): {plugin.reason}")

    async def start(self, host: Host) -> None:
        """Call the start hooks, in order; a plugin whose hook fails or takes too long is left out.

        Raises:
            PluginError: A start hook failed and plugins are strict.
        """
        for plugin in self.active:
            failure = await self._run(plugin, "klepaas_start", host, START_LIMIT_S)
            if failure:
                self.fail(plugin, f"its start hook failed: {failure}")

    async def stop(self, host: Host) -> None:
        """Call the stop hooks of the plugins that started, last first; a failure is logged."""
        for plugin in reversed(self.active):
            failure = await self._run(plugin, "klepaas_stop", host, STOP_LIMIT_S)
            if failure:
                log.warning("the stop hook of plugin %s failed: %s", plugin.name, redact_text(failure))

    def _load(self, entry_point: EntryPoint) -> None:
        plugin = _describe(entry_point)
        claimed = next((other for other in self.all if other.name == plugin.name), None)
        if claimed and (claimed.module, claimed.distribution) == (plugin.module, plugin.distribution):
            return  # the same distribution seen twice on the path
        self.all.append(plugin)
        if claimed:
            kind = "is reserved for the plugin built into" if claimed.built_in else "is already taken by"
            self.fail(plugin, f"the name {plugin.name!r} {kind} {claimed.source}")
        elif plugin.name in self._settings.disabled_plugins:
            plugin.state, plugin.reason = PluginState.DISABLED, "disabled by the settings"
        elif not plugin.built_in and not self._settings.external_plugins:
            plugin.state, plugin.reason = PluginState.DISABLED, "plugins of other distributions are off"
        else:
            self._import(plugin, entry_point)

    def _import(self, plugin: Plugin, entry_point: EntryPoint) -> None:
        try:
            with _stdout_to_stderr():
                module = entry_point.load()
        except (Exception, SystemExit) as exc:  # noqa: BLE001 -- guarded boundary: a stranger's code
            self.fail(plugin, f"cannot be imported: {_describe_error(exc)}")
            return
        try:
            self._manager.register(module, name=plugin.name)
        except (Exception, SystemExit) as exc:  # noqa: BLE001 -- guarded boundary: a stranger's code
            self.fail(plugin, f"cannot be registered: {_describe_error(exc)}")
            return
        plugin.hooks = sorted(caller.name for caller in self._manager.get_hookcallers(module) or [])

    def _refuse_unknown_hooks(self) -> None:
        while True:
            try:
                self._manager.check_pending()
            except pluggy.PluginValidationError as exc:
                plugin = next(item for item in self.active if self._manager.get_plugin(item.name) is exc.plugin)
                self.fail(plugin, f"implements a hook that klepaas does not have: {_describe_error(exc)}")
            else:
                return

    def _implementation(self, plugin: Plugin, hook: str) -> pluggy.HookCaller | None:
        """The hook, bound to this one plugin; None where the plugin does not implement it."""
        if hook not in plugin.hooks:
            return None
        others = [module for name, module in self._manager.list_name_plugin() if name != plugin.name]
        return self._manager.subset_hook_caller(hook, others)

    def _call(self, plugin: Plugin, hook: str, kind: type[T], arguments: dict[str, Any]) -> list[T]:
        caller = self._implementation(plugin, hook)
        if caller is None:
            return []
        try:
            with _stdout_to_stderr():
                # A hook may be a generator: it is run to its end in here, where its error is still this plugin's.
                items = [item for result in caller(**arguments) for item in result]
        except (Exception, SystemExit) as exc:  # noqa: BLE001 -- guarded boundary: a stranger's code
            self.fail(plugin, f"{hook} failed: {_describe_error(exc)}")
            return []
        strange = next((item for item in items if not isinstance(item, kind)), None)
        if strange is not None:
            self.fail(plugin, f"{hook} gave a {type(strange).__name__} where a {kind.__name__} belongs")
            return []
        return items

    async def _run(self, plugin: Plugin, hook: str, host: Host, limit_s: float) -> str | None:
        """Call a start or stop hook.

        Returns:
            What went wrong, or None.
        """
        caller = self._implementation(plugin, hook)
        if caller is None:
            return None
        try:
            with anyio.fail_after(limit_s):
                for result in caller(host=host):
                    if inspect.isawaitable(result):
                        await result
        except TimeoutError:
            return f"no end within {limit_s:g} s"
        except (Exception, SystemExit) as exc:  # noqa: BLE001 -- guarded boundary: a stranger's code
            return _describe_error(exc)
        return None


def _in_order(found: Iterable[EntryPoint]) -> list[EntryPoint]:
    """Built-in plugins first, then the others; each group by name, so that the order never depends on a file system."""
    return sorted(found, key=lambda item: (not _describe(item).built_in, item.name, _describe(item).distribution))


def _describe(entry_point: EntryPoint) -> Plugin:
    distribution = entry_point.dist
    name = distribution.name if distribution else "unknown"
    version = distribution.version if distribution else ""
    return Plugin(entry_point.name, entry_point.value, name, version, built_in=name == PROJECT)


def _describe_error(exc: BaseException) -> str:
    first_line = str(exc).strip().splitlines()[0] if str(exc).strip() else "no message"
    return f"{type(exc).__name__}: {first_line}"


def _stdout_to_stderr() -> contextlib.AbstractContextManager[Any]:
    """Standard output is the protocol's; what a plugin prints goes to the log's stream instead."""
    return contextlib.redirect_stdout(sys.stderr)
