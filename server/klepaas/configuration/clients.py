"""What each MCP client's configuration needs to start klepaas, or to reach one that serves HTTP.

Only text is made: no file of a client is read or changed. No secret is ever put into it.

Sources: the clients' own documentation, November 2026: modelcontextprotocol.io "Connect to local MCP servers" (Claude
Desktop), code.claude.com/docs "Connect Claude Code to tools via MCP", code.visualstudio.com/docs "MCP configuration
reference", cursor.com/docs "Model Context Protocol", Codex' "Configuration: mcp_servers", geminicli.com/docs "MCP
servers with the Gemini CLI", qwenlm.github.io "MCP servers", opencode.ai/docs "MCP servers", docs.github.com "Adding
MCP servers for GitHub Copilot CLI", docs.continue.dev "MCP servers", docs.cline.bot "Adding and configuring servers".
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from klepaas.output.quoting import json_text
from klepaas.portability.shell import command_line

__all__ = ["CLIENTS", "NAME", "Client", "Launch", "Snippet"]

NAME = "klepaas"
# Or it would ask the internet for a newer version of itself.
_QUIET_BRIDGE = {"FASTMCP_CHECK_FOR_UPDATES": "off"}
_NO_QUESTIONS = "It cannot ask a person, so changes that need a confirmation are refused and say where to confirm them."


@dataclass(frozen=True)
class Launch:
    """How klepaas is started, or where it is.

    Attributes:
        command: The full path of the program: clients have a search path of their own.
        arguments: Its arguments.
        variables: What its environment must have, none of it secret.
        url: Where it serves HTTP already. None: the client starts it.
        bridge: The program and arguments that carry standard input and output to that address.
    """

    command: str
    arguments: Sequence[str]
    variables: Mapping[str, str] = field(default_factory=dict)
    url: str | None = None
    bridge: Sequence[str] = ()


@dataclass(frozen=True)
class Snippet:
    """What to put where.

    Attributes:
        language: "json", "toml" or "yaml".
        text: The text.
        files: Where it belongs, each with what the place means.
        notes: What else to know, a sentence each.
        command: A command of the client that does the same. None: it has none.
    """

    language: str
    text: str
    files: Sequence[tuple[str, str]]
    notes: Sequence[str] = ()
    command: str | None = None


@dataclass(frozen=True)
class Client:
    """A client whose configuration is known.

    Attributes:
        title: Its name.
        write: Makes the snippet.
        command_first: Whether its own command is the better way than a file.
        http_only: Whether it can only reach a klepaas that serves HTTP.
    """

    title: str
    write: Callable[[Launch], Snippet]
    command_first: bool = False
    http_only: bool = False


def _json(value: Any) -> str:
    return json_text(value, indent=2)


def _started(launch: Launch) -> dict[str, Any]:
    entry: dict[str, Any] = {"command": launch.command, "args": list(launch.arguments)}
    return entry | ({"env": dict(launch.variables)} if launch.variables else {})


def _claude_desktop(launch: Launch) -> Snippet:
    entry = _started(launch)
    notes = ["Quit Claude Desktop and start it again: it reads the file at its start."]
    if launch.url:
        entry = {"command": launch.bridge[0], "args": [*launch.bridge[1:], launch.url], "env": _QUIET_BRIDGE}
        notes.append(
            "Claude Desktop's file only names programs to start, and its connectors are called from the internet, from "
            "where a loopback address cannot be reached. So FastMCP, which came with klepaas, carries the words across."
        )
    files = (
        ("~/Library/Application Support/Claude/claude_desktop_config.json", "macOS"),
        (r"%APPDATA%\Claude\claude_desktop_config.json", "Windows"),
        ("~/.config/Claude/claude_desktop_config.json", "Linux"),
    )
    return Snippet("json", _json({"mcpServers": {NAME: entry}}), files, notes)


def _claude_code(launch: Launch) -> Snippet:
    if launch.url:
        entry: dict[str, Any] = {"type": "http", "url": launch.url}
        command = ["claude", "mcp", "add", "--transport", "http", NAME, launch.url]
    else:
        entry = {"type": "stdio", **_started(launch)}
        variables = [word for name, value in launch.variables.items() for word in ("--env", f"{name}={value}")]
        command = ["claude", "mcp", "add", NAME, *variables, "--", launch.command, *launch.arguments]
    files = ((".mcp.json", "in a project's folder, for everybody who works on it"),)
    notes = (
        "`--scope user` after `add` makes it known in all your projects.",
        "A server of a project's file must be approved once: run `claude` in that folder and say yes. Until then "
        "`claude -p` runs without klepaas and does not say so.",
    )
    return Snippet("json", _json({"mcpServers": {NAME: entry}}), files, notes, command_line(command))


def _vscode(launch: Launch) -> Snippet:
    entry = {"type": "http", "url": launch.url} if launch.url else {"type": "stdio", **_started(launch)}
    added = command_line(["code", "--add-mcp", json.dumps({"name": NAME, **entry})])
    files = (
        (".vscode/mcp.json", "in a workspace"),
        ("the file that the command `MCP: Open User Configuration` opens", "for all workspaces"),
    )
    return Snippet("json", _json({"servers": {NAME: entry}}), files, (), added)


def _cursor(launch: Launch) -> Snippet:
    entry = {"url": launch.url} if launch.url else {"type": "stdio", **_started(launch)}
    files = (("~/.cursor/mcp.json", "for all projects"), (".cursor/mcp.json", "in a project's folder"))
    return Snippet("json", _json({"mcpServers": {NAME: entry}}), files, ("Switch it on in Cursor's settings.",))


def _codex(launch: Launch) -> Snippet:
    if launch.url:
        lines = [f"[mcp_servers.{NAME}]", f"url = {_toml(launch.url)}"]
        command = ["codex", "mcp", "add", NAME, "--url", launch.url]
    else:
        arguments = ", ".join(_toml(argument) for argument in launch.arguments)
        lines = [f"[mcp_servers.{NAME}]", f"command = {_toml(launch.command)}", f"args = [{arguments}]"]
        if launch.variables:
            lines += [
                "",
                f"[mcp_servers.{NAME}.env]",
                *(f"{key} = {_toml(value)}" for key, value in launch.variables.items()),
            ]
        variables = [word for name, value in launch.variables.items() for word in ("--env", f"{name}={value}")]
        command = ["codex", "mcp", "add", NAME, *variables, "--", launch.command, *launch.arguments]
    files = (
        ("~/.codex/config.toml", "for all projects"),
        (".codex/config.toml", "in a project that Codex trusts"),
    )
    return Snippet("toml", "\n".join(lines), files, (), command_line(command))


def _gemini(launch: Launch, folder: str = ".gemini") -> Snippet:
    entry = {"httpUrl": launch.url} if launch.url else _started(launch)
    files = (
        (f"~/{folder}/settings.json", "for all projects"),
        (f"{folder}/settings.json", "in a project's folder"),
    )
    return Snippet("json", _json({"mcpServers": {NAME: entry}}), files, (_NO_QUESTIONS,))


def _qwen(launch: Launch) -> Snippet:
    return _gemini(launch, ".qwen")


def _opencode(launch: Launch) -> Snippet:
    entry: dict[str, Any] = {"type": "remote", "url": launch.url, "enabled": True}
    if not launch.url:
        entry = {"type": "local", "command": [launch.command, *launch.arguments], "enabled": True}
        entry |= {"environment": dict(launch.variables)} if launch.variables else {}
    files = (
        ("~/.config/opencode/opencode.json", "for all projects"),
        ("opencode.json", "in a project's folder"),
    )
    document = {"$schema": "https://opencode.ai/config.json", "mcp": {NAME: entry}}
    return Snippet("json", _json(document), files, (_NO_QUESTIONS,))


def _copilot(launch: Launch) -> Snippet:
    entry = {"type": "http", "url": launch.url} if launch.url else {"type": "local", **_started(launch)}
    files = (("~/.copilot/mcp-config.json", "for all projects"),)
    return Snippet("json", _json({"mcpServers": {NAME: {**entry, "tools": ["*"]}}}), files)


def _continue(launch: Launch) -> Snippet:
    # Every JSON value is a value of YAML too, so that no quoting of our own is needed.
    entry = {"type": "streamable-http", "url": launch.url} if launch.url else {"type": "stdio", **_started(launch)}
    fields = [f"    {key}: {json.dumps(value)}" for key, value in entry.items()]
    lines = [f"name: {NAME}", "version: 1.0.0", "schema: v1", "mcpServers:", f"  - name: {NAME}", *fields]
    files = (
        (f".continue/mcpServers/{NAME}.yaml", "in a workspace, a file of its own"),
        ("~/.continue/config.yaml", "for all workspaces: only the list `mcpServers`"),
    )
    return Snippet("yaml", "\n".join(lines), files, (_NO_QUESTIONS,))


def _cline(launch: Launch) -> Snippet:
    entry = {"type": "streamableHttp", "url": launch.url, "disabled": False}
    files = (
        ("~/.cline/data/settings/cline_mcp_settings.json", "Cline's command line"),
        ("the file that MCP Servers > Configure > Configure MCP Servers opens", "Cline in an editor"),
    )
    notes = (
        "This is the form for HTTP: a server that it starts itself gets 2.7 seconds from Cline's command line, which "
        "then goes on without it and does not say so.",
        _NO_QUESTIONS,
    )
    return Snippet("json", _json({"mcpServers": {NAME: entry}}), files, notes)


def _toml(text: str) -> str:
    """A TOML string: JSON's escapes are among TOML's, but for pairs of them that are one character."""
    return json_text(text, wide=True)


CLIENTS: Mapping[str, Client] = {
    "claude-desktop": Client("Claude Desktop", _claude_desktop),
    "claude-code": Client("Claude Code", _claude_code, command_first=True),
    "vscode": Client("VS Code", _vscode),
    "cursor": Client("Cursor", _cursor),
    "codex": Client("Codex", _codex),
    "gemini": Client("Gemini CLI", _gemini),
    "qwen": Client("Qwen Code", _qwen),
    "opencode": Client("opencode", _opencode),
    "copilot": Client("Copilot CLI", _copilot),
    "continue": Client("Continue", _continue),
    "cline": Client("Cline", _cline, http_only=True),
}
