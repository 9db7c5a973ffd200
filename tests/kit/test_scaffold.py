"""`klepaas plugin new` makes a plugin that keeps the rules, and refuses in one line what it cannot make.

That the plugin can be installed, type-checked and called by a client is seen in tests/examples.
"""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from klepaas.cli import run
from klepaas.errors import BadRequest
from klepaas.scaffold import create
from klepaas.testing import scale_timeout

LONGEST = "an-overlong-name-for-it1"
FILES = {
    *(".gitignore", "README.md", "pyproject.toml", "tests/conftest.py", "tests/test_promises.py"),
    *("tests/test_tools.py", "tests/snapshots/weather-map.json"),
    *(f"klepaas_weather_map/{name}.py" for name in ("__init__", "client", "plugin", "settings", "tools")),
    "klepaas_weather_map/py.typed",
}


@pytest.fixture
def logging_as_it_was() -> Iterator[None]:
    """The command line sets up the logging of its process, which is the tests' own here."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, sys.excepthook, threading.excepthook, sys.unraisablehook
    yield
    root.handlers[:], sys.excepthook, threading.excepthook, sys.unraisablehook = before[0], *before[2:]
    root.setLevel(before[1])
    logging.captureWarnings(False)


def _run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=scale_timeout(50),
        check=False,
    )


def test_every_file_is_made_and_no_mark_is_left_in_it(tmp_path: Path) -> None:
    folder = create("weather-map", tmp_path)
    made = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert made == FILES
    assert not [name for name in made if "{{" in (folder / name).read_text()]
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("name", ["ab", "weather", LONGEST])
def test_it_is_clean_however_long_its_name_is(name: str, tmp_path: Path) -> None:
    folder = create(name, tmp_path)
    for words in (("check",), ("format", "--check", "--diff")):
        result = _run(folder, "ruff", *words, "--no-cache")
        assert result.returncode == 0, result.stdout + result.stderr


def test_its_own_tests_pass(tmp_path: Path) -> None:
    result = _run(create("two-words", tmp_path), "pytest", "-q", "-p", "no:cacheprovider")
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr
    assert "20 passed" in result.stdout


@pytest.mark.parametrize(
    "name", ["", "a", "-x", "x-", "a--b", "Ab", "9a", "a_b", "a b", "../x", "a/b", "a" * 25, "ab\n", "날씨"]
)
def test_a_bad_name_is_refused_and_nothing_is_made(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="is no name for a plugin") as caught:
        create(name, tmp_path)
    assert caught.value.line.isprintable()
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_left_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "klepaas-weather"
    folder.mkdir()
    (folder / "mine").write_text("mine")
    with pytest.raises(BadRequest, match="is there already"):
        create("weather", tmp_path)
    assert [path.name for path in folder.iterdir()] == ["mine"]


def test_a_link_to_nowhere_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "klepaas-weather").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadRequest, match="is there already"):
        create("weather", tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_cannot_hold_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="is not a folder"):
        create("weather", tmp_path / "missing")
    with pytest.raises(BadRequest, match="cannot be made"):
        create("weather", Path("/proc"))


@pytest.mark.usefixtures("logging_as_it_was")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("kubernetes", "is the name of a plugin built into klepaas"),
        ("klepaas", "is the name of a plugin built into klepaas"),
        ("k8s", "The tool k8s_get of a plugin 'k8s' is already offered by kubernetes"),
        ("Bad", "is no name for a plugin"),
    ],
)
def test_the_command_refuses_in_one_line(
    name: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plugin", "new", name, "--into", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("klepaas: ")
    assert reason in said.err
    assert said.err.count("\n") == 1


@pytest.mark.usefixtures("logging_as_it_was")
def test_the_command_says_what_to_do_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plugin", "new", "weather", "--into", str(tmp_path)]) == 0
    assert f"cd {tmp_path / 'klepaas-weather'}\n" in capsys.readouterr().out
    assert run(["plugin"]) == 0
    assert "make a new plugin" in capsys.readouterr().out
