"""A small part of CEL: enough for the admission policies and validation rules people write most.

Done: literals, lists, field selection and indexing, has(), comparison, logic with CEL's tolerance of errors,
arithmetic, `in`, the conditional, size(), string(), int(), startsWith, endsWith, contains, matches, lowerAscii,
upperAscii, trim, join, all, exists, exists_one, map, filter. Anything else is refused when it is compiled,
never guessed.

Source: https://github.com/google/cel-spec/blob/master/doc/langdef.md
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.\d+|\d+u?)|(?P<string>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')"
    r"|(?P<name>[A-Za-z_]\w*)|(?P<sign>&&|\|\||==|!=|<=|>=|[-+*/%<>!?:.,()\[\]]))"
)
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_MACROS = ("all", "exists", "exists_one", "map", "filter")
_CONSTANTS = {"true": True, "false": False, "null": None}

Scope = Mapping[str, Any]
Node = Callable[[Scope], Any]


class UnsupportedError(ValueError):
    """The text is no CEL, or a part of CEL that is not done here."""


class EvaluationError(ValueError):
    """An expression has no value, such as one that reads a field that is not there."""


def compile_cel(text: str) -> Node:
    """An expression, ready to be evaluated against names and their values.

    Raises:
        UnsupportedError: it cannot be.
    """
    parser = _Parser(text)
    node = parser.conditional()
    parser.end()
    return node


def _select(value: Any, name: str) -> Any:
    if isinstance(value, dict) and name in value:
        return value[name]
    raise EvaluationError(f"no such key: {name}")


def _index(value: Any, key: Any) -> Any:
    if isinstance(value, list) and isinstance(key, int) and not isinstance(key, bool):
        if 0 <= key < len(value):
            return value[key]
        raise EvaluationError(f"index out of bounds: {key}")
    return _select(value, key)


def _same_kind(left: Any, right: Any) -> bool:
    numbers = (int, float)
    if isinstance(left, bool) or isinstance(right, bool):
        return isinstance(left, bool) and isinstance(right, bool)
    return (isinstance(left, numbers) and isinstance(right, numbers)) or type(left) is type(right)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise EvaluationError("no such overload")
    return value


def _logic(left: Node, right: Node, decisive: bool) -> Node:
    """`&&` or `||`: a side that decides wins over an error of the other."""

    def evaluate(scope: Scope) -> bool:
        try:
            if _boolean(left(scope)) is decisive:
                return decisive
        except EvaluationError:
            if _boolean(right(scope)) is decisive:
                return decisive
            raise
        return _boolean(right(scope))

    return evaluate


def _arithmetic(sign: str, left: Any, right: Any) -> Any:
    if not _same_kind(left, right) or isinstance(left, bool | dict | None):
        raise EvaluationError("no such overload")
    if sign == "+":
        return left + right
    if not isinstance(left, int | float):
        raise EvaluationError("no such overload")
    if sign in "/%" and right == 0:
        raise EvaluationError("division by zero" if sign == "/" else "modulus by zero")
    if sign == "/":
        return int(left / right) if isinstance(left, int) and isinstance(right, int) else left / right
    return {"-": operator.sub, "*": operator.mul, "%": operator.mod}[sign](left, right)


def _compare(sign: str, left: Any, right: Any) -> bool:
    if sign in ("==", "!="):
        return (left == right and _same_kind(left, right)) is (sign == "==")
    if not _same_kind(left, right) or isinstance(left, dict | list | None):
        raise EvaluationError("no such overload")
    return bool(_COMPARE[sign](left, right))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _size(value: Any) -> int:
    if not isinstance(value, str | list | dict):
        raise EvaluationError("no such overload")
    return len(value)


def _whole(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise EvaluationError(f"type conversion error from '{value}' to 'int'") from error


_METHODS: dict[str, tuple[int, Callable[..., Any]]] = {
    "startsWith": (1, str.startswith), "endsWith": (1, str.endswith), "contains": (1, str.__contains__),
    "matches": (1, lambda value, pattern: re.search(pattern, value) is not None), "lowerAscii": (0, str.lower),
    "upperAscii": (0, str.upper), "trim": (0, str.strip),
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {"size": _size, "string": _text, "int": _whole}


class _Parser:
    """Recursive descent, each level one precedence."""

    def __init__(self, text: str) -> None:
        self._words: list[tuple[str, str]] = []
        at = 0
        while text[at:].strip():
            found = _TOKEN.match(text, at)
            if found is None:
                raise UnsupportedError(f"Syntax error: token recognition error at: '{text[at:].strip()[:10]}'")
            self._words.append((str(found.lastgroup), found[str(found.lastgroup)]))
            at = found.end()
        self._at = 0

    def _peek(self) -> str:
        return self._words[self._at][1] if self._at < len(self._words) else "<EOF>"

    def _take(self) -> tuple[str, str]:
        if self._at >= len(self._words):
            raise UnsupportedError("Syntax error: mismatched input '<EOF>'")
        self._at += 1
        return self._words[self._at - 1]

    def _accept(self, *signs: str) -> str:
        if self._peek() in signs and self._words[self._at][0] != "string":
            return self._take()[1]
        return ""

    def _expect(self, sign: str) -> None:
        if not self._accept(sign):
            raise UnsupportedError(f"Syntax error: mismatched input '{self._peek()}' expecting '{sign}'")

    def end(self) -> None:
        if self._at < len(self._words):
            raise UnsupportedError(f"Syntax error: extraneous input '{self._peek()}' expecting <EOF>")

    def conditional(self) -> Node:
        test = self._or()
        if not self._accept("?"):
            return test
        yes = self.conditional()
        self._expect(":")
        no = self.conditional()
        return lambda scope: yes(scope) if _boolean(test(scope)) else no(scope)

    def _or(self) -> Node:
        left = self._and()
        while self._accept("||"):
            left = _logic(left, self._and(), True)
        return left

    def _and(self) -> Node:
        left = self._relation()
        while self._accept("&&"):
            left = _logic(left, self._relation(), False)
        return left

    def _relation(self) -> Node:
        left = self._sum()
        while sign := self._accept("==", "!=", "<", "<=", ">", ">=", "in"):
            left = self._related(sign, left, self._sum())
        return left

    @staticmethod
    def _related(sign: str, left: Node, right: Node) -> Node:
        if sign != "in":
            return lambda scope: _compare(sign, left(scope), right(scope))

        def within(scope: Scope) -> bool:
            held = right(scope)
            if not isinstance(held, list | dict):
                raise EvaluationError("no such overload")
            return left(scope) in held

        return within

    def _sum(self) -> Node:
        return self._binary(("+", "-"), lambda: self._binary(("*", "/", "%"), self._unary))

    def _binary(self, signs: tuple[str, ...], below: Callable[[], Node]) -> Node:
        left = below()
        while sign := self._accept(*signs):
            left = self._combined(sign, left, below())
        return left

    @staticmethod
    def _combined(sign: str, left: Node, right: Node) -> Node:
        return lambda scope: _arithmetic(sign, left(scope), right(scope))

    def _unary(self) -> Node:
        if self._accept("!"):
            inner = self._unary()
            return lambda scope: not _boolean(inner(scope))
        if self._accept("-"):
            negated = self._unary()
            return lambda scope: _arithmetic("-", 0, negated(scope))
        return self._member(self._primary())

    def _member(self, node: Node) -> Node:
        while sign := self._accept(".", "["):
            if sign == "[":
                node = self._indexed(node, self.conditional())
                self._expect("]")
                continue
            kind, name = self._take()
            if kind != "name":
                raise UnsupportedError(f"Syntax error: no viable alternative at input '.{name}'")
            node = self._call(node, name) if self._accept("(") else self._selected(node, name)
        return node

    @staticmethod
    def _indexed(node: Node, key: Node) -> Node:
        return lambda scope: _index(node(scope), key(scope))

    @staticmethod
    def _selected(node: Node, name: str) -> Node:
        return lambda scope: _select(node(scope), name)

    def _call(self, node: Node, name: str) -> Node:
        if name in _MACROS:
            return self._macro(node, name)
        arguments = self._arguments()
        if name == "size" and not arguments:
            return lambda scope: _size(node(scope))
        if name == "join" and len(arguments) <= 1:
            between = arguments[0] if arguments else lambda _: ""
            return lambda scope: str(between(scope)).join(node(scope))
        if name not in _METHODS or _METHODS[name][0] != len(arguments):
            raise UnsupportedError(f"undeclared reference to '{name}'")
        method = _METHODS[name][1]

        def evaluate(scope: Scope) -> Any:
            values = [node(scope), *(argument(scope) for argument in arguments)]
            if not all(isinstance(value, str) for value in values):
                raise EvaluationError("no such overload")
            return method(*values)

        return evaluate

    def _macro(self, node: Node, name: str) -> Node:
        variable = self._take()[1]
        self._expect(",")
        body = self.conditional()
        self._expect(")")

        def evaluate(scope: Scope) -> Any:
            items = list(node(scope))
            results = [body({**scope, variable: item}) for item in items]
            if name == "map":
                return results
            held = [_boolean(result) for result in results]
            if name == "filter":
                return [item for item, keep in zip(items, held, strict=True) if keep]
            return {"all": all(held), "exists": any(held), "exists_one": sum(held) == 1}[name]

        return evaluate

    def _arguments(self) -> list[Node]:
        if self._accept(")"):
            return []
        arguments = [self.conditional()]
        while self._accept(","):
            arguments.append(self.conditional())
        self._expect(")")
        return arguments

    def _primary(self) -> Node:
        kind, word = self._take()
        if kind in ("number", "string"):
            value = ast.literal_eval(word.rstrip("u") if kind == "number" else word)
            return lambda _: value
        if word == "(":
            inner = self.conditional()
            self._expect(")")
            return inner
        if word == "[":
            return self._list()
        if kind != "name":
            raise UnsupportedError(f"Syntax error: extraneous input '{word}'")
        if word in _CONSTANTS:
            return lambda _: _CONSTANTS[word]
        return self._function(word) if self._accept("(") else self._named(word)

    def _list(self) -> Node:
        items: list[Node] = []
        while not self._accept("]"):
            items.append(self.conditional())
            if self._peek() != "]":
                self._expect(",")
        return lambda scope: [item(scope) for item in items]

    @staticmethod
    def _named(word: str) -> Node:
        def evaluate(scope: Scope) -> Any:
            if word not in scope:
                raise EvaluationError(f"undeclared reference to '{word}'")
            return scope[word]

        return evaluate

    def _function(self, word: str) -> Node:
        arguments = self._arguments()
        if word not in ("has", *_FUNCTIONS) or len(arguments) != 1:
            raise UnsupportedError(f"undeclared reference to '{word}'")
        if word != "has":
            return lambda scope: _FUNCTIONS[word](arguments[0](scope))

        def evaluate(scope: Scope) -> bool:
            try:
                arguments[0](scope)
            except EvaluationError as error:
                # Only the last field may be missing; that of another is an error, which reads the same here.
                if str(error).startswith("no such key"):
                    return False
                raise
            return True

        return evaluate
