"""How each command-line client of npm is given its model and klepaas, in a home of its own."""

import json
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from .environments import INSTALLED, NODE
from .turns import Scene

__all__ = ["COMMANDS", "Command"]

Command = Callable[[Scene, str], Sequence[str | Path]]
MODULES = INSTALLED / "command-line" / "node_modules"
REQUEST = "Deploy shop and tell me what is wrong with it."
ARGUMENTS = ["serve", "--writes"]


def _handed_on(scene: Scene) -> dict[str, str]:
    """What a client must be told to hand on to klepaas."""
    return {name: scene.variables[name] for name in ("HOME", "KUBECONFIG", "PATH")}


def _server(scene: Scene) -> dict[str, object]:
    return {"command": "klepaas", "args": ARGUMENTS, "env": _handed_on(scene)}


def _claude(scene: Scene, url: str) -> Sequence[str | Path]:
    file = scene.folder / "mcp.json"
    file.write_text(json.dumps({"mcpServers": {"klepaas": _server(scene)}}))
    program = MODULES / "@anthropic-ai" / "claude-code-linux-x64" / "claude"
    servers: list[str | Path] = ["--mcp-config", file, "--strict-mcp-config", "--allowedTools", "mcp__klepaas"]
    return [program, "-p", REQUEST, *servers]


def _codex(scene: Scene, url: str) -> Sequence[str | Path]:
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


def _gemini(scene: Scene, url: str) -> Sequence[str | Path]:
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


def _copilot(scene: Scene, url: str) -> Sequence[str | Path]:
    folder = Path(scene.variables["HOME"]) / ".copilot"
    folder.mkdir()
    server = {**_server(scene), "type": "local", "tools": ["*"]}
    (folder / "mcp-config.json").write_text(json.dumps({"mcpServers": {"klepaas": server}}))
    program = INSTALLED / "copilot" / "node_modules" / ".bin" / "copilot-linux-x64"
    # The program reads its provider from the environment; `env` keeps this out of the environments of the others.
    provider = ["COPILOT_OFFLINE=true", f"COPILOT_PROVIDER_BASE_URL={scene.model.url}/v1", "COPILOT_MODEL=gpt-5"]
    home = f"COPILOT_HOME={folder}"
    return ["env", *provider, "COPILOT_AUTO_UPDATE=false", home, program, "-p", REQUEST, "--allow-all-tools"]


def _opencode(scene: Scene, url: str) -> Sequence[str | Path]:
    folder = Path(scene.variables["XDG_CONFIG_HOME"]) / "opencode"
    folder.mkdir(parents=True)
    options = {"baseURL": f"{scene.model.url}/v1", "apiKey": "scripted"}
    models = {"gpt-5": {"name": "gpt-5"}}
    provider = {"npm": "@ai-sdk/openai-compatible", "name": "scripted", "options": options, "models": models}
    server = {"type": "local", "command": ["klepaas", *ARGUMENTS], "enabled": True, "environment": _handed_on(scene)}
    settings = {"provider": {"scripted": provider}, "model": "scripted/gpt-5", "small_model": "scripted/gpt-5"}
    (folder / "opencode.json").write_text(json.dumps({**settings, "share": "disabled", "mcp": {"klepaas": server}}))
    program = INSTALLED / "opencode" / "node_modules" / "opencode-linux-x64" / "bin" / "opencode"
    quiet = ["OPENCODE_DISABLE_AUTOUPDATE=1", "OPENCODE_DISABLE_MODELS_FETCH=1"]
    return ["env", *quiet, program, "run", "--auto", "--model", "scripted/gpt-5", REQUEST]


def _qwen_with_all_tools(scene: Scene, url: str) -> Sequence[str | Path]:
    return _qwen(scene, url, alwaysLoadTools=True)


def _qwen(scene: Scene, url: str, **more: object) -> Sequence[str | Path]:
    folder = Path(scene.variables["HOME"]) / ".qwen"
    folder.mkdir()
    settings = {
        "mcpServers": {"klepaas": {**_server(scene), **more}},
        "security": {"auth": {"selectedType": "openai"}},
        "general": {"enableAutoUpdate": False},
        "privacy": {"usageStatisticsEnabled": False},
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    program = INSTALLED / "qwen" / "node_modules" / ".bin" / "qwen"
    return ["env", "OPENAI_MODEL=gpt-5", NODE, program, "--yolo", "--prompt", REQUEST]


def _continue(scene: Scene, url: str) -> Sequence[str | Path]:
    file = scene.folder / "config.yaml"
    model: dict[str, object] = {
        "name": "scripted",
        "provider": "openai",
        "model": "gpt-4o",
        "apiBase": f"{scene.model.url}/v1",
    }
    model |= {"apiKey": "scripted", "roles": ["chat"], "capabilities": ["tool_use"]}
    server = {**_server(scene), "name": "klepaas", "type": "stdio"}
    settings = {"name": "own", "version": "1.0.0", "schema": "v1", "models": [model], "mcpServers": [server]}
    file.write_text(json.dumps(settings))  # YAML, too
    quiet = ["CONTINUE_TELEMETRY_ENABLED=0", "CONTINUE_CLI_ENABLE_TELEMETRY=0"]
    program = INSTALLED / "continue" / "node_modules" / ".bin" / "cn"
    return ["env", *quiet, NODE, program, "--config", file, "--auto", "--print", REQUEST]


def _cline(scene: Scene, url: str) -> Sequence[str | Path]:
    program = str(INSTALLED / "cline" / "node_modules" / ".bin" / "cline")
    lines = [
        [
            program,
            "auth",
            "openai",
            "--apikey",
            "scripted",
            "--modelid",
            "gpt-4o",
            "--baseurl",
            f"{scene.model.url}/v1",
        ],
        [program, "mcp", "add", "klepaas", "--transport", "streamableHttp", "--yes", url],
        [program, "--auto-approve", "true", REQUEST],
    ]
    return ["sh", "-c", " && ".join(map(shlex.join, lines))]


# Each by its name: the folder of its packages, and how it is run.
COMMANDS: dict[str, tuple[str, Command]] = {
    "Claude Code": ("command-line", _claude),
    "Codex": ("command-line", _codex),
    "Gemini CLI": ("command-line", _gemini),
    "Copilot CLI": ("copilot", _copilot),
    "opencode": ("opencode", _opencode),
    "Qwen Code": ("qwen", _qwen),
    "Qwen Code with alwaysLoadTools": ("qwen", _qwen_with_all_tools),
    "Continue": ("continue", _continue),
    "Cline": ("cline", _cline),
}
