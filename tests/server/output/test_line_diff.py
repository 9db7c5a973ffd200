"""The lines that differ between two texts, in bounded time."""

import difflib
import random
import time

import pytest

from klepaas.output.line_diff import changed_lines
from klepaas.testing import time_budget


@pytest.mark.parametrize("context_lines", [0, 1])
@pytest.mark.parametrize("seed", range(30))
def test_a_short_difference_is_that_of_a_unified_diff(seed: int, context_lines: int) -> None:
    choice = random.Random(seed)
    before = [f"line {choice.randrange(60)}" for _ in range(choice.randrange(0, 150))]
    after = [line for line in before if choice.random() > 0.1] + ["more"] * choice.randrange(3)
    whole = list(difflib.unified_diff(before, after, lineterm="", n=context_lines))[2:]
    found = changed_lines("\n".join(before), "\n".join(after), context_lines)
    for sign in "-+":
        assert "".join(line for line in found if line[0] == sign) == "".join(line for line in whole if line[0] == sign)
    assert bool(found) == bool(whole)


def test_one_line_in_the_middle_of_a_large_text_is_told_with_its_place() -> None:
    lines = [f"line {number}" for number in range(20_000)]
    changed = [*lines[:10_000], "another", *lines[10_001:]]
    assert changed_lines("\n".join(lines), "\n".join(changed), 1) == [
        *("@@ -10000,3 +10000,3 @@", " line 9999", "-line 10000", "+another", " line 10001")
    ]


def test_texts_that_would_take_difflib_minutes_take_a_moment() -> None:
    choice = random.Random(1)
    before, after = ("\n".join(f"line {choice.randrange(300)}" for _ in range(30_000)) for _ in range(2))
    begun_s = time.thread_time()
    found = changed_lines(before, after, 1)
    assert time.thread_time() - begun_s < time_budget(1, "every line would be compared with every other")
    assert {line[0] for line in found} <= {"@", "-", "+"}
