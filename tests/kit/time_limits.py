"""Finds the time limits in a test's source that are bare numbers, which a slow or loaded machine could hit."""

import ast
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

# What bounds a wait when a number is its last argument.
_WAITS = frozenset({"fail_after", "move_on_after", "wait_for", "timeout", "settimeout", "wait", "join"})
# The names of limits, as parameters, settings, constants and variables of the environment.
_LIMITS = re.compile(r"^_*(timeout|wait_s|(\w+_)?(timeout|limit|within)_s)$", re.IGNORECASE)
# Where a test has a clock of its own, time passes as the test turns it.
_FAKE = re.compile(r"^(clock|\w*\.clock)\.")
_CLOCKS = re.compile(r"\b(monotonic|perf_counter|process_time|thread_time|current_time|time\.time)\(\)")
_MAY_LIMIT = re.compile(r"fail_after|move_on_after|wait_for|timeout|_s\b")
_MEASURED = re.compile(r"\b(took|duration|elapsed|spent|silence|resumed|meanwhile|connected|decided)(_s)?\b")


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A number in a source that bounds how long something may take."""

    line: int
    code: str


def literal_limits(source: str) -> Iterator[Limit]:
    """Each limit that is a bare number, with the code in which it stands: `fail_after(5)`, `took_s < 2`.

    Programs that a test runs as text are read too.
    """
    tree = ast.parse(source)
    numbers = frozenset(_names_of_numbers(tree))
    for node in ast.walk(tree):
        for code in _in_comparison(node, numbers) if isinstance(node, ast.Compare) else _limits_of(node):
            yield Limit(line=getattr(node, "lineno", 0), code=code)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" in node.value:
            yield from _in_program(node.value, node.lineno)


def _names_of_numbers(module: ast.Module) -> Iterator[str]:
    for node in module.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if _number(value) is not None:
                yield name


def _in_program(text: str, line: int) -> Iterator[Limit]:
    if "import " not in text or not _MAY_LIMIT.search(text):
        return
    try:
        found = list(literal_limits(text))
    except (SyntaxError, ValueError):
        return
    yield from (Limit(line=line + limit.line - 1, code=limit.code) for limit in found)


def _limits_of(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Call():
            yield from _in_call(node)
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield from _in_defaults(node.args)
        case ast.Assign(targets=[target]) | ast.AnnAssign(target=target):
            yield from _in_assignment(target, node.value)
        case ast.Dict():
            yield from _in_items(node)


def _in_call(call: ast.Call) -> Iterator[str]:
    function = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    waits = function in _WAITS and call.args and _number(call.args[-1]) is not None
    if waits and not _FAKE.match(ast.unparse(call.func)):
        yield f"{function}({ast.unparse(call.args[-1])})"
    for keyword in call.keywords:
        yield from _named(keyword.arg or "", keyword.value)
    # monkeypatch.setattr(module, "START_LIMIT_S", 0.05), setenv("KLEPAAS_K8S_READ_TIMEOUT_S", "0.5")
    if len(call.args) > 1 and isinstance(call.args[-2], ast.Constant):
        yield from _named(str(call.args[-2].value).rpartition(".")[2], call.args[-1])


def _in_defaults(arguments: ast.arguments) -> Iterator[str]:
    positional = [*arguments.posonlyargs, *arguments.args]
    pairs = [*zip(reversed(positional), reversed(arguments.defaults), strict=False)]
    pairs += [(name, value) for name, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if value]
    for argument, value in pairs:
        yield from _named(argument.arg, value)


def _in_assignment(target: ast.expr, value: ast.expr | None) -> Iterator[str]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for one, its in zip(target.elts, value.elts, strict=False):
            yield from _in_assignment(one, its)
    elif value is not None:
        yield from _named(ast.unparse(target).rpartition(".")[2], value)


def _in_items(items: ast.Dict) -> Iterator[str]:
    for key, value in zip(items.keys, items.values, strict=True):
        if isinstance(key, ast.Constant):
            yield from _named(str(key.value), value)


def _named(name: str, value: ast.expr) -> Iterator[str]:
    if _LIMITS.match(name) and _number(value) is not None:
        yield f"{name}={ast.unparse(value)}"


def _in_comparison(comparison: ast.Compare, numbers: Collection[str]) -> Iterator[str]:
    """An upper bound of a measured time; a lower one cannot be missed by being slow."""
    sides = [comparison.left, *comparison.comparators]
    for left, operator, right in zip(sides, comparison.ops, sides[1:], strict=False):
        less, more = (right, left) if isinstance(operator, (ast.Gt, ast.GtE)) else (left, right)
        text = ast.unparse(less)
        measured = (_CLOCKS.search(text) and not _FAKE.match(text)) or _MEASURED.search(text)
        if isinstance(operator, (ast.Lt, ast.LtE, ast.Gt, ast.GtE)) and measured and _bare(more, numbers):
            yield f"{text} < {ast.unparse(more)}"


def _bare(bound: ast.expr, numbers: Collection[str]) -> bool:
    """Nothing in it is from a helper, and a number is, or the name of one."""
    nodes = [*ast.walk(bound)]
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    return not names & {"scale_timeout", "time_budget"} and any(
        _number(node) is not None if isinstance(node, ast.Constant) else getattr(node, "id", "") in numbers
        for node in nodes
    )


def _number(value: ast.expr) -> float | None:
    if not isinstance(value, ast.Constant) or isinstance(value.value, bool):
        return None
    try:
        return float(value.value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
