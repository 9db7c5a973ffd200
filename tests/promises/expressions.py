"""Every regular expression of the product, found in its source and in its imported modules.

The source says where an expression is made and by which methods it is used; the imported module says what it is.
"""

import ast
import dataclasses
import importlib
import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGES = ("klepaas", "klepaas_plugins", "klepaas_providers", "klepaas_agents")
_FUNCTIONS = frozenset(
    {"compile", "match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer", "template"}
)
_METHODS = _FUNCTIONS - {"compile", "template"}
# What an expression is tried with where nothing says how it is used.
ANY_WAY = frozenset({"fullmatch", "finditer"})


@dataclasses.dataclass(frozen=True)
class Expression:
    """A regular expression, where it stands and the methods that it is used with."""

    where: str
    pattern: str
    flags: int
    ways: frozenset[str]
    is_bytes: bool = False

    def compiled(self) -> re.Pattern[Any]:
        """The expression, ready for use."""
        return re.compile(self.pattern.encode("latin-1") if self.is_bytes else self.pattern, self.flags)


@dataclasses.dataclass
class Found:
    """What one walk over the product found: the expressions, and the places whose expression it could not read."""

    expressions: list[Expression]
    unread: list[str]
    aliases: list[str]


def find_expressions(built: Mapping[str, Sequence[str]]) -> Found:
    """Walk the product.

    Args:
        built: Samples of what a function makes at run time, by "module:function" of the place.
    """
    found = Found([], [], [])
    modules = list(_modules())
    uses = _Uses()
    for module, tree in modules:
        uses.read(module, tree)
    for module, tree in modules:
        _Reader(module, tree, uses, built, found).read()
    return found


def _modules() -> Iterator[tuple[ModuleType, ast.Module]]:
    for package_name in PACKAGES:
        package = importlib.import_module(package_name)
        names = [package_name]
        names += [info.name for info in pkgutil.walk_packages(package.__path__, package_name + ".")]
        for name in names:
            if name.endswith((".__main__", ".migrations.env")):  # They run when they are imported.
                continue
            module = importlib.import_module(name)
            if module.__file__ is not None and module.__file__.endswith(".py"):
                yield module, ast.parse(Path(module.__file__).read_text(encoding="utf-8"))


def source_files() -> set[Path]:
    """Every Python file of the product, however it is reached."""
    files: set[Path] = set()
    for package_name in PACKAGES:
        for folder in importlib.import_module(package_name).__path__:
            files |= {path.resolve() for path in Path(folder).rglob("*.py")}
    return files


def read_files() -> set[Path]:
    """The files that the walk reads."""
    return {Path(module.__file__ or "").resolve() for module, _ in _modules()}


def is_pattern_call(node: ast.AST) -> bool:
    """Whether this is a call of a function of `re` that takes an expression."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "re"
        and node.func.attr in _FUNCTIONS
    )


class _Uses:
    """By which methods each module-level name is used, in any module that imports it."""

    def __init__(self) -> None:
        self._ways: dict[tuple[str, str], set[str]] = {}

    def read(self, module: ModuleType, tree: ast.Module) -> None:
        """Note every use of a name in a module."""
        origins = _imported(tree)
        called: set[int] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                called.add(id(node.value))
                if node.attr in _METHODS:
                    self._add(module, origins, node.value.id, node.attr)
                elif node.attr not in ("pattern", "flags"):
                    self._add(module, origins, node.value.id, "any")
        for name, at, way in _passed_on(tree):
            called.add(at)
            self._add(module, origins, name, way)
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and id(node) not in called:
                self._add(module, origins, node.id, "any")

    def _add(self, module: ModuleType, origins: Mapping[str, tuple[str, str]], name: str, way: str) -> None:
        self._ways.setdefault(origins.get(name, (module.__name__, name)), set()).add(way)

    def of(self, module: ModuleType, name: str) -> frozenset[str]:
        """The methods that a module's name is used with."""
        ways = self._ways.get((module.__name__, name), {"any"})
        return frozenset(ways - {"any"}) | ANY_WAY if "any" in ways else frozenset(ways)


def _passed_on(tree: ast.Module) -> Iterator[tuple[str, int, str]]:
    """Names handed to a function of the same module that uses its parameter with one method only."""
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in functions:
            function = functions[node.func.id]
            for argument, parameter in zip(node.args, function.args.args, strict=False):
                ways = _ways_of(function, parameter.arg)
                if isinstance(argument, ast.Name) and ways:
                    yield from ((argument.id, id(argument), way) for way in ways)


def _ways_of(function: ast.FunctionDef, parameter: str) -> set[str]:
    """The methods of an expression that a function uses its parameter with; none where it does something else too."""
    loads = [node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == parameter]
    used = [
        node.attr
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == parameter
    ]
    return set(used) if len(used) == len(loads) and set(used) <= _METHODS else set()


