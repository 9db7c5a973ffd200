"""The lines that differ between two texts, in bounded time.

`difflib` compares every line with every equal one, again for each part that it finds: two texts of a megabyte can take
it hours. Long texts are compared by what lines they hold, which takes time in proportion to their length.
"""

import difflib
import re
from collections import Counter
from collections.abc import Sequence

__all__ = ["changed_lines"]

# Of each text, after what both begin and end with.
_DIFF_MAX_LINES = 400
_HEAD = re.compile(r"@@ -(\d{1,9})((?:,\d{1,9})?) \+(\d{1,9})((?:,\d{1,9})?) @@")


def changed_lines(before: str, after: str, context_lines: int = 0) -> list[str]:
    """What a unified diff prints below its head: lines with "-", "+", or a blank before them, and "@@" between parts.

    Of long texts the lines that were removed come first, then those that were added, without context; a line that
    only moved is not among them.

    Args:
        before: The text as it was.
        after: The text as it is.
        context_lines: How many equal lines around each change.
    """
    old, new = before.splitlines(), after.splitlines()
    start = _common(old, new)
    end = _common(old[start:][::-1], new[start:][::-1])
    changed_old, changed_new = old[start : len(old) - end], new[start : len(new) - end]
    if max(len(changed_old), len(changed_new)) <= _DIFF_MAX_LINES:
        first = max(0, start - context_lines)
        around = slice(first, len(old) - end + context_lines), slice(first, len(new) - end + context_lines)
        found = list(difflib.unified_diff(old[around[0]], new[around[1]], lineterm="", n=context_lines))[2:]
        return [_HEAD.sub(lambda head: _moved(head, first), line) if line.startswith("@@") else line for line in found]
    head = f"@@ -{start + 1},{len(changed_old)} +{start + 1},{len(changed_new)} @@"
    return [head, *_only_in(changed_old, changed_new, "-"), *_only_in(changed_new, changed_old, "+")]


def _moved(head: re.Match[str], by: int) -> str:
    """A part's head as it is in the whole texts."""
    return f"@@ -{int(head[1]) + by}{head[2]} +{int(head[3]) + by}{head[4]} @@"


def _common(old: Sequence[str], new: Sequence[str]) -> int:
    """How many lines both begin with."""
    for at, (one, other) in enumerate(zip(old, new, strict=False)):
        if one != other:
            return at
    return min(len(old), len(new))


def _only_in(lines: Sequence[str], others: Sequence[str], sign: str) -> list[str]:
    left = Counter(others)
    found = []
    for line in lines:
        if left[line]:
            left[line] -= 1
        else:
            found.append(f"{sign}{line}")
    return found
