"""An index on which every pinned package has a newer release, and the pips that Debian's and Python's venv bring."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.version import Version

from klepaas.testing import scale_timeout

from .wheels import Index, digest, repack

ROOT = Path(__file__).parents[2]
_PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)")
_HASHES = re.compile(r"( \\\n    --hash=sha256:[0-9a-f]{64})+")


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Index]:
    """What `make install` reads of a clone, pinned to wheels that the index holds beside newer releases."""
    folder, wheels = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("wheels")
    index = Index(tmp_path_factory.mktemp("index"))

    def pin_ours(line: re.Match[str]) -> str:
        name, version = line["name"], line["version"]
        ours = repack(name, version, _installed(name), wheels)
        newer = f"{version.partition('.post')[0]}.post{(Version(version).post or 0) + 1}"
        for wheel in (ours, repack(name, newer, _installed(name), wheels)):
            index.add(wheel)
        return f"{line['name']}=={version}{line['rest']} \\\n    --hash=sha256:{digest(ours)}"

    pins = (ROOT / "constraints-dev.txt").read_text()
    whole = re.compile(_PIN.pattern + r"(?P<rest>[^\n]*?)" + _HASHES.pattern)
    (folder / "constraints-dev.txt").write_text(whole.sub(pin_ours, pins))
    for name in ("Makefile", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / ".ci", folder / ".ci")
    for package in (
        "server/klepaas",
        "plugins/klepaas_plugins",
        "providers/klepaas_providers",
        "agents/klepaas_agents",
    ):
        (folder / package).mkdir(parents=True)
        shutil.copy(ROOT / package / "__init__.py", folder / package)
    return folder, index


@pytest.fixture(scope="session")
def old_pip(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Get the wheel of an old pip by hash. Where no package registry can be reached the test is skipped."""

    def get(version: str) -> Path:
        folder = tmp_path_factory.mktemp("pip")
        pins = Path(__file__).with_name(f"pip-{version}.txt")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        try:
            got = subprocess.run(
                [*command, "--retries", "1", "--timeout", "20", "--dest", str(folder), "--requirement", str(pins)],
                capture_output=True,
                text=True,
                timeout=scale_timeout(60),
            )
        except subprocess.TimeoutExpired:
            _give_up(f"pip {version}: the package registry does not answer")
        if got.returncode:
            _give_up(f"pip {version} cannot be had: {got.stderr.strip().splitlines()[-1]}")
        return next(folder.glob("*.whl"))

    return get


def _give_up(reason: str) -> None:
    if os.environ.get("KLEPAAS_TEST_EXTERNAL") == "required":
        pytest.fail(reason)
    pytest.skip(reason)
