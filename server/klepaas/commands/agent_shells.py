"""Shells that belong to an agent, as far as the agents say so themselves, by variables that they set in them.

This keeps an agent from confirming a change by mistake, and a model from being told to. It protects from nobody who
wants to: whoever runs a command chooses its environment. Aider sets no such variable, and others may not either.
"""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["KNOWN", "AgentShell", "find_agent"]


@dataclass(frozen=True)
class AgentShell:
    """A variable that an agent sets where it runs commands.

    Attributes:
        variable: The variable; any value that is not empty counts.
        agent: Whose it is.
        source: Where that is said, or was seen.
    """

    variable: str
    agent: str
    source: str


_DETECT_AGENT = "vercel/vercel, packages/detect-agent"
_AGENTS_MD = "agentsmd/agents.md, issue 136"
KNOWN = (
    AgentShell("CLAUDECODE", "Claude Code", "code.claude.com/docs/en/env-vars"),
    AgentShell("CLAUDE_CODE", "Claude Code", _DETECT_AGENT),
    AgentShell("CODEX_SANDBOX", "Codex", "openai/codex, codex-rs/core/src/spawn.rs"),
    AgentShell("CODEX_SANDBOX_NETWORK_DISABLED", "Codex", "openai/codex, codex-rs/core/src/spawn.rs"),
    AgentShell("CODEX_THREAD_ID", "Codex", "openai/codex, codex-rs/core/src/exec_env.rs"),
    AgentShell("CODEX_CI", "Codex", "openai/codex, codex-rs/core/src/unified_exec/process_manager.rs"),
    AgentShell("GEMINI_CLI", "Gemini CLI", "google-gemini/gemini-cli, docs/tools/shell.md"),
    AgentShell("QWEN_CODE", "Qwen Code", "QwenLM/qwen-code, shellExecutionService.ts"),
    AgentShell("CURSOR_AGENT", "Cursor", _DETECT_AGENT),
    AgentShell("COPILOT_CLI", "Copilot CLI", "seen in @github/copilot 1.0.102"),
    AgentShell("COPILOT_AGENT", "Copilot in VS Code", "microsoft/vscode, pull request 316267"),
    AgentShell("COPILOT_AGENT_SESSION_ID", "Copilot CLI", "seen in @github/copilot 1.0.102"),
    AgentShell("OPENCODE", "opencode", "anomalyco/opencode, pull request 34062"),
    AgentShell("OPENCODE_CLIENT", "opencode", _DETECT_AGENT),
    AgentShell("CLINE_ACTIVE", "Cline", "docs.cline.bot, cline/cline discussion 5366"),
    AgentShell("GOOSE_TERMINAL", "Goose", "block/goose, crates/goose-mcp, developer"),
    AgentShell("AMP_CURRENT_THREAD_ID", "Amp", _DETECT_AGENT),
    AgentShell("AUGMENT_AGENT", "Augment", "docs.augmentcode.com/cli/reference"),
    AgentShell("ANTIGRAVITY_AGENT", "Antigravity", "vercel/vercel, pull request 15413"),
    AgentShell("TRAE_AI_SHELL_ID", "Trae", _AGENTS_MD),
    AgentShell("CRUSH", "Crush", "charmbracelet/crush, internal/shell"),
    AgentShell("PI_CODING_AGENT", "Pi", _AGENTS_MD),
    AgentShell("AI_AGENT", "an agent", "vercel/vercel, packages/detect-agent, README"),
    AgentShell("AGENT", "an agent", _AGENTS_MD),
)


def find_agent(environment: Mapping[str, str]) -> AgentShell | None:
    """The agent whose shell this is. None: none says so.

    Args:
        environment: The variables of this process.
    """
    return next((known for known in KNOWN if environment.get(known.variable)), None)
