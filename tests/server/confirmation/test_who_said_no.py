"""A no may be the client's own: the answer and the audit say so, and name what this client's user can do next."""

import json
from collections.abc import Callable
from typing import Any

import anyio
import mcp_types as mt
import pytest
from fastmcp import Client

from klepaas import cli
from klepaas.app import App
from klepaas.asking_clients import after_a_no, where_to_confirm
from klepaas.testing import scale_timeout

from .conftest import Person

pytestmark = pytest.mark.anyio

Audited = Callable[[], list[dict[str, Any]]]
Build = Callable[..., App]
BY_ITSELF = "the client declined, perhaps without asking anybody"
# What they call themselves; each declines or cancels by itself where nobody sits in front of it.
ASKING = {"claude-code": "claude", "codex-mcp-client": "codex", "copilot-cli": "copilot"}
NEVER_ASKING = {
    "gemini-cli-mcp-client": "Gemini CLI",
    "qwen-code-mcp-client-klepaas": "Qwen Code",
    "opencode": "opencode",
    "continue-cli-client": "Continue",
    "Cline": "Cline",
}


async def _refusal(app: App, era: Any, name: str, person: Person | None) -> str:
    """What a destructive call answers to a client of that name."""
    who = mt.Implementation(name=name, version="1")
    asking: dict[str, Any] = {"elicitation_handler": person} if person else {}
    async with Client(app.server, mode=era, client_info=who, **asking) as client:
        with anyio.fail_after(scale_timeout(20)):
            result = await client.call_tool("delete", {"name": "web"}, raise_on_error=False)
    assert result.is_error
    text = result.content[0].text
    assert "nothing was changed" in text
    return str(text)


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_decline_and_a_cancel_are_the_clients_own_word_in_the_answer_and_in_the_audit(
    klepaas: Build, audited: Audited, action: str, era: Any
) -> None:
    text = await _refusal(klepaas(), era, "any-client", Person(action))

    (row,) = audited()
    assert BY_ITSELF in text
    assert (row["event"], row["outcome"], row["note"]) == ("refused", action, BY_ITSELF)


async def test_a_form_without_a_yes_is_an_answer_and_not_a_decline(klepaas: Build, audited: Audited, era: Any) -> None:
    text = await _refusal(klepaas(), era, "any-client", Person(False))

    (row,) = audited()
    assert "the question was answered, but not with a yes" in text
    assert BY_ITSELF not in text
    assert row["outcome"] == "no"


async def test_audit_show_says_that_perhaps_nobody_was_asked(
    klepaas: Build, era: Any, tmp_path: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await _refusal(klepaas(), era, "codex-mcp-client", Person("decline"))
    monkeypatch.setenv("KLEPAAS_STATE_DIR", str(tmp_path / "state"))

    assert await anyio.to_thread.run_sync(cli.run, ["audit", "show"]) == 0
    assert f"refused: decline ({BY_ITSELF})" in capsys.readouterr().out
    assert await anyio.to_thread.run_sync(cli.run, ["audit", "show", "--json"]) == 0
    assert BY_ITSELF in json.dumps(json.loads(capsys.readouterr().out))


@pytest.mark.parametrize("name", ASKING)
async def test_the_user_of_a_client_that_answers_by_itself_learns_how_to_be_asked(
    klepaas: Build, name: str, era: Any
) -> None:
    text = await _refusal(klepaas(), era, name, Person("decline"))

    assert f"run `{ASKING[name]}` without" in text
    assert "run `klepaas confirm plan-" in text


@pytest.mark.parametrize("name", NEVER_ASKING)
async def test_the_user_of_a_client_that_cannot_ask_learns_where_to_confirm(
    klepaas: Build, name: str, era: Any
) -> None:
    text = await _refusal(klepaas(), era, name, None)

    assert f"{NEVER_ASKING[name]} shows no questions" in text
    assert "run `klepaas confirm plan-" in text
    assert "KLEPAAS_POLICY" in text


def test_a_client_that_is_not_known_gets_the_general_words() -> None:
    for name in (None, "", "somebody", "x" * 10_000, "clau", "<script>"):
        assert "use a client that can ask a person (MCP elicitation)" in where_to_confirm(name, "delete", "plan-x")
        assert after_a_no(name, "delete", "decline", "plan-x").endswith("call delete again with the same arguments")
