"""Suggestions are short, fit what was typed, keep the rules, and are never an error."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

import anyio
import pytest
from fastmcp import FastMCP
from mcp_types import ResourceTemplateReference

from klepaas import names
from klepaas.completion import Completer
from klepaas.hookspecs import hookimpl
from klepaas.prompts import Prompt, Wording
from klepaas.resources import Resource
from klepaas.testing import ERAS, Era, app_with, client, scale_timeout

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("era", ERAS)]

TEMPLATE = "klepaas://things/{place}/{name}"
asked: list[dict[str, str]] = []


async def thing(place: Annotated[str, names.NAMESPACE], name: Annotated[str, names.OBJECT]) -> str:
    """A thing."""
    return f"{place} {name}"


async def write(
    name: Annotated[str, names.OBJECT], size: Literal["small", "large"] = "small", language: Literal["en", "ko"] = "en"
) -> str:
    return name


async def known(chosen: Mapping[str, str]) -> Iterable[str]:
    asked.append(dict(chosen))
    return ["web", "web-2", "Alice", "beweb", "-n", "..", "a/b", "x\x1b[0m", "web", "we\u202eb"]


async def many(chosen: Mapping[str, str]) -> Iterable[str]:
    return (f"item-{number}" for number in range(100_000))


async def broken(chosen: Mapping[str, str]) -> Iterable[str]:
    raise RuntimeError("Tr0ub4dor-and-3")


async def late(chosen: Mapping[str, str]) -> Iterable[str]:
    await anyio.sleep(60)
    return ["late"]


async def strange(chosen: Mapping[str, str]) -> Iterable[str]:
    return [1, None, "good"]  # type: ignore[list-item]


def _plugin(completer: Completer) -> list[object]:
    @hookimpl
    def klepaas_resources() -> Iterable[Resource]:
        yield Resource(TEMPLATE, thing, "A thing", completions={"name": completer})

    @hookimpl
    def klepaas_prompts() -> Iterable[Prompt]:
        words = {"name": "A name", "size": "A size"}
        wordings = {"en": Wording("Write", "Write.", words), "ko": Wording("쓰기", "씁니다.", words)}
        yield Prompt(write, wordings, {"name": completer})

    return [klepaas_resources, klepaas_prompts]


async def _suggested(completer: Completer, era: Era, typed: str = "", **chosen: str) -> list[str]:
    async with app_with(*_plugin(completer)) as app, client(app, era) as session:
        return await session.suggestions(TEMPLATE, "name", typed, **chosen)


async def test_what_begins_with_the_typed_comes_before_what_holds_it(era: Era) -> None:
    assert await _suggested(known, era, "WEB") == ["web", "web-2", "beweb"]


async def test_what_breaks_the_rules_or_hides_something_is_not_suggested(era: Era) -> None:
    assert await _suggested(known, era) == ["web", "web-2", "Alice", "beweb"]


@pytest.mark.parametrize("typed", ["../x", "%2e%2e", "a/bc", "x\x00", "y" * 100_000])
async def test_what_is_typed_reaches_no_plugin(era: Era, typed: str) -> None:
    asked.clear()
    assert await _suggested(known, era, typed) == []
    assert asked in ([], [{}])


async def test_what_was_chosen_before_is_checked_first(era: Era) -> None:
    asked.clear()
    await _suggested(known, era, "", place="dev")
    await _suggested(known, era, "", place="../kube-system")
    await _suggested(known, era, "", other="x", place="a" * 1000)
    assert asked == [{"place": "dev"}, {}, {}]


async def test_at_most_a_hundred_are_shown_and_the_rest_is_announced(era: Era) -> None:
    async with app_with(*_plugin(many)) as app, client(app, era) as session:
        found = await session.raw.complete(ResourceTemplateReference(uri=TEMPLATE), {"name": "name", "value": "item-"})
    assert (len(found.values), found.has_more) == (100, True)


@pytest.mark.parametrize("completer", [broken, late])
async def test_trouble_is_an_empty_list(era: Era, completer: Completer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klepaas.completion.LIMIT_S", 0.05)
    with anyio.fail_after(scale_timeout(5)):
        assert await _suggested(completer, era) == []


async def test_only_texts_are_suggested(era: Era) -> None:
    assert await _suggested(strange, era) == ["good"]


@pytest.mark.parametrize(
    ("of", "variable"),
    [(TEMPLATE, "place"), (TEMPLATE, "other"), ("klepaas://nothing/{x}", "x"), ("nothing", "x"), ("write", "other")],
)
async def test_nothing_is_suggested_where_nobody_knows(era: Era, of: str, variable: str) -> None:
    async with app_with(*_plugin(known)) as app, client(app, era) as session:
        assert await session.suggestions(of, variable) == []


async def test_prompts_complete_by_their_completer_and_choices_by_themselves(era: Era) -> None:
    async with app_with(*_plugin(known)) as app, client(app, era) as session:
        assert await session.suggestions("write", "name", "al") == ["Alice"]
        assert await session.suggestions("write", "size") == ["small", "large"]
        assert await session.suggestions("write", "size", "l") == ["large", "small"]
        assert await session.suggestions("write", "language") == ["en", "ko"]
        assert await session.suggestions("write", "language", "k") == ["ko"]


async def test_a_template_is_known_however_a_client_spells_its_braces(era: Era) -> None:
    async with app_with(*_plugin(known)) as app, client(app, era) as session:
        spelled = TEMPLATE.replace("{", "%7B").replace("}", "%7D")
        assert await session.suggestions(spelled, "name", "al") == ["Alice"]


async def test_suggestions_need_no_registry_of_fastmcps(era: Era, monkeypatch: pytest.MonkeyPatch) -> None:
    """FastMCP 4.2 asks its registry first; klepaas' prompts and templates stand in none."""

    async def nothing(*_: object, **__: object) -> None:
        raise AssertionError("FastMCP's registry was asked")

    for name in ("get_prompt", "get_resource_template", "get_resource"):
        monkeypatch.setattr(FastMCP, name, nothing)
    assert await _suggested(known, era, "web") == ["web", "web-2", "beweb"]
