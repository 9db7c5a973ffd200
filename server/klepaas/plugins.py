"""The plugin host: loads plugins, calls their hooks, and survives all of it.

Every plugin, built in or not, is an entry point in the group `klepaas` (`klepaas.discovery` finds them). The built-in
ones come first and their names are reserved: pluggy alone would let whichever distribution the file system lists first
win. A plugin that fails in any way (import error, exit, wrong hook argument, unknown hook, error in a hook, a name that
is taken) is left out, with the reason and its distribution kept; with strict plugins it stops the start.

Every exception is caught on purpose where a stranger's code is loaded, registered or called, `SystemExit` and a
stranger's subclass of BaseException included; only Ctrl-C and the cancellation of the server itself pass. What no guard
in one process can stop is a plugin that never returns from an import or blocks the event loop.
"""

import asyncio
import inspect
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any, Generic, TypeVar

import anyio
import pluggy
from pydantic import ValidationError

from klepaas.discovery import Candidate, Plugin, PluginState, candidates, normalized
from klepaas.hookspecs import PROJECT, Hooks
from klepaas.host import Host
from klepaas.observability import one_line, stdout_to_stderr
from klepaas.settings import Settings, SettingsError, what_is_wrong

__all__ = ["Contribution", "Plugin", "PluginError", "PluginState", "Plugins", "describe_error"]

log = logging.getLogger(__name__)
T = TypeVar("T")

# A start hook may not hold up the server; a stop hook may not hold up its end.
START_LIMIT_S = 5.0
STOP_LIMIT_S = 5.0
# More than any plugin has; a hook that never stops yielding must not fill the memory.
_MOST_ITEMS = 1000


class PluginError(Exception):
    """A plugin failed while plugins are strict."""


