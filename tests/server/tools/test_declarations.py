"""What a tool's declaration must say, and that no text gets round its check."""

import datetime
import decimal
import enum
import functools
import pathlib
import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, NewType, Optional, TypedDict, TypeVar, Union

import pytest
from fastmcp import Context
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, Json, SecretStr

from klepaas import names
from klepaas.catalogue import Catalogue
from klepaas.errors import BadRequest
from klepaas.tools import DeclarationError, Effect, Tool


def _named(value: object) -> str:
    """A test's name without addresses, which differ from process to process."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))


NAME = Annotated[str, names.OBJECT]
KEY = Annotated[str, names.ENVIRONMENT_VARIABLE]
VALUE = Annotated[str, names.COUNTED_TEXT]


class Colour(enum.StrEnum):
    RED = "red"


class Model(BaseModel):
    name: str


@dataclass
class Data:
    name: str


class Typed(TypedDict):
    name: str


class Tuple(NamedTuple):
    name: str


Alias = NewType("Alias", str)
Variable = TypeVar("Variable")


def _tool(annotation: Any, **changes: Any) -> Tool:
    async def read(value: Any) -> str:
        """Read."""
        return str(value)

    read.__annotations__ = {"value": annotation, "return": str}
    return Tool(read, changes.pop("effect", Effect.READ), title="Read", toolset="test", **changes)


@pytest.mark.parametrize(
    "annotation",
    [
        str,
        Any,
        object,
        str | None,
        Optional[str],  # noqa: UP045 -- plugin authors write it so
        Union[int, str],  # noqa: UP007
        list[str],
        list[Any],
        list,
        dict,
        tuple,
        set,
        list[list[str]],
        dict[str, int],
        dict[KEY, str],
        dict[str, VALUE],
        dict[KEY, Any],
        dict[KEY, dict[str, VALUE]],
        dict[KEY, list[str]],
        Mapping[str, VALUE],
        Sequence[str],
        Sequence[NAME],
        Iterable[NAME],
        tuple[NAME, ...],
        tuple[NAME, str],
        set[NAME],
        frozenset[NAME],
        Annotated[str, "a description is no check"],
        Annotated[str, Field(description="nor is this")],
        Annotated[list[str] | None, Field(max_length=3)],
        bytes,
        bytearray,
        pathlib.Path,
        uuid.UUID,
        decimal.Decimal,
        complex,
        datetime.datetime,
        re.Pattern,
        SecretStr,
        Model,
        list[Model],
        Data,
        Typed,
        Tuple,
        Alias,
        Variable,
        Callable[..., Any],
        type,
        Json[list[int]],
        Annotated[str, names.OBJECT, BeforeValidator(str.strip)],
        Annotated[str, names.OBJECT, AfterValidator(lambda text: text + "/..")],
        Annotated[int, BeforeValidator(int)],
        Annotated[list[int], Json],
        Annotated[str, names.OBJECT, Field(alias="other")],
        Annotated[str, names.OBJECT, Field(validation_alias="other")],
        Annotated[NAME, names.TEXT],
        Annotated[str, names.OBJECT, names.TEXT],
        NAME | VALUE,
        NAME | list[NAME] | list[VALUE],
        dict[KEY, VALUE] | dict[NAME, VALUE],
        Context | str,
        list[Context],
    ],
    ids=_named,
)
def test_a_parameter_that_could_carry_unchecked_text_cannot_be_declared(annotation: Any) -> None:
    with pytest.raises(DeclarationError, match=r"parameter 'value' of read\(\)"):
        _tool(annotation)


def test_a_parameter_without_annotation_cannot_be_declared() -> None:
    async def read(value):  # type: ignore[no-untyped-def]
        return value

    with pytest.raises(DeclarationError, match="no check"):
        Tool(read, Effect.READ, title="Read", toolset="test")


def test_parameters_that_cannot_be_given_by_name_cannot_be_declared() -> None:
    async def many(*values: NAME) -> str:
        return ""

    async def any_key(**values: NAME) -> str:
        return ""

    async def by_place(value: NAME, /) -> str:
        return ""

    for function in (many, any_key, by_place):
        with pytest.raises(DeclarationError, match="by name"):
            Tool(function, Effect.READ, title="Read", toolset="test")


def test_an_alias_in_the_default_is_refused_too() -> None:
    async def read(value: NAME = Field(alias="other")) -> str:  # noqa: B008
        return value

    with pytest.raises(DeclarationError, match="alias"):
        Tool(read, Effect.READ, title="Read", toolset="test")


def test_an_annotation_that_cannot_be_resolved_is_named() -> None:
    with pytest.raises(DeclarationError, match="Elsewhere"):
        _tool("Elsewhere")


@pytest.mark.parametrize(
    "annotation",
    [
        int,
        float,
        bool,
        int | None,
        Colour,
        Colour | None,
        Literal["fast", "slow"],
        Literal["a", 1] | None,
        list[Literal["a"]],
        dict[Literal["a"], int],
        dict[Colour, bool],
        list[int],
    ],
    ids=_named,
)
@pytest.mark.parametrize("text", ["../x", "5", "red"])
def test_choices_and_numbers_need_no_check(annotation: Any, text: str) -> None:
    _tool(annotation).verify({"value": text})


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        (NAME, "web", "../x"),
        (NAME | None, None, "../x"),
        (Optional[NAME], "web", "../x"),  # noqa: UP045
        (Union[NAME, None, int], 3, "../x"),  # noqa: UP007
        (Annotated[NAME, Field(description="deep")], "web", "../x"),
        (Annotated[Annotated[str | None, names.OBJECT], "deeper"], "web", "../x"),
        (Annotated[str, Field(max_length=9), names.OBJECT], "web", "../x"),
        (list[NAME], ["web"], ["web", "../x"]),
        (list[list[NAME]], [["web"]], [["web"], ["../x"]]),
        (Annotated[list[str], names.OBJECT], ["web"], ["../x"]),
        (Annotated[dict[str, str], names.OBJECT], {"a": "b"}, {"a": "../x"}),
        (NAME | list[NAME], ["web"], ["../x"]),
        (NAME | list[NAME], "web", "../x"),
        (VALUE | list[NAME], "any text", ["any text"]),
        (dict[KEY, VALUE], {"A": "any text"}, {"A/..": "any text"}),
        (dict[KEY, VALUE], {"A": "any text"}, {"A": "nul\x00"}),
        (dict[KEY, NAME] | None, None, {"A": "../x"}),
        (dict[KEY, list[NAME]], {"A": ["web"]}, {"A": ["../x"]}),
        (dict[KEY, dict[NAME, VALUE]], {"A": {"web": "any text"}}, {"A": {"../x": ""}}),
        (dict[KEY, dict[NAME, VALUE]], {"A": {"web": "any text"}}, {"../x": {}}),
        (dict[KEY, int], {"A": 1}, {"../x": 1}),
        (dict[Literal["a"], NAME], {"a": "web"}, {"a": "../x"}),
        (Mapping[KEY, VALUE], {"A": "b"}, {"../x": "b"}),
        (int | dict[KEY, VALUE], {"A": "b"}, {"../x": "b"}),
    ],
    ids=_named,
)
def test_text_is_checked_in_every_place_by_the_check_of_that_place(annotation: Any, good: Any, bad: Any) -> None:
    tool = _tool(annotation)
    tool.verify({"value": good})
    with pytest.raises(BadRequest, match="value"):
        tool.verify({"value": bad})


@pytest.mark.parametrize(
    "value",
    [b"../x", ("../x",), {"../x"}, frozenset({"../x"}), bytearray(b"x"), pathlib.Path("x"), iter(["../x"])],
    ids=_named,
)
def test_what_json_does_not_have_is_refused_since_the_schema_might_turn_it_into_text(value: Any) -> None:
    for annotation, given in (
        (NAME, value),
        (list[NAME], value),
        (list[NAME], [value]),
        (dict[KEY, NAME], {"A": value}),
    ):
        with pytest.raises(BadRequest, match="JSON"):
            _tool(annotation).verify({"value": given})


def test_a_key_that_is_no_text_is_refused() -> None:
    with pytest.raises(BadRequest):
        _tool(dict[KEY, VALUE]).verify({"value": {b"../x": "b"}})


def test_a_parameter_that_does_not_exist_is_refused_and_the_real_ones_named() -> None:
    with pytest.raises(BadRequest) as caught:
        _tool(NAME).verify({"\u202ex" * 100: "web"})
    assert caught.value.line.endswith("Its parameters are value.")
    assert caught.value.line.isascii()
    assert len(caught.value.line) < 300


def test_annotations_as_text_are_resolved() -> None:
    tool = _tool("Annotated[str, names.OBJECT] | None")
    with pytest.raises(BadRequest):
        tool.verify({"value": ".."})


@pytest.mark.parametrize("annotation", [Context, Context | None, Optional[Context]], ids=_named)  # noqa: UP045
def test_what_fastmcp_injects_is_no_parameter_of_a_caller(annotation: Any) -> None:
    assert not _tool(annotation).parameters


def test_a_method_and_a_closure_can_be_tools() -> None:
    class Reader:
        async def read(self, value: NAME) -> str:
            return value

    assert list(Tool(Reader().read, Effect.READ, title="Read", toolset="test").parameters) == ["value"]


def test_a_function_that_is_not_async_cannot_be_a_tool() -> None:
    def read() -> str:
        return ""

    with pytest.raises(DeclarationError, match="async"):
        Tool(read, Effect.READ, title="Read", toolset="test")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "a b", "<lambda>", "a/b", "x" * 65, "über", "-n", "a\n", "../x"])
def test_a_tool_has_a_name_that_every_client_accepts(name: str) -> None:
    async def read() -> str:
        return ""

    read.__name__ = name
    with pytest.raises(DeclarationError, match="no name for a tool"):
        Tool(read, Effect.READ, title="Read", toolset="test")


def test_what_has_no_name_cannot_be_a_tool() -> None:
    async def read(value: NAME) -> str:
        return value

    with pytest.raises(DeclarationError, match="no name for a tool"):
        Tool(functools.partial(read, "web"), Effect.READ, title="Read", toolset="test")


@pytest.mark.parametrize("timeout_s", [0, -1, float("inf"), float("nan")])
def test_a_time_limit_is_a_limit(timeout_s: float) -> None:
    with pytest.raises(DeclarationError, match="timeout_s"):
        _tool(int, timeout_s=timeout_s)


def test_an_effect_is_one_of_three_or_missing() -> None:
    assert _tool(int, effect=None).effect is None
    with pytest.raises(DeclarationError, match="effect"):
        _tool(int, effect="read")


def test_the_catalogue_is_the_only_one_who_makes_tools_of_fastmcp() -> None:
    """A second way to register a tool would be a way round its checks."""
    server = pathlib.Path(names.__file__).parent
    second_way = re.compile(r"(?<!Resource\.)from_function\(|@\w+\.tool\b|\.add_tool\(|\.mount\(|add_provider\(")
    found = [
        str(path.relative_to(server)) for path in sorted(server.rglob("*.py")) if second_way.search(path.read_text())
    ]
    # The tools of external servers come and go; each has an entry that the gate finds (tests/server/external).
    assert found == [f"{Catalogue.__module__.rpartition('.')[2]}.py", "external/externals.py"]
