"""Hostile texts for a regular expression, derived from its own parse tree, and how its cost grows with their length.

For each repeat: a text that reaches it, then many copies of what it matches, then a text that breaks the match; also
many copies of all of this together, which gives a search many places to begin at. Where two repeats stand beside or
inside each other, characters that both match are among the copies, so that the engine can share them out in many ways.
"""

import contextlib
import dataclasses
import gc
import importlib
import itertools
import math
import random
import re
import signal
import string
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

_parser: Any = importlib.import_module("re._parser")
_constants: Any = importlib.import_module("re._constants")

# One size that is tried at once: what is quadratic takes a hundred times longer there than what is linear.
SCREEN_CHARS = 4_096
SCREEN_S = 0.001
# Linear, and yet too slow: a megabyte would take seconds.
_MOST_COST_NS = 4_000
# For each character: 1 is linear, 4 is quadratic; what lies between is measured again.
_MOST_GROWTH = 2.2
_CERTAIN_GROWTH = 3.0
_LIMIT_S = 0.15
_ALPHABET = string.printable + "\x00\x1b\x9b\u2028é가힣비밀×\U0001f600"


@dataclasses.dataclass(frozen=True)
class Pump:
    """A text that grows: its beginning, what is repeated (one or two parts one after the other) and its end."""

    before: str
    parts: tuple[str, ...]
    after: str

    def text(self, size_chars: int) -> str:
        """The text with about this many characters."""
        share = size_chars // len(self.parts)
        return self.before + "".join(part * max(1, share // len(part)) for part in self.parts) + self.after

    def __str__(self) -> str:
        return f"{self.before!r} + {' + '.join(f'n*{part!r}' for part in self.parts)} + {self.after!r}"


@dataclasses.dataclass(frozen=True)
class Growth:
    """What a text costs: for each character, and with which power of its length the whole grows."""

    pump: Pump
    cost_ns: float
    power: float
    is_linear: bool


class _Tree:
    """An expression's parse tree, with one character for each class of characters that it tells apart."""

    def __init__(self, pattern: re.Pattern[Any]) -> None:
        self.tree = _parser.parse(pattern.pattern, pattern.flags)
        self._ignores_case = bool(pattern.flags & re.IGNORECASE)
        self._fitting: dict[int, list[str]] = {}
        sets = [node for node in self._walk(self.tree) if node[0] in _SETS]
        known: dict[tuple[bool, ...], str] = {}
        literals = sorted({chr(value) for op, value in sets if op in (_constants.LITERAL, _constants.NOT_LITERAL)})
        is_bytes = isinstance(pattern.pattern, bytes)
        for character in dict.fromkeys(["a", "0", "A", " ", *_ALPHABET, *literals]):
            if not is_bytes or ord(character) < 256:
                known.setdefault(tuple(self.takes(node, character) for node in sets), character)
        self.characters = list(known.values())

    def _walk(self, tree: Any) -> Iterator[tuple[Any, Any]]:
        for op, value in tree:
            yield op, value
            for inner in _inner(op, value):
                yield from self._walk(inner)

    def takes(self, node: tuple[Any, Any], character: str) -> bool:
        """Whether a node for one character matches this one."""
        cases = {character, character.lower(), character.upper()} if self._ignores_case else {character}
        return any(_takes(node, case) for case in cases if len(case) == 1)

    def sample(self, tree: Any, choice: random.Random | None = None) -> str:
        """A short text that the tree matches, look-arounds aside; without a choice always the same one."""
        return "".join(self._sample_node(op, value, choice) for op, value in tree)

    def _fitting_for(self, op: Any, value: Any) -> list[str]:
        key = hash((op, value if isinstance(value, int) else id(value)))
        if key not in self._fitting:
            self._fitting[key] = [one for one in self.characters if self.takes((op, value), one)]
        return self._fitting[key]

    def _sample_node(self, op: Any, value: Any, choice: random.Random | None) -> str:
        if op in _SETS:
            fitting = self._fitting_for(op, value)
            return (choice.choice(fitting) if choice else fitting[0]) if fitting else ""
        if op in _REPEATS:
            least, most, inner = value
            count = max(least, min(1, most) if choice is None else choice.choice([0, 1, 2]))
            return "".join(self.sample(inner, choice) for _ in range(min(count, most)))
        if op is _constants.BRANCH:
            return self.sample(choice.choice(value[1]) if choice else value[1][0], choice)
        if op is _constants.SUBPATTERN:
            return self.sample(value[3], choice)
        if op is _constants.ATOMIC_GROUP:
            return self.sample(value, choice)
        return ""

    def repeats(self) -> Iterator[tuple[str, Any, str]]:
        """Each repeat: a text that reaches it, the repeated tree, and a text that matches what follows it."""
        yield from self._repeats(self.tree, "", "")

    def _repeats(self, tree: Any, before: str, after: str) -> Iterator[tuple[str, Any, str]]:
        nodes = list(tree)
        for at, (op, value) in enumerate(nodes):
            reach = before + self.sample(nodes[:at])
            rest = self.sample(nodes[at + 1 :]) + after
            if op in _REPEATS:
                if value[1] > 8:
                    yield reach, value[2], rest
                yield from self._repeats(value[2], reach, rest)
            else:
                for inner in _inner(op, value):
                    yield from self._repeats(inner, reach, rest)

    def copies(self, tree: Any) -> list[str]:
        """Texts that a repeated tree matches: of one set each character that is told apart, else some samples."""
        nodes = list(tree)
        if len(nodes) == 1 and nodes[0][0] in _SETS:
            return self._fitting_for(*nodes[0])
        choice = random.Random(1)
        return list(dict.fromkeys([self.sample(tree), *(self.sample(tree, choice) for _ in range(4))]))


_SETS = (_constants.LITERAL, _constants.NOT_LITERAL, _constants.IN, _constants.ANY)
_REPEATS = (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT)


def _inner(op: Any, value: Any) -> Sequence[Any]:
    if op in _REPEATS:
        return [value[2]]
    if op is _constants.BRANCH:
        return list(value[1])
    if op is _constants.SUBPATTERN:
        return [value[3]]
    if op is _constants.ATOMIC_GROUP:
        return [value]
    if op in (_constants.ASSERT, _constants.ASSERT_NOT):
        return [value[1]]
    if op is _constants.GROUPREF_EXISTS:
        return [part for part in value[1:] if part is not None]
    return []


def _takes(node: tuple[Any, Any], character: str) -> bool:
    op, value = node
    if op is _constants.LITERAL:
        return bool(ord(character) == value)
    if op is _constants.NOT_LITERAL:
        return bool(ord(character) != value)
    if op is _constants.ANY:
        return character != "\n"
    items = [item for item in value if item[0] is not _constants.NEGATE]
    return any(_takes_item(item, character) for item in items) != (len(items) < len(value))


def _takes_item(item: tuple[Any, Any], character: str) -> bool:
    op, value = item
    if op is _constants.RANGE:
        return bool(value[0] <= ord(character) <= value[1])
    if op is _constants.CATEGORY:
        return re.match(_CATEGORIES[str(value)], character) is not None
    return _takes(item, character)


_CATEGORIES = {
    f"CATEGORY_{name}": form
    for name, form in (
        ("DIGIT", r"\d"),
        ("NOT_DIGIT", r"\D"),
        ("SPACE", r"\s"),
        ("NOT_SPACE", r"\S"),
        ("WORD", r"\w"),
        ("NOT_WORD", r"\W"),
    )
}


def pumps_of(pattern: re.Pattern[Any], most: int = 32) -> list[Pump]:
    """Hostile texts for an expression.

    Args:
        pattern: The expression.
        most: How many of each kind at most; where there are more, they are picked evenly.
    """
    tree = _Tree(pattern)
    found: list[Pump] = []
    for kind in (_copies, _beginnings, _pairs, _wholes):
        pumps = list(dict.fromkeys(pump for pump in kind(tree) if all(pump.parts)))
        found += pumps if len(pumps) <= most else random.Random(7).sample(pumps, most)
    return list(dict.fromkeys(found))


def _copies(tree: _Tree) -> Iterator[Pump]:
    """A text that reaches a repeat, many copies of what it matches, and a text that breaks the match."""
    for before, inner, after in tree.repeats():
        for copy in tree.copies(inner):
            for end in _ends(tree)[:3]:
                yield Pump(before, (copy,), end)
            yield Pump(before, (copy,), after + "\n!")


def _beginnings(tree: _Tree) -> Iterator[Pump]:
    """Many places at which a search can begin."""
    for before, inner, after in tree.repeats():
        for copy in tree.copies(inner):
            yield Pump("", (before + copy,), "\n")
            yield Pump("", (before + copy + after[:-1],), "\n")


def _pairs(tree: _Tree) -> Iterator[Pump]:
    """Copies of what a repeat matches and then of something else, which another repeat may match."""
    for before, inner, after in tree.repeats():
        for copy in tree.copies(inner):
            yield Pump("", (before or copy, copy), "\n")
            yield Pump(before, (copy, after or copy), "\n")
            for other in tree.characters:
                yield Pump(before, (copy, other), _ends(tree)[0])


def _wholes(tree: _Tree) -> Iterator[Pump]:
    """Whole matches, beginnings of matches, and each character that the expression tells apart."""
    choice = random.Random(1)
    for text in [tree.sample(tree.tree), *(tree.sample(tree.tree, choice) for _ in range(8))]:
        yield Pump("", (text,), "\n")
        yield Pump("", (text[:-1],), "\n")
    for character, other in itertools.product(tree.characters[:12], repeat=2):
        yield Pump("", (character + other,) if character != other else (character,), "\n")


def _ends(tree: _Tree) -> list[str]:
    """Texts that break a match: characters that the expression matches nowhere or seldom."""
    return list(dict.fromkeys([tree.characters[-1], "\x00", "!", "\n!", ""]))


def worst_growth(run: Callable[[str], object], pumps: Sequence[Pump]) -> Growth:
    """The pump that costs most, with how its cost grows.

    Args:
        run: What is tried with a text.
        pumps: The texts.
    """
    worst: Growth | None = None
    for pump in pumps:
        found = _growth(run, pump)
        if not found.is_linear:
            return found
        if worst is None or found.cost_ns > worst.cost_ns:
            worst = found
    return worst or Growth(Pump("", ("",), ""), 0.0, 0.0, is_linear=True)


def _growth(run: Callable[[str], object], pump: Pump) -> Growth:
    """Screen one pump at small sizes, then at one where a quadratic cost stands out; measure it where it does."""
    # Of a long part there are fewer copies, and it is their number that counts.
    screen = SCREEN_CHARS * min(16, max(1, max(map(len, pump.parts)) // 4))
    small, text = 0.0, ""
    for size in (64, 512, screen):
        text = pump.text(size)
        small = _cost_s(run, text)
        # Collecting garbage, once, is no property of the expression.
        if small > _LIMIT_S and (small := min(_cost_s(run, text) for _ in range(2))) > _LIMIT_S:
            return Growth(pump, small / len(text) * 1e9, math.inf, is_linear=False)
    if small <= SCREEN_S:
        return Growth(pump, small / len(text) * 1e9, 1.0, is_linear=True)
    for runs in (1, 3, 5, 7):
        short, long = (
            min(_cost_s(run, text) for _ in range(runs)) / len(text)
            for text in (pump.text(size) for size in (screen // 2, screen * 2))
        )
        if long < short * _MOST_GROWTH or (runs > 1 and long > short * _CERTAIN_GROWTH):
            break
    is_linear = long < short * _MOST_GROWTH and long * 1e9 < _MOST_COST_NS
    return Growth(pump, long * 1e9, 1 + math.log(long / short, 4), is_linear)


def _cost_s(run: Callable[[str], object], text: str) -> float:
    """The time of the processor that a run takes; over the limit it is broken off where the system can do that."""
    begun = time.thread_time()
    with _broken_off_after(_LIMIT_S * 2), contextlib.suppress(_TooLong):
        run(text)
    return time.thread_time() - begun


class _TooLong(BaseException):
    pass


@contextlib.contextmanager
def _broken_off_after(limit_s: float) -> Iterator[None]:
    if not hasattr(signal, "setitimer"):
        yield
        return

    def stop(*_: object) -> None:
        raise _TooLong

    # What a collection calls back would be broken off instead, and reported by the interpreter.
    collects = gc.isenabled()
    gc.disable()
    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
        if collects:
            gc.enable()
