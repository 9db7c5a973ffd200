"""A klepaas whose only plugin is `gate_tools`, and clients of both eras."""

import importlib.util
import io
import itertools
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fastmcp import Client

from klepaas.app import App, create_app
from klepaas.observability import configure_logging
from klepaas.plugins import Plugins
from klepaas.settings import LogLevel, Mode, Settings

FOLDER = Path(__file__).parent
_numbers = itertools.count()


class _CurrentStderr(io.StringIO):
    """Writes to whatever `sys.stderr` is when it writes: pytest puts another there for each phase of a test."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)


def _follow_stderr() -> None:
    (handler,) = logging.getLogger().handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(_CurrentStderr())


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    """Logs as the server does, for `capsys` to see; afterwards everything is as it was."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, sys.excepthook, threading.excepthook, sys.unraisablehook
    configure_logging(LogLevel.INFO)
    _follow_stderr()
    yield
    root.handlers[:], sys.excepthook, threading.excepthook, sys.unraisablehook = before[0], *before[2:]
    root.setLevel(before[1])
    logging.captureWarnings(False)


@pytest.fixture(params=["legacy", "auto"])
def era(request: pytest.FixtureRequest) -> Any:
    """Both protocols: the handshake of 2025-11-25, and 2026-07-28."""
    return request.param


@pytest.fixture
def plugin() -> Iterator[ModuleType]:
    """The plugin's module, new for each test."""
    name = f"gate_tools_{next(_numbers)}"
    spec = importlib.util.spec_from_file_location(name, FOLDER / "gate_tools.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[name]


@pytest.fixture
def klepaas(plugin: ModuleType) -> Callable[..., App]:
    """Puts a klepaas together with the plugin; takes settings."""

    def build(**settings: Any) -> App:
        chosen = Settings(**settings)
        return create_app(chosen, Plugins(chosen, [EntryPoint("gate-tools", plugin.__name__, "klepaas")]))

    return build


@pytest.fixture
def client(klepaas: Callable[..., App], era: Any) -> Client[Any]:
    """A client of a read-only klepaas; of one that allows writes: `writer`."""
    return Client(klepaas().server, mode=era)


@pytest.fixture
def writer(klepaas: Callable[..., App], era: Any) -> Client[Any]:
    """A client of a klepaas that allows writes, with a person who confirms everything."""

    async def confirm(*_: Any) -> dict[str, bool]:
        return {"confirm": True}

    return Client(klepaas(mode=Mode.WRITES).server, mode=era, elicitation_handler=confirm)
