"""An answer that is cut keeps its laws: never longer than the limit, whole lines, whole characters, and it says so."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klepaas.output import table
from klepaas.output.budget import fit

_LINES = st.lists(st.text(alphabet=st.sampled_from("ab 가🚀\t"), max_size=60), max_size=40).map("\n".join)
_LIMITS = st.integers(min_value=0, max_value=1500)


@given(_LINES, _LIMITS)
def test_the_result_is_never_longer_than_the_limit(text: str, limit_bytes: int) -> None:
    assert len(fit(text, limit_bytes).encode()) <= limit_bytes
    assert len(fit(text, limit_bytes, "x" * 300).encode()) <= limit_bytes
    assert len(fit(text, limit_bytes, after="more\n" * 3).encode()) <= limit_bytes


@given(_LINES, _LIMITS)
def test_what_fits_is_left_alone_and_fitting_twice_changes_nothing(text: str, limit_bytes: int) -> None:
    once = fit(text, limit_bytes)
    assert fit(once, limit_bytes) == once
    if len(text.encode()) <= limit_bytes:
        assert once == text


@given(_LINES, st.integers(min_value=200, max_value=1500))
def test_a_cut_text_is_a_beginning_of_whole_lines_and_says_what_is_missing(text: str, limit_bytes: int) -> None:
    result = fit(text, limit_bytes, "Use tail_lines")
    if result == text:
        return
    kept, _, note = result.rpartition("\n[cut: ")
    assert text.startswith(kept)
    counted = re.fullmatch(r"(?:(\d+) more lines?|the rest of the line), (\d+) bytes\. Use tail_lines\.\]", note)
    assert counted is not None
    rest = text[len(kept) :]
    assert int(counted[2]) == len(rest.encode())
    if "\n" in kept:
        assert rest.startswith("\n")
        assert int(counted[1]) == rest.strip("\n").count("\n") + 1


def test_a_first_line_that_is_too_long_is_cut_inside_but_not_inside_a_character() -> None:
    result = fit("가" * 1000, 300)
    assert re.fullmatch(r"가+\n\[cut: the rest of the line, \d+ bytes\. Ask for less, or narrower\.\]", result)


def test_what_was_left_out_before_is_counted() -> None:
    assert fit("one\ntwo", 1000, "Go on", after="\nthree\nfour\n").endswith("[cut: 3 more lines, 16 bytes. Go on.]")


def test_text_that_is_no_unicode_can_be_cut() -> None:
    fit("half \ud800\n" * 1000, 500).encode()


@pytest.mark.parametrize("limit_bytes", [0, 1, 4, 5, 20, 60])
def test_a_limit_without_room_for_a_note_is_kept(limit_bytes: int) -> None:
    assert fit("x" * 1000, limit_bytes) == "[cut]"[:limit_bytes]


def test_a_table_is_one_line_a_row_whatever_the_cells_hold() -> None:
    shown = table(["NAME", "MESSAGE"], [["web", "a\nb\tc"], ["", "  "], ["api", " x  y "]])
    assert shown == "NAME\tMESSAGE\nweb\ta b c\n-\t-\napi\tx y"
    assert table(["NAME"], []) == "NAME"
