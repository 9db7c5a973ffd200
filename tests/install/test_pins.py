"""The files of pinned packages are complete, and whoever installs from one does it without resolving."""

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from klepaas.testing import scale_timeout

ROOT = Path(__file__).parents[2]
FILES = {"constraints.txt": [], "constraints-dev.txt": ["--group", "dev"]}
_TEXTS = ("Makefile", "README.md", ".ci/*", "docs/**/*.md", "examples/**/*.md", "deploy/**/*", "tests/**/*.toml")


def check(pins: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the check as the Makefile does."""
    command = [sys.executable, str(ROOT / ".ci" / "check_pins.py"), str(pins), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=scale_timeout(60))


@pytest.fixture(scope="module")
def checker() -> Iterator[ModuleType]:
    """The check as a module, which a test of each fault needs no process for."""
    spec = importlib.util.spec_from_file_location("check_pins", ROOT / ".ci" / "check_pins.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["check_pins"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["check_pins"]


@pytest.mark.parametrize("name", FILES)
def test_the_pins_are_complete_for_every_python_and_system(name: str) -> None:
    done = check(ROOT / name, *FILES[name])
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("line", "instead", "says"),
    [
        (r"^uvicorn==", "uvicorn-else==", "the project needs uvicorn, which is not pinned"),
        (r"^pywin32==", "pywin32-else==", "mcp .* needs pywin32, which is not pinned .* on win32"),
        (r"^(truststore.*)!= 'emscripten'", r"\1== 'darwin'", "needs truststore, which is not .* on linux"),
        (r"^(anyio==[^ ]+)", r"\1 ; python_version > '3.11'", "needs anyio.*, which is not pinned .*Python 3.11"),
        (r"^anyio==[\d.]+", "anyio==4.0", "needs anyio>=4.10, but anyio==4.0 is pinned"),
        (r"^anyio==[\d.]+", "anyio==4.0", "anyio is pinned to 4.0, and is "),
        (r"^(anyio==[^\\]*)\\\n( +--hash.*\n)+", r"\1\n", "anyio is pinned without a hash"),
        (r"^(anyio==[^ ]+)", "anyio==9.9 --hash=sha256:0\n\\1", "needs anyio.*, which is 2 times pinned"),
    ],
)  # fmt: skip
def test_a_pin_that_is_missing_narrower_older_or_without_a_hash_is_named(
    line: str, instead: str, says: str, tmp_path: Path, checker: ModuleType
) -> None:
    pins, count = re.subn(line, instead, (ROOT / "constraints.txt").read_text(), flags=re.MULTILINE)
    assert count == 1
    (tmp_path / "pins.txt").write_text(pins)
    said = "\n".join(checker.check(tmp_path / "pins.txt", ROOT, None).lines())
    assert re.search(says, said), said


def test_the_check_fails_and_names_the_file_and_the_package(tmp_path: Path) -> None:
    pins = (ROOT / "constraints.txt").read_text().replace("\nuvicorn==", "\nuvicorn-else==")
    (tmp_path / "pins.txt").write_text(pins)
    done = check(tmp_path / "pins.txt")
    assert done.returncode == 1
    assert re.search("pins.txt: .*uvicorn, which is not pinned", done.stderr), done.stderr


def test_nothing_installs_from_a_file_of_pins_by_resolving() -> None:
    found = []
    for path in sorted({path for pattern in _TEXTS for path in ROOT.glob(pattern) if path.is_file()}):
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        found += [(path.relative_to(ROOT), line) for line in text.splitlines() if _installs_pins(line)]
    assert {str(path) for path, _ in found} >= {"Makefile", ".ci/try-wheel"}
    assert not [f"{path}: {line.strip()}" for path, line in found if "--no-deps" not in line]
    assert not [f"{path}: {line.strip()}" for path, line in found if "--require-hashes" not in line]


def _installs_pins(line: str) -> bool:
    return bool(re.search(r"(-r|--requirements?)[ =]\S+\.txt", line)) and "uv pip compile" not in line


def test_every_file_of_pins_is_installed_with_a_check_that_it_is_complete() -> None:
    recipes = (ROOT / "Makefile").read_text() + (ROOT / ".ci" / "try-wheel").read_text()
    for name in FILES:
        assert re.search(rf"--require-hashes -r {re.escape(name)}\n.*check_pins\.py {re.escape(name)}", recipes)