class HookError(Exception):
    """A hook gave something else than its specification says."""


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
        self._modules: dict[str, Any] = {}
        self._started: list[Plugin] = []
        self.all: list[Plugin] = []
        # Told whenever a plugin is left out; they return at once and raise nothing.
        self.listeners: list[Callable[[], None]] = []
        for candidate in candidates(found):
            self._load(candidate)
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
            reason: Why, one sentence; it may quote a stranger's text.

        Raises:
            PluginError: Plugins are strict.
        """
        plugin.state = PluginState.FAILED
        plugin.reason = one_line(reason)
        # By its module and not by its name, which may be another plugin's: that may be why it fails.
        module = self._modules.get(plugin.name) if self._owner(plugin.name) is plugin else None
        if module is not None and self._manager.is_registered(module):
            self._manager.unregister(module)
        for listener in self.listeners:
            listener()
        if self._settings.strict_plugins:
            raise PluginError(f"plugin {plugin.name} ({plugin.source}): {plugin.reason}")
        log.warning("plugin %s (%s) is left out: %s", plugin.name, plugin.source, plugin.reason)

    async def start(self, host: Host) -> None:
        """Call the start hooks, in order; a plugin whose hook fails or takes too long is left out.

        Raises:
            PluginError: A start hook failed and plugins are strict; what had started before it is stopped.
        """
        self._started = []
        for plugin in self.active:
            failure = await self._run(plugin, "klepaas_start", host, START_LIMIT_S)
            if failure is None:
                self._started.append(plugin)
                continue
            try:
                self.fail(plugin, f"its start hook failed: {failure}")
            except PluginError:
                await self.stop(host)
                raise

    async def stop(self, host: Host) -> None:
        """Call the stop hooks of the plugins that started, last first; a failure is logged.

        It runs to its end also where the server itself is cancelled: that is when letting go matters.
        """
        with anyio.CancelScope(shield=True):
            while self._started:
                plugin = self._started.pop()
                failure = await self._run(plugin, "klepaas_stop", host, STOP_LIMIT_S)
                if failure is not None:
                    log.warning("the stop hook of plugin %s (%s) failed: %s", plugin.name, plugin.source, failure)

    def _owner(self, name: str) -> Plugin | None:
        """The plugin that has this name; names that differ only in case, '-', '_' or '.' count as one."""
        return next((other for other in self.all if normalized(other.name) == normalized(name)), None)

    def _load(self, candidate: Candidate) -> None:
        plugin = candidate.plugin
        owner = self._owner(plugin.name)
        if owner and (owner.module, owner.distribution) == (plugin.module, plugin.distribution):
            return  # the same distribution seen twice on the path
        self.all.append(plugin)
        if not plugin.built_in and not self._settings.external_plugins:
            plugin.state, plugin.reason = PluginState.DISABLED, "plugins of other distributions are off"
        elif candidate.entry_point is None:
            self.fail(plugin, candidate.trouble or "its metadata is broken")
        elif owner:
            claim = "is reserved for the plugin built into" if owner.built_in else "is already taken by"
            self.fail(plugin, f"the name {plugin.name!r} {claim} {owner.source}")
        elif plugin.name in self._settings.disabled_plugins:
            plugin.state, plugin.reason = PluginState.DISABLED, "disabled by the settings"
        else:
            self._import(plugin, candidate.entry_point)

    def _import(self, plugin: Plugin, entry_point: EntryPoint) -> None:
        try:
            with stdout_to_stderr():
                module = entry_point.load()
        except KeyboardInterrupt:
            raise
        except BaseException as exc:  # noqa: BLE001 -- guarded boundary: a stranger's code
            self.fail(plugin, f"cannot be imported: {describe_error(exc)}")
            return
        try:
            self._register(plugin, module)
        except KeyboardInterrupt:
            raise
        except BaseException as exc:  # noqa: BLE001 -- guarded boundary: a stranger's code
            self.fail(plugin, f"cannot be registered: {describe_error(exc)}")

    def _register(self, plugin: Plugin, module: Any) -> None:
        if module is None:
            raise HookError("its entry point names nothing")
        for hook in vars(Hooks):
            function = getattr(module, hook, None) if hook.startswith(f"{PROJECT}_") else None
            if inspect.isfunction(function) and not hasattr(function, f"{PROJECT}_impl"):
                raise HookError(f"{hook} is not marked with @klepaas.hookspecs.hookimpl")
        self._modules[plugin.name] = module
        self._manager.register(module, name=plugin.name)
        plugin.hooks = sorted(caller.name for caller in self._manager.get_hookcallers(module) or [])

    def _refuse_unknown_hooks(self) -> None:
        while True:
            try:
                self._manager.check_pending()
            except pluggy.PluginValidationError as exc:
                plugin = next(item for item in self.active if self._modules.get(item.name) is exc.plugin)
                known = {hook for hook in vars(Hooks) if hook.startswith(f"{PROJECT}_")}
                unknown = ", ".join(hook for hook in plugin.hooks if hook not in known)
                self.fail(plugin, f"implements a hook that klepaas does not have: {unknown}")
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
            with stdout_to_stderr():
                return _items(caller(**arguments), kind)
        except KeyboardInterrupt:
            raise
        except HookError as exc:
            self.fail(plugin, f"{hook} {exc}")
        except BaseException as exc:  # noqa: BLE001 -- guarded boundary: a stranger's code
            self.fail(plugin, f"{hook} failed: {describe_error(exc)}")
        return []

    async def _run(self, plugin: Plugin, hook: str, host: Host, limit_s: float) -> str | None:
        """Call a start or stop hook.

        Returns:
            What went wrong, or None.
        """
        caller = self._implementation(plugin, hook)
        if caller is None:
            return None
        try:
            with stdout_to_stderr(), anyio.move_on_after(limit_s) as limit:
                for result in caller(host=host):
                    if not inspect.isawaitable(result):
                        return f"it gave a {type(result).__name__} where an awaitable or None belongs"
                    await result
        except KeyboardInterrupt:
            raise
        except BaseException as exc:
            if isinstance(exc, asyncio.CancelledError) and _is_being_cancelled():
                raise
            return describe_error(exc)
        return f"no end within {limit_s:g} s" if limit.cancelled_caught else None


def describe_error(exc: BaseException) -> str:
    """An exception of a stranger's code in one clean line; broken settings are named by their variables."""
    if isinstance(exc, ValidationError | SettingsError):
        return one_line(f"the settings are wrong: {what_is_wrong(exc)}")
    try:
        text = str(exc)
    except Exception:  # noqa: BLE001 -- guarded boundary: a stranger's __str__
        text = "its text cannot be read"
    return one_line(f"{type(exc).__name__}: {text or 'no message'}")


def _items(results: Any, kind: type[T]) -> list[T]:
    """What a hook gave, run to its end in here, where a late error of a generator is still its plugin's.

    Raises:
        HookError: It gave something else than items of this kind.
    """
    if not results:  # pluggy drops None
        raise HookError(f"gave nothing; it must give an iterable of {kind.__name__}, which may be empty")
    items: list[T] = []
    for result in results:
        if inspect.iscoroutine(result):
            result.close()
        if not isinstance(result, Iterable):
            raise HookError(f"gave a {type(result).__name__} where an iterable of {kind.__name__} belongs")
        items += itertools.islice(result, _MOST_ITEMS + 1)
    if len(items) > _MOST_ITEMS:
        raise HookError(f"gave more than {_MOST_ITEMS} items")
    for item in items:
        if not isinstance(item, kind):
            raise HookError(f"gave a {type(item).__name__} where a {kind.__name__} belongs")
    return items


def _is_being_cancelled() -> bool:
    """Whether this task is asked to stop: a hook may also await something of its own that was cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
