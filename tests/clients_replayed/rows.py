"""The clients of docs/clients.md and the frameworks of docs/agents.md, as they were seen on the wire in November 2026.

A row says what a client sends and what of the answers its model gets; `wire` speaks like it, and `test_replays` has
every row do the same things.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["FRAMEWORKS", "MODERN", "ROWS", "TERMINALS", "Form", "Result", "Row", "row_of"]

MODERN = "2026-07-28"
Result = Mapping[str, Any]
Form = tuple[object, ...]
FORM: Mapping[str, Any] = {"elicitation": {"form": {}, "url": {}}}


def _text(result: Result) -> str:
    return "\n".join(block["text"] for block in result["content"] if block["type"] == "text")


def _structured_first(result: Result) -> str:
    facts = result.get("structuredContent")
    return json.dumps(facts, ensure_ascii=False) if facts else _text(result)


def _text_and_structured(result: Result) -> str:
    return f"{_text(result)}\n\n{json.dumps(result.get('structuredContent'), ensure_ascii=False)}"


def _whole(result: Result) -> str:
    return json.dumps(result, ensure_ascii=False)


def _content(result: Result) -> str:
    return json.dumps(result["content"], ensure_ascii=False)


def _repr(result: Result) -> str:
    return repr(result)


def _middle_cut(most: int) -> Callable[[str], str]:
    return lambda text: text if len(text) <= most else f"{text[: most // 2]}...{text[-most // 2 :]}"


def _beginning(most: int, kept: int) -> Callable[[str], str]:
    return lambda text: text if len(text) <= most else text[:kept]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One client.

    Attributes:
        name: Its name.
        called: What it calls itself.
        version: What it offers over stdio: `MODERN` by discovery, or the version of its `initialize`.
        http: The same over HTTP. None: as over stdio.
        probe: Whether it asks `server/discover` first, also where it then initializes.
        capabilities: What it says it can do.
        elicitation: What it answers to a question where nobody sits in front of it. None: it cannot be asked.
        progress: Whether it sends a progress token.
        limit_s: When it gives a call up. None: no limit was hit.
        extends: Whether progress extends that limit.
        empty: What it sends for an optional argument that the model left out. None: nothing.
        nested: Whether lists and maps come as JSON text.
        checks: What it looks at before it calls: the whole schema, or only what is required. None: nothing.
        success: What its model gets of a result.
        error: What its model gets of a result that is an error. None: the same.
        cut: How it cuts a long result.
    """

    name: str
    called: str
    version: str = "2025-11-25"
    http: str | None = None
    probe: bool = False
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    elicitation: Literal["cancel", "decline"] | None = None
    progress: bool = True
    limit_s: float | None = None
    extends: bool = False
    empty: Literal["null", '""'] | None = None
    nested: bool = False
    checks: Literal["schema", "required"] | None = None
    success: Callable[[Result], str] = _text
    error: Callable[[Result], str] | None = None
    cut: Callable[[str], str] = str

    def shows(self, result: Result) -> str:
        """What the model gets of a result."""
        passes = self.error if result.get("isError") and self.error else self.success
        return self.cut(passes(result))

    def form(self, version: str) -> Form:
        """What tells its requests after the handshake from another client's; who share it have the same turn."""
        return version, self.elicitation, self.progress, self.empty, self.nested


TERMINALS = (
    Row(
        name="Claude Code", called="claude-code", version=MODERN, probe=True, elicitation="cancel",
        capabilities={"roots": {"listChanged": True}, **FORM},
        success=_structured_first, error=_text, cut=_beginning(50_000, 2_000),
    ),
    Row(
        name="Claude Code that falls back", called="claude-code", version="2025-11-25", probe=True,
        elicitation="cancel", capabilities={"roots": {"listChanged": True}, **FORM},
        success=_structured_first, error=_text, cut=_beginning(50_000, 2_000),
    ),
    Row(
        name="Codex", called="codex-mcp-client", version="2025-06-18", elicitation="decline",
        capabilities={**FORM, "experimental": {"codex/auth-change": {}}},
        success=_structured_first, error=_structured_first, cut=_middle_cut(12_000),
    ),
    Row(
        name="Gemini CLI", called="gemini-cli-mcp-client", version="2025-06-18",
        capabilities={"roots": {"listChanged": True}}, error=_whole, checks="schema",
        cut=lambda text: text if len(text) <= 40_000 else text[:8_000] + text[-32_000:],
    ),
    Row(
        name="opencode", called="opencode", capabilities={"roots": {}}, limit_s=60, extends=True,
        cut=_beginning(50_000, 2_000),
    ),
    Row(
        name="Copilot CLI", called="copilot-cli", version=MODERN, probe=True, elicitation="decline",
        capabilities={**FORM, "sampling": {}}, success=_text_and_structured, cut=_beginning(15_000, 500),
    ),
    Row(
        name="Qwen Code", called="qwen-code-mcp-client",
        capabilities={"extensions": {"io.modelcontextprotocol/ui": {}}, "roots": {}},
        success=lambda result: f"{json.dumps(result.get('structuredContent'))}\n{_text(result)}", error=_whole,
        cut=_beginning(15_000, 2_000), checks="schema",
    ),
    Row(name="Continue", called="continue-cli-client", progress=False, success=_content, checks="required"),
    Row(
        name="Cline", called="Cline", version="2024-11-05", http="2025-11-25", progress=False, success=_whole,
    ),
)  # fmt: skip

FRAMEWORKS = (
    Row(
        name="pydantic-ai", called="pydantic-ai", version=MODERN, probe=True, elicitation="decline",
        capabilities=FORM, success=_structured_first,
    ),
    Row(name="langchain-mcp-adapters", called="mcp", capabilities=FORM, elicitation="decline"),
    Row(
        name="openai-agents", called="mcp", version=MODERN, probe=True, limit_s=5, progress=False, empty='""',
        nested=True,
    ),
    Row(name="llama-index", called="mcp", limit_s=30, empty="null", success=_repr),
    Row(name="strands-agents", called="mcp", version=MODERN, probe=True),
    Row(name="agno", called="mcp", limit_s=10, progress=False, error=_repr),
    Row(name="mcp-use", called="mcp", elicitation="decline", capabilities=FORM, success=_whole),
    Row(name="semantic-kernel", called="mcp", success=_repr),
    Row(name="autogen-ext", called="mcp", limit_s=5, progress=False),
    Row(name="google-adk", called="mcp", success=_whole),
    Row(name="smolagents", called="mcp", success=_structured_first),
    Row(name="crewai", called="mcp", empty="null", nested=True),
    Row(
        name="@modelcontextprotocol/sdk 1", called="sdk-client", limit_s=60, extends=True, success=_whole,
        elicitation="decline", capabilities=FORM,
    ),
    Row(
        name="@modelcontextprotocol/client 2", called="sdk-client", version=MODERN, probe=True, limit_s=60,
        extends=True, success=_whole, elicitation="decline", capabilities=FORM,
    ),
    Row(name="@ai-sdk/mcp", called="ai-sdk-mcp-client", elicitation="decline", capabilities=FORM),
    Row(name="@langchain/mcp-adapters", called="langchain"),
    Row(
        name="@mastra/mcp", called="mastra", version=MODERN, probe=True, elicitation="decline", capabilities=FORM,
        success=_whole, error=_text,
    ),
)  # fmt: skip

ROWS = (*TERMINALS, *FRAMEWORKS)


def row_of(name: str) -> Row:
    """A row by its name."""
    return next(row for row in ROWS if row.name == name)
