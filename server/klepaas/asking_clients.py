"""What the user of a client can do next, where a change needs a person's yes and none came.

What a client can do is what it says of itself; its name only chooses the words, and a name that is not known gets the
general ones. What was seen of each client stands in `docs/clients.md`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["after_a_no", "where_to_confirm"]

_POLICY = "or have the person who runs klepaas set the policy (KLEPAAS_POLICY) to auto for this target"


@dataclass(frozen=True)
class _Known:
    """A client whose way of asking is known.

    Attributes:
        title: Its name.
        quiet: How it runs where nobody can be asked, and answers by itself. None: it never asks.
        asks: What its user does to be asked. None: it never asks.
    """

    title: str
    quiet: str | None = None
    asks: str | None = None


# The beginning of the name that a client gives itself in the handshake, in small letters; the longer one counts.
_KNOWN: Mapping[str, _Known] = {
    "claude-code": _Known("Claude Code", "`claude -p`", "run `claude` without -p, where somebody can answer"),
    "codex": _Known("Codex", "`codex exec`", "run `codex` without exec, where somebody can answer"),
    "copilot": _Known("Copilot CLI", "`copilot -p`", "run `copilot` without -p, where somebody can answer"),
    "github-copilot": _Known("Copilot", "`copilot -p`", "run `copilot` without -p, where somebody can answer"),
    "gemini": _Known("Gemini CLI"),
    "qwen": _Known("Qwen Code"),
    "opencode": _Known("opencode"),
    "continue": _Known("Continue"),
    "cline": _Known("Cline"),
}


def where_to_confirm(client: str | None, tool: str, plan_id: str) -> str:
    """What to do next where the client cannot ask a person.

    Args:
        client: What the client calls itself. None: it did not say.
        tool: The tool that was not run.
        plan_id: The plan that a person may confirm at a terminal.
    """
    known, terminal = _find(client), _at_the_terminal(tool, plan_id)
    terminal = terminal[:1].upper() + terminal[1:]
    if known is None:
        return f"{terminal}; or use a client that can ask a person (MCP elicitation), {_POLICY}"
    if known.asks:
        return f"{terminal}; or in {known.title}, {known.asks}, {_POLICY}"
    return f"{terminal}; {known.title} shows no questions, so use a client that can ask (MCP elicitation), {_POLICY}"


def after_a_no(client: str | None, tool: str, reason: str, plan_id: str | None = None) -> str:
    """What to do next where the answer was no yes.

    Args:
        client: What the client calls itself. None: it did not say.
        tool: The tool that was not run.
        reason: Why it was not run, in one word.
        plan_id: The plan that a person may still confirm at a terminal. None: there is none.
    """
    asked = "Ask the person what they want before you call it again"
    if reason not in ("decline", "cancel", "failed") or plan_id is None:
        return asked
    known = _find(client)
    if known is None or known.quiet is None:
        return f"{asked}; if nobody saw a question, {_at_the_terminal(tool, plan_id)}"
    quiet = f"if nobody saw a question ({known.quiet} answers by itself)"
    return f"{asked}; {quiet}, {known.asks}, or {_at_the_terminal(tool, plan_id)}"


def _at_the_terminal(tool: str, plan_id: str) -> str:
    return (
        f"let the person run `klepaas confirm {plan_id}` in a terminal of their own, within 10 minutes, "
        f"then call {tool} again with the same arguments"
    )


def _find(client: str | None) -> _Known | None:
    name = (client or "").casefold().replace(" ", "-")
    fitting = [beginning for beginning in _KNOWN if name.startswith(beginning)]
    return _KNOWN[max(fitting, key=len)] if fitting else None
