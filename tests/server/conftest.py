"""Real distributions on disk, and the command line in a process of its own."""

import json
import logging
import os
import subprocess
import sys
import textwrap
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, distribution, distributions
from pathlib import Path

import pytest

from klepaas import cli
from klepaas.testing import scale_timeout

# What the plugins that come with klepaas do is not the subject of the tests that use this.
BUILT_IN_OFF = json.dumps(
    sorted(point.name for point in distribution("klepaas").entry_points if point.group == "klepaas")
)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path, where distributions are installed; what was imported from it is forgotten afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    yield folder
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def distribute(site: Path) -> Callable[..., Path]:
    """Install a distribution: its metadata, its entry points, and one module named after it."""

    def write(
        name: str,
        code: str = "",
        *,
        version: str = "1.0",
        plugin: str | None = None,
        entry_points: str | None = None,
        module: str | None = None,
        folder: Path | None = None,
    ) -> Path:
        folder = folder or site
        folder.mkdir(exist_ok=True)
        module = module or f"{name.replace('-', '_')}_plugin"
        info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(entry_points or f"[klepaas]\n{plugin or name} = {module}\n")
        (folder / f"{module}.py").write_text(PREAMBLE + textwrap.dedent(code))
        return folder

    return write


# Every plugin of these tests begins like this.
PREAMBLE = """\
from typing import Annotated, Any

from klepaas import names
from klepaas.agents import DeploymentAgent
from klepaas.audit import AuditSink
from klepaas.changes import ChangeSet
from klepaas.errors import Conflict
from klepaas.external import ExternalProvider, HttpServer
from klepaas.hookspecs import (
    Command, DoctorCheck, Finding, HealthCheck, HealthReport, HealthStatus, Level, hookimpl,
)
from klepaas.notifications import NotificationSink
from klepaas.tools import Effect, Tool


async def plan_thing() -> ChangeSet:
    return ChangeSet.of_action("Changing the thing", kind="thing", name="thing")


def tool(name, effect=Effect.READ, text="done"):
    async def run() -> str:
        return text
    run.__name__ = name
    run.__doc__ = f"Do {name}."
    plan = plan_thing if effect is Effect.WRITE else None
    return Tool(run, effect, title=name, toolset="test", plan=plan)

"""


@pytest.fixture
def installed(site: Path) -> Callable[[], list[EntryPoint]]:
    """The entry points of what is installed on the site, and of nothing else."""

    def read() -> list[EntryPoint]:
        return [
            point
            for distribution in distributions(path=[str(site)])
            for point in distribution.entry_points
            if point.group == "klepaas"
        ]

    return read


@pytest.fixture
def klepaas(site: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `klepaas` in a process of its own, with the site on its path and the built-in plugins off."""

    def run(
        *words: str,
        path: list[Path] | None = None,
        built_in: bool = False,
        timeout_s: float = scale_timeout(40),
        **variables: str,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "klepaas", *words],
            env=environment(path or [site], tmp_path, built_in=built_in, **variables),
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    return run


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def here(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Done]]:
    """Run `klepaas` in this process, with the site on its path and the built-in plugins off."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str, **variables: str) -> Done:
        with monkeypatch.context() as patch:
            for name in [name for name in os.environ if name.startswith(("KLEPAAS_", "KUBE"))]:
                patch.delenv(name)
            off = {"KLEPAAS_CONFIG": "", "KLEPAAS_DISABLED_PLUGINS": BUILT_IN_OFF}  # --config sets the first, too
            for name, value in (off | variables).items():
                patch.setenv(name, value)
            code = cli.run(list(words))
        said = capsys.readouterr()
        return Done(code, said.out, said.err)

    # A command sets up how its process speaks; the tests after this one speak as before.
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook, warnings.formatwarning
    yield run
    logging.captureWarnings(False)
    root.handlers[:], root.level = handlers, level
    sys.excepthook, threading.excepthook, sys.unraisablehook, warnings.formatwarning = hooks


@pytest.fixture
def klepaas_environment(site: Path, tmp_path: Path) -> dict[str, str]:
    """The environment in which `klepaas` runs in these tests."""
    return environment([site], tmp_path)


def environment(path: list[Path], home: Path, *, built_in: bool = False, **variables: str) -> dict[str, str]:
    foreign = ("KLEPAAS_", "KUBE", "FASTMCP_", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    kept |= {"PYTHONPATH": os.pathsep.join(str(folder) for folder in path), "HOME": str(home)}
    if not built_in:
        kept["KLEPAAS_DISABLED_PLUGINS"] = BUILT_IN_OFF
    return kept | variables
