"""A klepaas with nothing but the plugins of a test: no installed one, no setting of the person who runs the test.

A plugin still reads its own variables from the environment, as it does in production; a test sets them there.
"""

import contextlib
import inspect
import tempfile
from collections.abc import AsyncIterator, Mapping
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any

from klepaas.app import App, create_app
from klepaas.output.redaction import vault
from klepaas.plugins import Plugins
from klepaas.settings import Settings, given_only

__all__ = ["app_with"]


@contextlib.asynccontextmanager
async def app_with(*plugins: object, settings: Mapping[str, Any] | None = None) -> AsyncIterator[App]:
    """Put a klepaas together; plugins start when the first client connects, as they do when it serves.

    Args:
        plugins: Modules or objects with hooks, or single functions marked with `hookimpl`. A plugin that fails stops
            the test.
        settings: The server's settings that differ from their defaults, for example `{"mode": "writes"}`.

    Raises:
        PluginError: A plugin failed; the error says why.
    """
    functions = [plugin for plugin in plugins if inspect.isfunction(plugin)]
    others = [plugin for plugin in plugins if plugin not in functions]
    given = [*others, *([_module_of(functions)] if functions else [])]
    with tempfile.TemporaryDirectory(prefix="klepaas-test-") as folder:
        with given_only():
            chosen = Settings(**{"strict_plugins": True, "state_dir": folder, **(settings or {})})
        app = create_app(chosen, Plugins(chosen, [_Given(plugin, number) for number, plugin in enumerate(given)]))
        try:
            yield app
        finally:
            await app.host.aclose()
            # The process keeps the secrets that it has seen; those of one test are ordinary words to the next.
            vault.forget_all()


class _Given(EntryPoint):
    """An entry point whose module is here already."""

    def __init__(self, plugin: object, number: int) -> None:
        name = _name_of(plugin) or f"plugin-{number}"
        super().__init__(name, getattr(plugin, "__name__", type(plugin).__name__), "klepaas")
        vars(self)["plugin"] = plugin

    def load(self) -> Any:
        return vars(self)["plugin"]


def _name_of(plugin: object) -> str | None:
    """The name that its entry point would most likely have: `klepaas_weather.plugin` is "weather"."""
    if not isinstance(plugin, ModuleType):
        return None
    parts = [part for part in plugin.__name__.split(".") if part != "plugin"]
    return parts[-1].removeprefix("klepaas_").replace("_", "-") if parts else None


def _module_of(functions: list[Any]) -> ModuleType:
    module = ModuleType("hooks_of_a_test")
    for function in functions:
        setattr(module, function.__name__, function)
    return module
