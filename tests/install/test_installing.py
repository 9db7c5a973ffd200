"""`make install` on a fresh machine: the pip that Python brings, and an index that has gone on since."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from klepaas.testing import scale_timeout

from .wheels import Index

ROOT = Path(__file__).parents[2]
_VENV = """#!/bin/sh
set -e
if [ "$1 $2" = "-m venv" ]; then
    "{python}" -m venv --without-pip "$3"
    exec "$3/bin/python" -m zipfile -e "{pip}" "$3"/lib/python*/site-packages
fi
exec "{python}" "$@"
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(params=["22.3", "23.0"])
def pip_version(request: pytest.FixtureRequest) -> str:
    """A pip that Python 3.11's venv and Debian bring."""
    return str(request.param)


@pytest.fixture
def clone(tmp_path: Path, checkout: tuple[Path, Index]) -> Path:
    """A fresh clone."""
    return Path(shutil.copytree(checkout[0], tmp_path / "clone"))


@pytest.fixture
def run(
    pip_version: str, clone: Path, tmp_path: Path, checkout: tuple[Path, Index], old_pip: Callable[[str], Path]
) -> Run:
    """Run a command in a fresh clone whose Python makes environments with an old pip and asks our index alone."""
    if sys.version_info >= (3, 12):
        pytest.skip("pip 22.3 and 23.0 run on Python 3.11 alone; the venv of a newer Python brings a newer one")
    python = tmp_path / "python"
    python.write_text(_VENV.format(python=sys.executable, pip=old_pip(pip_version)))
    python.chmod(0o755)
    foreign = ("PIP_", "PYTHON", "VIRTUAL_ENV", "MAKE")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    variables |= {"PIP_INDEX_URL": checkout[1].url, "PIP_CONFIG_FILE": os.devnull, "PYTHON": str(python)}
    variables |= {"HOME": str(tmp_path), "PIP_NO_CACHE_DIR": "1"}

    def run_command(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=clone, env=variables, capture_output=True, text=True, timeout=scale_timeout(60)
        )

    return run_command


@pytest.mark.timeout(scale_timeout(75))
def test_make_install_works_with_an_old_pip_when_every_pinned_package_has_a_newer_release(
    run: Run, clone: Path, pip_version: str
) -> None:
    done = run("make", "install")
    assert done.returncode == 0, done.stdout + done.stderr
    pins = re.findall(r"^([\w.-]+)==([^ \n]+)", (ROOT / "constraints-dev.txt").read_text(), re.MULTILINE)
    found = dict(installed_in(clone / ".venv"))
    assert "klepaas" in found
    assert len(found) > 50
    assert found.items() - {(canonicalize_name(name), version) for name, version in pins} == {
        ("klepaas", found["klepaas"])
    }
    if pip_version == "22.3":  # the index is the same for both
        resolving_takes_a_newer_release_and_finds_that_it_has_no_hash(run)


def installed_in(venv: Path) -> Iterator[tuple[str, str]]:
    """Each package of an environment with its version."""
    for folder in venv.glob("lib/python*/site-packages"):
        for found in distributions(path=[str(folder)]):
            yield canonicalize_name(found.metadata["Name"]), found.version


def resolving_takes_a_newer_release_and_finds_that_it_has_no_hash(run: Run) -> None:
    """The index does what happened with the pip that Python brings: an extra's newer release is chosen."""
    assert run("../python", "-m", "venv", "old").returncode == 0
    options = ("--dry-run", "--ignore-installed", "--require-hashes")
    resolved = run("old/bin/python", "-m", "pip", "install", *options, "-r", "constraints-dev.txt")
    assert resolved.returncode != 0
    assert ".post1" in resolved.stderr
