"""A resource or prompt that lacks something is refused when it is declared, with the reason."""

import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal

import pytest

from klepaas import names
from klepaas.hookspecs import hookimpl
from klepaas.parameters import DeclarationError
from klepaas.plugins import PluginError
from klepaas.prompts import Prompt, Wording
from klepaas.resources import Resource
from klepaas.testing import app_with
from klepaas.variables import variables_of

pytestmark = pytest.mark.anyio

Name = Annotated[str, names.OBJECT]


async def thing(name: Name) -> str:
    """A thing."""
    return name


async def nothing() -> str:
    """Nothing."""
    return ""


async def some(chosen: Mapping[str, str]) -> Iterable[str]:
    return ()


def test_a_variable_is_a_checked_text_or_a_choice_with_or_without_a_default() -> None:
    async def all_kinds(
        name: Name,
        note: Annotated[str | None, names.TEXT] = None,
        form: Literal["short", "long"] = "short",
        other: Literal["a", "b"] | None = None,
    ) -> str:
        return name

    found = variables_of(all_kinds)
    assert [(item.name, item.choices, item.required) for item in found.values()] == [
        ("name", (), True),
        ("note", (), False),
        ("form", ("short", "long"), False),
        ("other", ("a", "b"), False),
    ]
    assert found["name"].check is names.OBJECT
    assert found["note"].check is names.TEXT


def _functions() -> list[Callable[..., Any]]:
    async def unchecked(name: str) -> str:
        return name

    async def number(name: int) -> str:
        return str(name)

    async def numbers(name: Literal[1, 2]) -> str:
        return str(name)

    async def either(name: Literal["a"] | Name) -> str:
        return name

    async def items(name: list[Name]) -> str:
        return str(name)

    async def anything(**name: Name) -> str:
        return str(name)

    def waiting(name: Name) -> str:
        return name

    return [unchecked, number, numbers, either, items, anything, waiting]


@pytest.mark.parametrize("function", _functions(), ids=lambda function: function.__name__)
def test_nothing_but_checked_texts_can_be_filled_in(function: Callable[..., Any]) -> None:
    with pytest.raises(DeclarationError):
        Resource("klepaas://things/{name}", function, "Things")
    with pytest.raises(DeclarationError):
        Prompt(function, {"en": Wording("Things", "Things.", {"name": "A name"})})


async def with_default(name: Annotated[str, names.OBJECT] = "x") -> str:
    return name


@pytest.mark.parametrize(
    "given",
    [
        {"uri": "klepaas://things"},
        {"uri": "klepaas://things/{other}"},
        {"function": with_default},
        {"function": nothing},
        {"completions": {"other": some}},
        {"mime_type": "yaml"},
        {"timeout_s": 0},
        {"timeout_s": float("inf")},
    ],
)
def test_a_resource_that_contradicts_itself_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError):
        Resource(**{"uri": "klepaas://things/{name}", "function": thing, "title": "Things", **given})


async def spoken(name: Name, language: Literal["en", "ko"] = "en") -> str:
    return f"{name} {language}"


def wording(**arguments: str) -> Wording:
    return Wording("Thing", "About a thing.", arguments or {"name": "A name"})


@pytest.mark.parametrize(
    "given",
    [
        {"wordings": {}},
        {"wordings": {"english": wording()}},
        {"wordings": {"en": wording(other="x")}},
        {"wordings": {"en": wording(), "ko": wording()}},
        {"function": spoken, "wordings": {"en": wording(), "fr": wording()}},
        {"completions": {"other": some}},
        {"timeout_s": -1},
    ],
)
def test_a_prompt_that_contradicts_itself_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError):
        Prompt(**{"function": thing, "wordings": {"en": wording()}, **given})


def test_a_prompt_has_one_name_whatever_its_languages() -> None:
    prompt = Prompt(spoken, {"en": wording(), "ko": wording()})
    assert prompt.name == "spoken"
    assert not prompt.variables["language"].required


def test_one_that_takes_sentences_has_one_free_text_after_the_language() -> None:
    with pytest.raises(DeclarationError, match="one last parameter follows 'language'"):
        Prompt(spoken, {"en": wording(), "ko": wording()}, takes_sentences=True)


def _offering(uri: str, name: str, prompt: str | None = None) -> Any:
    async def read() -> str:
        """Something."""
        return uri

    read.__name__ = name
    renamed = type(name, (), {})()

    @hookimpl
    def klepaas_resources() -> Iterable[Resource]:
        yield Resource(uri, read, "Something")

    @hookimpl
    def klepaas_prompts() -> Iterable[Prompt]:
        async def write() -> str:
            return uri

        write.__name__ = prompt or name
        yield Prompt(write, {"en": Wording("Something", "Something.")})

    renamed.klepaas_resources = klepaas_resources
    renamed.klepaas_prompts = klepaas_prompts
    return renamed


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (_offering("klepaas://one", "other"), "'other' (klepaas://one) is already offered by plugin-0"),
        (_offering("klepaas://two", "first"), "'first' (klepaas://two) is already offered by plugin-0"),
        (_offering("klepaas://upstreams", "other"), "already offered by klepaas itself"),
        (_offering("klepaas://two", "other", "first"), "its prompt 'first' is already offered by plugin-0"),
    ],
)
async def test_what_is_taken_is_refused_together_with_the_plugin(second: Any, reason: str) -> None:
    with pytest.raises(PluginError) as caught:
        async with app_with(_offering("klepaas://one", "first"), second):
            pytest.fail("the second plugin should have been refused")
    assert reason in str(caught.value)


async def test_a_plugin_that_is_refused_offers_nothing_at_all() -> None:
    pair = (_offering("klepaas://one", "first"), _offering("klepaas://two", "other", "first"))
    async with app_with(*pair, settings={"strict_plugins": False}) as app:
        with contextlib.suppress(PluginError):
            offers = app.offers
        assert [offer.item.uri for offer in offers.resources] == ["klepaas://one", "klepaas://upstreams"]
        assert list(offers.prompts) == ["first"]
