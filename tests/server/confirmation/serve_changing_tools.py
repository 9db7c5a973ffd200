"""Serves the tools of the confirmation's tests over stdio, as `klepaas serve --writes` does."""

import importlib.util
import os
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

from klepaas import __main__ as entry

os.environ.update(entry._ENVIRONMENT)

import anyio

from klepaas.actions import _serve_stdio
from klepaas.app import create_app
from klepaas.observability import configure_logging
from klepaas.plugins import Plugins
from klepaas.settings import LogLevel, Mode, Settings


def main() -> None:
    spec = importlib.util.spec_from_file_location("changing_tools", Path(__file__).parent / "changing_tools.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["changing_tools"] = module
    spec.loader.exec_module(module)
    settings = Settings(mode=Mode.WRITES)
    configure_logging(LogLevel.INFO)
    anyio.run(_serve_stdio, create_app(settings, Plugins(settings, [EntryPoint("world", "changing_tools", "klepaas")])))


if __name__ == "__main__":
    main()
