"""`make install` on a fresh machine: the pip that Python brings, and an index that has gone on since."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

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
def run(
    request: pytest.FixtureRequest, tmp_path: Path, checkout: tuple[Path, Index], old_pip: Callable[[str], Path]
) -> Run:
    """Run a command in a fresh clone whose Python makes environments with an old pip and asks our index alone."""
    if sys.version_info >= (3, 12):
        pytest.skip("pip 22.3 and 23.0 run on Python 3.11 alone; the venv of a newer Python brings a newer one")
    clone, index = tmp_path / "clone", checkout[1]
    shutil.copytree(checkout[0], clone)
    python = tmp_path / "python"
    python.write_text(_VENV.format(python=sys.executable, pip=old_pip(request.param)))
    python.chmod(0o755)
    foreign = ("PIP_", "PYTHON", "VIRTUAL_ENV", "MAKE")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    variables |= {"PIP_INDEX_URL": index.url, "PIP_CONFIG_FILE": os.devnull, "PYTHON": str(python)}
    variables |= {"HOME": str(tmp_path), "PIP_NO_CACHE_DIR": "1"}

    def run_command(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=clone, env=variables, capture_output=True, text=True, timeout=scale_timeout(60)
        )

    return run_command


@pytest.mark.timeout(scale_timeout(75))
def test_make_install_works_with_an_old_pip_when_every_pinned_package_has_a_newer_release(run: Run) -> None:
    done = run("make", "install")
    assert done.returncode == 0, done.stdout + done.stderr
    pins = re.findall(r"^([\w.-]+)==([^ \n]+)", (ROOT / "constraints-dev.txt").read_text(), re.MULTILINE)
    listed = run(".venv/bin/python", "-m", "pip", "list", "--format=freeze").stdout.split()
    assert {line for line in listed if not line.startswith(("pip==", "klepaas=="))} <= {"==".join(pin) for pin in pins}
    assert any(line.startswith("klepaas==") for line in listed)
    # The index does what happened: resolving takes an extra's newer release, and finds that it has no hash.
    resolved = run(
        ".venv/bin/python",
        "-m",
        "pip",
        "install",
        "--dry-run",
        "--ignore-installed",
        "--require-hashes",
        "-r",
        "constraints-dev.txt",
    )
    assert resolved.returncode != 0
    assert ".post1" in resolved.stderr
