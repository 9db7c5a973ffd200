"""Whatever speaks of confirmation says what the default policy decides: a write is made at once, what destroys is not.

A walk over the pages, the texts of the tools, the prompts and the instructions, and what the command line prints.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from klepaas.app import create_app
from klepaas.policy import Decision, Policy
from klepaas.settings import Mode, Settings
from klepaas.tools import Effect, Target

ROOT = Path(__file__).parents[2]
CLAIMS = re.compile(
    r"\b(?:is|are|be|being|been|was|were|has|have|must|needs?|asks?|asked|after|until|before|person|people|somebody)\b"
    r"[^.]{0,80}\bconfirm(?:s|ed|ation)?\b"
    r"|\bconfirm(?:s|ed)?\b[^.]{0,40}\b(?:first|before)"
    r"|사람의 확인을|확인받[습는]",
    re.IGNORECASE,
)
# A claim is true where it speaks of what destroys, of the policy and its words, or of a change that needs it.
QUALIFIED = re.compile(
    r"destr|delet|polic|decision|`auto`|`confirm`:|without_human|elicit|needs? (?:a|no|to be)|need a|where |when "
    r"|whether|which changes|counts as|that was not|not confirmed|confirm_|never|silence|dry run|if |unless|no person"
    r"|would answer|nobody is shown|정책|파괴|삭제|없애|필요|때",
    re.IGNORECASE,
)


def _sentences(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n|\n(?=[|#-])", text):
        yield from re.split(r"(?<=[.!?])\s+(?=[A-Z가-힣`\[])", re.sub(r"\s+", " ", paragraph))


def _texts() -> Iterator[tuple[str, str]]:
    for pattern in ("*.md", "docs/**/*.md", "docs/*.toml", "examples/**/*.md"):
        for file in ROOT.glob(pattern):
            if file.name != "CHANGELOG.md":
                yield str(file.relative_to(ROOT)), file.read_text(encoding="utf-8")
    for package in ("server", "plugins", "providers", "agents"):
        for file in (ROOT / package).rglob("*.toml"):
            yield str(file.relative_to(ROOT)), file.read_text(encoding="utf-8")
    app = create_app(Settings(mode=Mode.WRITES, external_plugins=False))
    yield "instructions", app.server.instructions or ""
    for entry in app.catalogue:
        yield entry.tool.name, f"{entry.mcp.description}\n\n{entry.mcp.parameters}"


def test_no_text_promises_a_confirmation_that_the_default_policy_does_not_ask_for() -> None:
    wrong = [
        f"{name}: {sentence}"
        for name, text in _texts()
        for sentence in _sentences(text)
        if CLAIMS.search(sentence) and not QUALIFIED.search(sentence)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "claim",
    [
        "With --writes it may change things, after a person has confirmed.",
        "Every change is confirmed by a person first.",
        "deploy_application is confirmed first.",
        "배포하기 전에 사람의 확인을 받습니다.",
    ],
)
def test_a_promise_for_every_change_would_be_found(claim: str) -> None:
    assert CLAIMS.search(claim)
    assert not QUALIFIED.search(claim)


def test_a_tool_that_is_called_by_default_without_a_question_is_a_write() -> None:
    """What the pages say, of each tool that there is."""
    app = create_app(Settings(mode=Mode.WRITES, external_plugins=False))
    decided = {
        entry.tool.name: Policy().decide(entry.tool.name, entry.tool.effect, [Target("c", "n", "k", "x")]).decision
        for entry in app.catalogue
        if entry.tool.effect is not Effect.READ
    }
    at_once = {"deploy_application", "scale_application", "restart_application", "rollback_deployment", "k8s_apply"}
    assert {name for name in at_once if decided[name] is not Decision.AUTO} == set()
    assert decided["k8s_delete"] is Decision.CONFIRM
