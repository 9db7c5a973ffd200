"""A prompt whose arguments are the words of a sentence, as clients fill them in that split a command at its blanks.

Claude Code gives each argument the next word, knows no quotes, and drops the words that are left over.
"""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from klepaas.app import App, create_app
from klepaas.settings import Settings
from klepaas.testing import ERAS, Era, Said, Session, client, scale_timeout
from klepaas_plugins.deployments import prompt_lookup
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("era", ERAS)]

NAMES = {
    "deploy": ["app_name", "image", "namespace", "context"],
    "post_mortem": ["app_name", "namespace", "context"],
    "rollback": ["app_name", "release", "namespace", "context"],
    "troubleshoot": ["app_name", "namespace", "context"],
    "tutorial": ["step", "namespace", "context"],
}
FREE_TEXT = {
    "deploy": "wish",
    "post_mortem": "what_happened",
    "rollback": "reason",
    "troubleshoot": "symptom",
    "tutorial": "wish",
}
SENTENCES = {
    "en": (
        "shop keeps crashing since noon",
        "why is my shop so slow today and yesterday, too?",
        'shop "in prod" is $(down)',
        "shop",
    ),
    "ko": (
        "shop 정오부터 자꾸 죽어요",
        "쇼핑몰이 어제부터 너무 느리고 오류가 많이 나는데 왜 그런가요?",
        "쇼핑몰 '운영 환경' 확인",
        "쇼핑몰",
    ),
}
TITLES = {"en": "What I told you so far", "ko": "지금까지 알려 드린 내용입니다"}


@dataclass
class Place:
    """klepaas, and the cluster behind it."""

    app: App
    sandbox: Sandbox


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    """klepaas in front of a sandbox with the context `sandbox` and the namespace `default`."""
    for name in [name for name in os.environ if name.startswith("KLEPAAS_")]:
        monkeypatch.delenv(name)
    async with Sandbox(timing=Timing.instant()) as sandbox:
        monkeypatch.setenv("KUBECONFIG", str(sandbox.write_kubeconfig(tmp_path / "kubeconfig")))
        app = create_app(Settings(external_plugins=False, state_dir=tmp_path / "state"))
        yield Place(app, sandbox)
        await app.host.aclose()


async def _by_position(session: Session, prompt: str, sentence: str) -> tuple[Said, dict[str, str]]:
    """What Claude Code does with `/mcp__klepaas__PROMPT SENTENCE`."""
    (listed,) = [found for found in await session.raw.list_prompts() if found.name == prompt]
    filled = dict(zip([argument.name for argument in listed.arguments or []], sentence.split(), strict=False))
    return await session.prompt(prompt, **filled), filled


async def test_every_prompt_takes_its_names_first_then_the_language_and_one_free_text_last(
    place: Place, era: Era
) -> None:
    async with client(place.app, era) as session:
        listed = {
            found.name: [item.name for item in found.arguments or []] for found in await session.raw.list_prompts()
        }
    assert listed == {name: [*NAMES[name], "language", FREE_TEXT[name]] for name in NAMES}


@pytest.mark.parametrize("language", SENTENCES)
@pytest.mark.parametrize("prompt", NAMES)
async def test_every_prompt_filled_by_blanks_states_no_word_as_a_name_and_keeps_all_in_their_order(
    place: Place, prompt: str, language: str, era: Era
) -> None:
    async with client(place.app, era) as session:
        for sentence in SENTENCES[language]:
            said, filled = await _by_position(session, prompt, sentence)
            assert not said.is_error, (sentence, said.text)
            assert TITLES[language] in said.text, sentence
            looked_up = {"namespace", "context"} & set(filled)
            for name in looked_up:
                assert f"- `{name}`: not found: " in said.text, (sentence, said.text)
            assert " ".join(filled.values()) in said.text or not looked_up, (sentence, said.text)


@pytest.mark.parametrize("prompt", NAMES)
async def test_a_sentence_of_one_word_or_none_is_no_error_either(place: Place, prompt: str, era: Era) -> None:
    async with client(place.app, era) as session:
        assert not (await _by_position(session, prompt, "shop"))[0].is_error
        said = (await _by_position(session, prompt, ""))[0]
        assert said.code == (None if prompt == "tutorial" else "bad_request"), "what must be given is asked for"


async def test_the_words_of_the_issue_become_no_namespace_and_no_context(place: Place, era: Era) -> None:
    async with client(place.app, era) as session:
        said, filled = await _by_position(session, "troubleshoot", "shop keeps crashing since noon")
    assert filled["language"] == "since"
    lines = said.text.splitlines()
    assert "- `app_name`: shop" in lines
    assert any(line.startswith("- `namespace`: not found: keeps (There is no namespace keeps") for line in lines)
    assert "- `context`: not found: crashing" in lines
    assert "- `symptom`: since noon" in lines
    assert "'shop keeps crashing since noon'" in said.text


