"""The environment that a client hands to klepaas (its own API keys among it) never reaches a child process."""

import ast
import json
from pathlib import Path

import pytest

from klepaas.external.child import child_environment
from klepaas.external.declaration import StdioServer
from klepaas_plugins.kubernetes import demo
from klepaas_plugins.kubernetes.client import exec_plugins

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
KEYS = (
    *("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "AZURE_OPENAI_API_KEY"),
    *("AWS_BEARER_TOKEN_BEDROCK", "GITHUB_TOKEN", "HF_TOKEN", "KLEPAAS_SLACK_BOT_TOKEN", "SOME_SECRET", "LD_PRELOAD_X"),
    # Of the clouds, and not what their plugins log in with.
    *(
        "AZURE_DEVOPS_EXT_PAT",
        "AZURE_STORAGE_KEY",
        "AWS_SECRETS_OF_OTHERS",
        "GOOGLE_MAPS_KEY",
        "DIGITALOCEAN_SPACES_KEY",
    ),
    *("CLOUDSDK_AUTH_ACCESS_TOKEN", "OCI_CLI_UNKNOWN", "NCLOUD_OTHER_KEY", "KUBELOGIN_X", "ARM_ACCESS_KEY"),
)
_PLUGIN = """#!/usr/bin/env python3
import json, os
print(json.dumps({"status": {"token": json.dumps(dict(os.environ))}}))
"""


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a client may have in its own environment."""
    for name in KEYS:
        monkeypatch.setenv(name, "planted-secret")
    monkeypatch.setenv("AWS_PROFILE", "prod")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("aws", ["eks", "get-token"]), ("gke-gcloud-auth-plugin", []), ("kubelogin", ["get-token"]), ("own-plugin", [])],
)
async def test_a_credential_plugin_gets_no_key_of_the_client(name: str, arguments: list[str], tmp_path: Path) -> None:
    program = tmp_path / name
    program.write_text(_PLUGIN)
    program.chmod(0o755)
    env = [{"name": "GIVEN", "value": "by the kubeconfig"}]
    spec = {"apiVersion": "v1", "command": str(program), "args": arguments, "env": env}
    got = json.loads((await exec_plugins.run(spec, "prod", tmp_path, {})).token or "")
    assert "planted-secret" not in got.values()
    assert got["GIVEN"] == "by the kubeconfig"
    assert ("AWS_PROFILE" in got) is (name == "aws")
    assert "PATH" in got


def test_an_external_server_gets_no_key_of_the_client() -> None:
    got = child_environment(StdioServer(("server",), env={"GIVEN": "x"}), {"TOKEN": "its own"})
    assert "planted-secret" not in got.values()
    assert got["GIVEN"] == "x"
    assert got["TOKEN"] == "its own"


def test_the_servers_of_the_demo_get_no_key_of_the_client(tmp_path: Path) -> None:
    transport = demo._client(tmp_path / "kubeconfig").transport
    assert transport.env
    assert "planted-secret" not in transport.env.values()


def test_nothing_else_starts_a_process() -> None:
    starts = {"Popen", "run_process", "open_process", "create_subprocess_exec", "create_subprocess_shell"}
    found = set()
    for path in (
        item for folder in ("server", "plugins", "providers", "agents") for item in (ROOT / folder).rglob("*.py")
    ):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute | ast.Name):
                word = node.attr if isinstance(node, ast.Attribute) else node.id
                started = isinstance(node, ast.Attribute) and ast.unparse(node) in ("processes.start", "os.system")
                if word in starts | {"StdioTransport", "create_windows_process"} or started:
                    found.add(path.name)
    assert found == {"processes.py", "child.py", "exec_plugins.py", "demo.py"}
