"""Serves the tools of the gate's tests over stdio, as `klepaas serve` does."""

import importlib.util
import os
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

from klepaas import __main__ as entry
from klepaas.observability import configure_logging
from klepaas.settings import LogLevel, Settings

os.environ.update(entry._ENVIRONMENT)

import anyio

from klepaas.actions import _serve_stdio
from klepaas.app import create_app
from klepaas.plugins import Plugins


def main() -> None:
    spec = importlib.util.spec_from_file_location("gate_tools", Path(__file__).parents[1] / "gate" / "gate_tools.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["gate_tools"] = module
    spec.loader.exec_module(module)
    settings = Settings()
    configure_logging(LogLevel.INFO)
    app = create_app(settings, Plugins(settings, [EntryPoint("gate-tools", "gate_tools", "klepaas")]))
    anyio.run(_serve_stdio, app)


if __name__ == "__main__":
    main()
