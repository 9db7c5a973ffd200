"""A prompt is listed once, with its words in all its languages, and written in the one that the person speaks."""

from collections.abc import Iterable
from typing import Annotated, Literal

import pytest

from klepaas import names
from klepaas.hookspecs import hookimpl
from klepaas.prompts import Prompt, Wording
from klepaas.testing import ERAS, Era, app_with, client

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("era", ERAS)]


async def greet(
    person: Annotated[str, names.OBJECT],
    tone: Literal["warm", "dry"] | None = None,
    language: Literal["en", "ko"] = "en",
) -> str:
    return f"{'안녕' if language == 'ko' else 'Hello'}, {person} ({tone})"


async def plain() -> str:
    return "Say nothing."


async def ask(
    person: Annotated[str, names.OBJECT],
    place: Annotated[str | None, names.NAMESPACE] = None,
    language: Literal["en", "ko"] = "en",
    wish: Annotated[str | None, names.TEXT] = None,
) -> str:
    return f"{language}|{person}|{place}|{wish}"


_GREET = {
    "en": Wording("Greet", "Greet somebody.", {"person": "Whom", "tone": "How"}),
    "ko": Wording("인사", "누군가에게 인사합니다.", {"person": "누구에게", "tone": "어떻게"}),
}
_ASK = {"person": "Whom", "place": "Where", "wish": "What"}


@hookimpl
def klepaas_prompts() -> Iterable[Prompt]:
    yield Prompt(greet, _GREET)
    yield Prompt(plain, {"en": Wording("Plain", "A prompt without arguments.")})
    wordings = {"en": Wording("Ask", "Ask somebody.", _ASK), "ko": Wording("부탁", "부탁합니다.", _ASK)}
    yield Prompt(ask, wordings, takes_sentences=True)


async def test_it_is_listed_once_with_the_words_of_all_its_languages(era: Era) -> None:
    async with app_with(klepaas_prompts) as app, client(app, era) as session:
        listed = await session.raw.list_prompts()
    assert [(prompt.name, prompt.title) for prompt in listed] == [
        ("ask", "Ask / 부탁"),
        ("greet", "Greet / 인사"),
        ("plain", "Plain"),
    ]
    assert listed[1].description == "Greet somebody. / 누군가에게 인사합니다."
    arguments = [(item.name, item.description, item.required) for item in listed[1].arguments or []]
    assert arguments == [
        ("person", "Whom / 누구에게", True),
        ("tone", "How / 어떻게", False),
        ("language", "en / ko", False),
    ]
    assert all(prompt.meta is None for prompt in listed)


@pytest.mark.parametrize(
    ("language", "text"),
    [({}, "Hello, kim (warm)"), ({"language": "ko"}, "안녕, kim (warm)"), ({"language": "한국어"}, "안녕, kim (warm)")],
)
async def test_it_is_written_in_the_language_that_was_picked(era: Era, language: dict[str, str], text: str) -> None:
    async with app_with(klepaas_prompts) as app, client(app, era) as session:
        assert (await session.prompt("greet", person="kim", tone="warm", **language)).text == text


@pytest.mark.parametrize(
    ("filled", "text"),
    [
        ({"person": "kim", "wish": "coffee please"}, "en|kim|None|coffee please"),
        ({"person": "kim", "wish": "커피 한 잔"}, "ko|kim|None|커피 한 잔"),
        ({"person": "kim", "place": "부엌"}, "ko|kim|부엌|None"),
        ({"person": "김", "language": "en", "wish": "커피"}, "en|김|None|커피"),
        ({"person": "kim", "language": ""}, "en|kim|None|None"),
    ],
)
async def test_without_a_language_hangul_anywhere_is_korean_and_all_else_english(
    era: Era, filled: dict[str, str], text: str
) -> None:
    async with app_with(klepaas_prompts) as app, client(app, era) as session:
        assert (await session.prompt("ask", **filled)).text == text


@pytest.mark.parametrize(
    ("language", "wish", "text"),
    [("for", "coffee", "for coffee"), ("coffee", "", "coffee"), ("ko-KR", "", "ko-KR"), ("fr", "x y", "fr x y")],
)
async def test_a_word_that_is_no_language_is_the_beginning_of_the_free_text(
    era: Era, language: str, wish: str, text: str
) -> None:
    async with app_with(klepaas_prompts) as app, client(app, era) as session:
        said = await session.prompt("ask", person="kim", language=language, wish=wish)
    assert said.text == f"en|kim|None|{text}"


@pytest.mark.parametrize("person", ["../x", "a/b", "x\ny", "${jndi:ldap://x}", "a" * 300])
async def test_one_that_takes_sentences_gets_any_word_as_it_was_said(era: Era, person: str) -> None:
    async with app_with(klepaas_prompts) as app, client(app, era) as session:
        said = await session.prompt("ask", person=person, place="-n")
    assert not said.is_error
    assert person in said.text


async def test_any_other_has_a_choice_of_languages(era: Era) -> None:
    async with app_with(klepaas_prompts) as app, client(app, era) as session:
        said = await session.prompt("greet", person="kim", language="fr")
    assert said.code == "bad_request"
    assert "Use en, ko" in said.text


async def test_a_choice_is_one_of_its_choices(era: Era) -> None:
    async with app_with(klepaas_prompts) as app, client(app, era) as session:
        said = await session.prompt("greet", person="kim", tone="loud")
    assert said.code == "bad_request"
    assert "Use warm, dry" in said.text


async def test_one_without_arguments_needs_none(era: Era) -> None:
    async with app_with(klepaas_prompts) as app, client(app, era) as session:
        assert (await session.prompt("plain")).text == "Say nothing."