def _imported(tree: ast.Module) -> dict[str, tuple[str, str]]:
    return {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


class _Reader:
    """Reads the expressions of one module."""

    def __init__(
        self, module: ModuleType, tree: ast.Module, uses: _Uses, built: Mapping[str, Sequence[str]], found: Found
    ) -> None:
        self._module, self._tree, self._uses, self._built, self._found = module, tree, uses, built, found

    def read(self) -> None:
        """Add what the module holds."""
        self._read_aliases()
        inside = {id(node): name for name, body in _functions(self._tree) for node in ast.walk(body)}
        at_top = [node for node in self._tree.body if not isinstance(node, ast.Import | ast.ImportFrom)]
        for statement in at_top:
            calls = [node for node in ast.walk(statement) if is_pattern_call(node) and id(node) not in inside]
            names = list(_targets(statement))
            reached = [pair for name in names for pair in _patterns_of(getattr(self._module, name, None), name)]
            for name, pattern in reached:
                self._add(name, pattern, self._uses.of(self._module, name.split("[")[0].split(".")[0]))
            if len(reached) < len(calls) and not self._read_calls(calls, "module"):
                self._found.unread.append(f"{self._module.__name__}:{statement.lineno}")
        for node in ast.walk(self._tree):
            if is_pattern_call(node) and id(node) in inside:
                self._read_calls([node], inside[id(node)])

    def _read_aliases(self) -> None:
        for node in ast.walk(self._tree):
            from_re = isinstance(node, ast.ImportFrom) and node.module in ("re", "regex", "re2", "sre_compile")
            named = isinstance(node, ast.Import) and any(
                alias.name in ("regex", "re2", "sre_compile") or (alias.name == "re" and alias.asname)
                for alias in node.names
            )
            if from_re or named:
                self._found.aliases.append(f"{self._module.__name__}:{getattr(node, 'lineno', 0)}")

    def _read_calls(self, calls: Iterable[ast.AST], place: str) -> bool:
        """Whether the expression of every call is known."""
        known = True
        for call in calls:
            assert isinstance(call, ast.Call)
            assert isinstance(call.func, ast.Attribute)
            where, way = f"{self._module.__name__}:{place}", call.func.attr
            ways = ANY_WAY if way == "compile" else frozenset({way})
            samples = self._evaluate(call)
            for sample in samples if samples is not None else self._built.get(where, ()):
                self._add(f"{place}()", re.compile(sample, self._flags(call)), ways)
            if samples is None and where not in self._built:
                known = False
                self._found.unread.append(f"{where} (line {call.lineno})")
        return known

    def _evaluate(self, call: ast.Call) -> list[Any] | None:
        try:
            value = eval(compile(ast.Expression(call.args[0]), "pattern", "eval"), vars(self._module), {})
        except (NameError, AttributeError):
            return None
        return [value] if isinstance(value, str | bytes) else None

    def _flags(self, call: ast.Call) -> int:
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        at = {"compile": 1, "sub": 4, "subn": 4, "split": 3}.get(name, 2)
        given = [keyword.value for keyword in call.keywords if keyword.arg == "flags"] + call.args[at : at + 1]
        return int(eval(compile(ast.Expression(given[0]), "flags", "eval"), vars(self._module))) if given else 0

    def _add(self, name: str, pattern: re.Pattern[Any], ways: frozenset[str]) -> None:
        is_bytes = isinstance(pattern.pattern, bytes)
        text = pattern.pattern.decode("latin-1") if is_bytes else pattern.pattern
        flags = pattern.flags & ~re.UNICODE
        self._found.expressions.append(
            Expression(f"{self._module.__name__}.{name}", text, flags, ways or ANY_WAY, is_bytes)
        )


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Functions and lambdas with the name of the function that they stand in; the innermost comes last."""

    def within(node: ast.AST, name: str) -> Iterator[tuple[str, ast.AST]]:
        for child in ast.iter_child_nodes(node):
            inner = name
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                inner = child.name
                yield inner, child
            elif isinstance(child, ast.Lambda):
                inner = name or "lambda"
                yield inner, child
            yield from within(child, inner)

    yield from within(tree, "")


def _targets(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.ClassDef):
        yield statement.name
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _patterns_of(value: Any, name: str, depth: int = 5) -> Iterator[tuple[str, re.Pattern[Any]]]:
    """The compiled expressions in a value: itself, in its containers, on its class or in its fields."""
    if isinstance(value, re.Pattern):
        yield name, value
        return
    for label, inner in _parts(value) if depth else ():
        yield from _patterns_of(inner, f"{name}{label}", depth - 1)


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((f"[{key!r}]", inner) for key, inner in value.items())
        yield from (("[]", key) for key in value)
    elif isinstance(value, list | tuple | set | frozenset):
        yield from ((f"[{at}]", inner) for at, inner in enumerate(value))
    elif isinstance(value, type):
        yield from ((f".{key}", inner) for key, inner in vars(value).items() if not key.startswith("__"))
    elif dataclasses.is_dataclass(value):
        yield from ((f".{field.name}", getattr(value, field.name, None)) for field in dataclasses.fields(value))
