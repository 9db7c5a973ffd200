"""Command-line clients of npm, each with a home of its own: a turn with a scripted model, by `make clients`."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from klepaas.testing import scale_timeout

from .environments import INSTALLED, NODE, environment
from .turns import LOG_LINE, Scene, stage

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(75))]

MODULES = INSTALLED / "command-line" / "node_modules"
REQUEST = "Deploy shop and tell me what is wrong with it."
ARGUMENTS = ["serve", "--writes"]


def _handed_on(scene: Scene) -> dict[str, str]:
    """What a client must be told to hand on to klepaas."""
    return {name: scene.variables[name] for name in ("HOME", "KUBECONFIG", "PATH")}


def _server(scene: Scene) -> dict[str, object]:
    return {"command": "klepaas", "args": ARGUMENTS, "env": _handed_on(scene)}


def _claude(scene: Scene) -> Sequence[str | Path]:
    file = scene.folder / "mcp.json"
    file.write_text(json.dumps({"mcpServers": {"klepaas": _server(scene)}}))
    program = MODULES / "@anthropic-ai" / "claude-code-linux-x64" / "claude"
    servers: list[str | Path] = ["--mcp-config", file, "--strict-mcp-config", "--allowedTools", "mcp__klepaas"]
    return [program, "-p", REQUEST, *servers]


def _codex(scene: Scene) -> Sequence[str | Path]:
    folder = Path(scene.variables["HOME"]) / ".codex"
    folder.mkdir()
    environment = "".join(f"{name} = {json.dumps(value)}\n" for name, value in _handed_on(scene).items())
    (folder / "config.toml").write_text(
        'model = "gpt-5"\nmodel_provider = "scripted"\ncheck_for_update_on_startup = false\n'
        f'[model_providers.scripted]\nname = "scripted"\nbase_url = "{scene.model.url}/v1"\n'
        'wire_api = "responses"\nenv_key = "OPENAI_API_KEY"\n'
        f'[mcp_servers.klepaas]\ncommand = "klepaas"\nargs = {json.dumps(ARGUMENTS)}\n'
        f"[mcp_servers.klepaas.env]\n{environment}"
        '[mcp_servers.klepaas.tools.deploy_application]\napproval_mode = "approve"\n'
    )
    return [NODE, MODULES / ".bin" / "codex", "exec", "--skip-git-repo-check", REQUEST]


def _gemini(scene: Scene) -> Sequence[str | Path]:
    folder = Path(scene.variables["HOME"]) / ".gemini"
    folder.mkdir()
    settings = {
        "mcpServers": {"klepaas": _server(scene)},
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "general": {"enableAutoUpdate": False},
        "privacy": {"usageStatisticsEnabled": False},
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    return [NODE, MODULES / ".bin" / "gemini", "--yolo", "--skip-trust", "--prompt", REQUEST]


def _copilot(scene: Scene) -> Sequence[str | Path]:
    folder = Path(scene.variables["HOME"]) / ".copilot"
    folder.mkdir()
    server = {**_server(scene), "type": "local", "tools": ["*"]}
    (folder / "mcp-config.json").write_text(json.dumps({"mcpServers": {"klepaas": server}}))
    program = INSTALLED / "copilot" / "node_modules" / ".bin" / "copilot-linux-x64"
    # The program reads its provider from the environment; `env` keeps this out of the environments of the others.
    provider = ["COPILOT_OFFLINE=true", f"COPILOT_PROVIDER_BASE_URL={scene.model.url}/v1", "COPILOT_MODEL=gpt-5"]
    home = f"COPILOT_HOME={folder}"
    return ["env", *provider, "COPILOT_AUTO_UPDATE=false", home, program, "-p", REQUEST, "--allow-all-tools"]


# What the model reads when nobody confirms: klepaas' words, or the client's own where it does not call klepaas at all.
CLIENTS: dict[str, tuple[Callable[[Scene], Sequence[str | Path]], str]] = {
    "Claude Code": (_claude, "nothing was changed"),
    "Codex": (_codex, "approval"),
    "Gemini CLI": (_gemini, "needs a person's confirmation"),
    "Copilot CLI": (_copilot, "nothing was changed"),
}


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_turn_lists_looks_deploys_reads_why_it_failed_and_is_not_confirmed(name: str, tmp_path: Path) -> None:
    environment("copilot" if name == "Copilot CLI" else "command-line")
    command, refusal = CLIENTS[name]
    async with stage(tmp_path) as scene:
        turn = await scene.play(command(scene))
    results, shown = turn.model.results, turn.describe()
    assert set(results) == {"get_overview", "deploy_application", "k8s_delete"}, shown
    assert "0 applications" in results["get_overview"], shown
    assert LOG_LINE in results["deploy_application"], shown
    assert refusal in results["k8s_delete"], shown
    assert turn.remains, shown
    assert turn.status == 0, shown
