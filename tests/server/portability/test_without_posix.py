"""klepaas where POSIX is missing. Windows itself has not been seen: its absence of things is what can be shown here."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.server.portability.hiding import MODULES, OS_NAMES, SIGNALS

from klepaas.testing import scale_timeout

ROOT = Path(__file__).parents[3]
PRODUCT = [ROOT / folder for folder in ("server", "plugins", "providers", "agents")]
PORTABILITY = ROOT / "server" / "klepaas" / "portability"
PLACES = {*(f"os.{name}" for name in OS_NAMES), *(f"signal.{name}" for name in SIGNALS)}
OTHERS = {"AF_UNIX", "add_reader", "add_signal_handler", "add_writer", "open_signal_receiver"}
COMMANDS = (
    "--version",
    "plugins list --strict-plugins",
    "tools list --json",
    "doctor",
    "config check",
    "config client claude-desktop",
    "completion bash",
    "audit show",
    "call get_overview --json",
    "demo --json",
)


@pytest.mark.timeout(scale_timeout(60))
def test_every_module_is_imported_and_the_main_commands_run_without_what_windows_lacks(tmp_path: Path) -> None:
    foreign = ("KLEPAAS_", "KUBE", "PYTEST_")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    variables |= {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("hiding.py")), *COMMANDS],
        env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=scale_timeout(60),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stderr.splitlines()[-1])
    assert said["modules"] > 300
    # Without a kubeconfig there is no cluster to look at, and both say so.
    expected = {line: 1 if line.startswith(("call", "doctor")) else 0 for line in COMMANDS}
    assert said["codes"] == expected, done.stderr[-3000:]
    assert "Traceback" not in done.stderr


def posix_only(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            yield node.module
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            place = f"{node.value.id}.{node.attr}"
            if place in PLACES or node.attr in OTHERS:
                yield place


def test_what_only_posix_has_is_used_in_one_package_alone() -> None:
    allowed = {("failpoints.py", "signal.SIGKILL")}  # guarded there; it is for tests
    files = [path for folder in PRODUCT for path in folder.rglob("*.py") if PORTABILITY not in path.parents]
    assert len(files) > 300
    found = {(path.name, use) for path in files for use in posix_only(ast.parse(path.read_text(encoding="utf-8")))}
    assert found == allowed


def test_text_files_are_opened_with_an_encoding() -> None:
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--preview", "--select", "PLW1514"]
    done = subprocess.run([*command, *PRODUCT], capture_output=True, text=True, timeout=scale_timeout(60))
    assert done.returncode == 0, done.stdout


def test_types_are_checked_for_windows_too() -> None:
    assert "--platform win32" in (ROOT / "Makefile").read_text()
