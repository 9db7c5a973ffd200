"""Values that JSON or UTF-8 cannot carry become such that they can, and what they can stays as it is."""

import datetime
import decimal
import enum
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klepaas.output.jsonable import valid_json, valid_text

DEEP: list[Any] = []
for _ in range(3000):
    DEEP = [DEEP]
CIRCLE: dict[str, Any] = {}
CIRCLE["again"] = CIRCLE


class Colour(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "carried"),
    [
        (float("nan"), "NaN"),
        ([float("inf"), float("-inf")], ["Infinity", "-Infinity"]),
        (2**64 - 1, 2**64 - 1),
        (-(2**64), str(-(2**64))),
        pytest.param(1 << 50_000, "an integer of 50001 bits", id="too long to print"),
        (b"caf\xc3\xa9", "café"),
        (b"\xff", "\ufffd"),
        ("\ud83d\ude00 \ud83d x \ude00", "\U0001f600 \ufffd x \ufffd"),
        (
            {1: 1, None: 2, 1.5: 3, False: 4, b"b": 5, "\ud800": 6},
            {"1": 1, "null": 2, "1.5": 3, "false": 4, "b": 5, "\ufffd": 6},
        ),
        ((1, "a"), [1, "a"]),
        ({"only"}, ["only"]),
        (datetime.date(2026, 11, 30), "2026-11-30"),
        (decimal.Decimal("1.50"), "1.50"),
        (Colour.RED, "red"),
        ({"a": [True, None, 1, 1.5, "x"]}, {"a": [True, None, 1, 1.5, "x"]}),
    ],
)
def test_each_value_that_json_cannot_carry_becomes_a_text_and_the_others_stay(value: Any, carried: Any) -> None:
    assert valid_json(value) == carried


@pytest.mark.parametrize("value", [DEEP, CIRCLE])
def test_what_is_too_deep_or_holds_itself_ends_in_dots(value: Any) -> None:
    assert json.dumps(valid_json(value)).count("...") == 1


_KEYS = st.none() | st.booleans() | st.integers() | st.text(st.characters(categories=None)) | st.binary(max_size=4)
_LEAVES = _KEYS | st.floats()


@given(st.recursive(_LEAVES, lambda inner: st.lists(inner) | st.dictionaries(_KEYS, inner), max_leaves=10))
def test_whatever_there_is_becomes_strict_json_in_utf_8_and_the_same_a_second_time(value: Any) -> None:
    carried = valid_json(value)
    written = json.dumps(carried, allow_nan=False, ensure_ascii=False).encode()
    assert json.loads(written) == carried == valid_json(carried)


@given(st.text())
def test_a_valid_text_stays_the_same(text: str) -> None:
    assert valid_text(text) == text
