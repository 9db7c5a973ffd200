"""The official inspector, as a person would use it, against `klepaas serve` on both transports and in both eras.

With `--strict` it looks at every tool's schema for what some clients cannot read.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.served import SERVE

from klepaas.testing import scale_timeout

from .conftest import Kit

LIMIT_S = scale_timeout(40)


class Inspector:
    """One server, through the inspector's command line."""

    def __init__(self, kit: Kit, config: Path, era: str) -> None:
        self._kit = kit
        self._words = ["--cli", "--config", str(config), "--server", "klepaas", "--protocol-era", era]

    def ask(self, method: str, *words: str, code: int = 0) -> dict[str, Any]:
        """The result of a method; the program must end with this exit code."""
        done = self._kit.run(
            "mcp-inspector", *self._words, "--format", "json", "--method", method, *words, limit_s=LIMIT_S
        )
        assert done.returncode == code, done.stdout + done.stderr
        result: dict[str, Any] = json.loads(done.stdout)["result"]
        return result


@pytest.fixture(params=["stdio", "http"])
def config(request: pytest.FixtureRequest, environment: dict[str, str], tmp_path: Path) -> Path:
    """The inspector's file that says where klepaas is."""
    if request.param == "http":
        server: dict[str, Any] = {"type": "streamable-http", "url": request.getfixturevalue("url")}
    else:
        # The inspector hands on nothing of its own environment.
        handed_on = {
            name: value for name, value in environment.items() if name.startswith(("PYTHON", "KLEPAAS", "KUBE"))
        }
        server = {"command": SERVE[0], "args": SERVE[1:], "env": handed_on}
    path = tmp_path / "mcp.json"
    path.write_text(json.dumps({"mcpServers": {"klepaas": server}}))
    return path


@pytest.mark.timeout(scale_timeout(75))
@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_finds_nothing_in_the_schemas_and_every_method_answers(era: str, kit: Kit, config: Path) -> None:
    inspector = Inspector(kit, config, era)
    listed = [tool["name"] for tool in inspector.ask("tools/list", "--strict")["tools"]]
    assert {"deploy_application", "k8s_get", "test_simple_text"} <= set(listed)
    answer = inspector.ask("tools/call", "--tool-name", "test_simple_text")
    assert answer["content"][0]["text"] == "This is a simple text response for testing."
    assert "resources" in inspector.ask("resources/list")
    assert "prompts" in inspector.ask("prompts/list")
