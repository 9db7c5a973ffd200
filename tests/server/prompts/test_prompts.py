"""A prompt is listed once in each language, and written in the one that was picked."""

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


@hookimpl
def klepaas_prompts() -> Iterable[Prompt]:
    yield Prompt(
        greet,
        {
            "en": Wording("Greet", "Greet somebody.", {"person": "Whom", "tone": "How"}),
            "ko": Wording("인사", "누군가에게 인사합니다.", {"person": "누구에게", "tone": "어떻게"}),
        },
    )
    yield Prompt(plain, {"en": Wording("Plain", "A prompt without arguments.")})


async def test_every_language_is_listed_beside_its_siblings(era: Era) -> None:
    async with app_with(klepaas_prompts) as app, client(app, era) as session:
        listed = await session.raw.list_prompts()
    assert [(prompt.name, prompt.title) for prompt in listed] == [
        ("greet", "Greet"),
        ("greet_ko", "인사"),
        ("plain", "Plain"),
    ]
    arguments = [(item.name, item.description, item.required) for item in listed[1].arguments or []]
    assert arguments == [("person", "누구에게", True), ("tone", "어떻게", False)]
    assert all(prompt.meta is None for prompt in listed)


@pytest.mark.parametrize(("name", "text"), [("greet", "Hello, kim (warm)"), ("greet_ko", "안녕, kim (warm)")])
async def test_it_is_written_in_the_language_that_was_picked(era: Era, name: str, text: str) -> None:
    async with app_with(klepaas_prompts) as app, client(app, era) as session:
        assert (await session.prompt(name, person="kim", tone="warm")).text == text


async def test_the_language_is_no_argument(era: Era) -> None:
    async with app_with(klepaas_prompts) as app, client(app, era) as session:
        assert (await session.prompt("greet", person="kim", language="ko")).code == "bad_request"


async def test_a_choice_is_one_of_its_choices(era: Era) -> None:
    async with app_with(klepaas_prompts) as app, client(app, era) as session:
        said = await session.prompt("greet", person="kim", tone="loud")
    assert said.code == "bad_request"
    assert "Use warm, dry" in said.text


async def test_one_without_arguments_needs_none(era: Era) -> None:
    async with app_with(klepaas_prompts) as app, client(app, era) as session:
        assert (await session.prompt("plain")).text == "Say nothing."