async def test_names_that_exist_are_facts_and_nothing_is_in_doubt(place: Place, era: Era) -> None:
    async with client(place.app, era) as session:
        said, _ = await _by_position(session, "troubleshoot", "shop default sandbox")
        korean, _ = await _by_position(session, "troubleshoot", "shop default sandbox 한국어 느려요")
    assert "- `namespace`: default\n- `context`: sandbox\n- `symptom`: not given\n" in said.text
    assert "I said, in this order" not in said.text
    assert "- `namespace`: default\n- `context`: sandbox\n- `symptom`: 느려요\n" in korean.text
    assert "not found:" not in korean.text


async def test_words_that_are_left_over_are_dropped_by_the_client_and_the_model_is_told_so(
    place: Place, era: Era
) -> None:
    async with client(place.app, era) as session:
        said, _ = await _by_position(session, "troubleshoot", "shop default sandbox en crashes since noon today")
        korean, _ = await _by_position(session, "troubleshoot", "shop default sandbox ko 정오부터 자꾸 죽어요")
        whole, _ = await _by_position(session, "troubleshoot", "shop default")
    assert "- `symptom`: crashes\n\nMy client may have dropped my last words" in said.text
    assert "- `symptom`: 정오부터\n\n클라이언트가 제 마지막 말을 빠뜨렸을 수" in korean.text
    assert "dropped my last words" not in whole.text


@pytest.mark.parametrize(
    ("prompt", "sentence", "line"),
    [
        ("deploy", "shop please", "- `image`: please (as I said it"),
        ("deploy", "shop nginx:1.27", "- `image`: nginx:1.27\n"),
        ("deploy", "Shop! nginx:1.27", "- `app_name`: Shop! (as I said it"),
        ("rollback", "shop because it broke", "- `release`: because (as I said it"),
        ("rollback", "shop 3", "- `release`: 3\n"),
        ("post_mortem", "쇼핑몰", "- `app_name`: 쇼핑몰 (제가 말한 그대로"),
        ("tutorial", "please begin", "- `step`: please (as I said it"),
        ("troubleshoot", "shop defualt", "Did you mean default?"),
        ("troubleshoot", "shop sandbox", "There is a context sandbox"),
    ],
)
async def test_a_wrong_name_is_passed_on_as_it_was_said(
    place: Place, prompt: str, sentence: str, line: str, era: Era
) -> None:
    async with client(place.app, era) as session:
        said, _ = await _by_position(session, prompt, sentence)
    assert not said.is_error
    assert line in said.text


async def test_a_namespace_is_looked_up_in_the_context_that_was_named_else_in_the_usual_one(
    place: Place, era: Era
) -> None:
    async with client(place.app, era) as session:
        said = await session.prompt("troubleshoot", app_name="shop", namespace="dev", context="nowhere")
    assert "- `namespace`: not found: dev (There is no namespace dev in context sandbox." in said.text
    assert "- `context`: not found: nowhere" in said.text


@pytest.mark.parametrize("prompt", NAMES)
async def test_a_cluster_that_never_answers_does_not_hold_up_a_prompt(
    place: Place, prompt: str, era: Era, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompt_lookup, "LOOKUP_LIMIT_S", 0.1)
    place.sandbox.hang(".*")
    async with client(place.app, era) as session:
        with anyio.fail_after(scale_timeout(8)):
            said = await session.prompt(prompt, **{NAMES[prompt][0]: "web"}, namespace="dev", context="sandbox")
    assert "- `namespace`: dev (not checked: it could not be looked up)\n- `context`: sandbox\n" in said.text


async def test_a_namespace_that_may_not_be_read_is_unchecked(place: Place, era: Era) -> None:
    place.sandbox.fail("GET", "/api/v1/namespaces.*", 403, reason="Forbidden", message="no")
    async with client(place.app, era) as session:
        said = await session.prompt("rollback", app_name="web", namespace="dev")
    assert "- `namespace`: dev (not checked" in said.text


async def test_without_a_kubeconfig_nothing_is_stated_and_nothing_fails(
    place: Place, era: Era, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    app = create_app(Settings(external_plugins=False, state_dir=tmp_path / "other"))
    async with client(app, era) as session:
        said = await session.prompt("deploy", app_name="web", namespace="dev", context="prod")
    assert "- `namespace`: dev (not checked" in said.text
    assert "- `context`: prod (not checked" in said.text


async def test_what_does_not_exist_is_in_no_call_of_the_tutorial(place: Place, era: Era) -> None:
    async with client(place.app, era) as session:
        said = await session.prompt("tutorial", step="2", namespace="nowhere", context="sandbox", wish="{steps}{begin}")
    assert 'namespace="nowhere"' not in said.text
    assert 'context="sandbox"' in said.text
    assert "- `wish`: {steps}{begin}" in said.text
