"""One comparison, one describing module, one writer: no other module of the product does their work.

Each list of exceptions is data: a module and the reason why it may. A reason for a module that needs none is a fault
too, so that the lists only shrink.
"""

import ast
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

import klepaas
import klepaas_agents
import klepaas_plugins
import klepaas_providers

PACKAGES = (klepaas, klepaas_agents, klepaas_plugins, klepaas_providers)
WRITES = frozenset({"apply", "create", "delete", "json_patch", "merge_patch"})
# No other service of the product has methods of these names.
WRITES_OF_CLUSTERS = frozenset({"apply", "json_patch", "merge_patch"})
WRITER = "klepaas_plugins/kubernetes/write/writer.py"
COMPARISON = "klepaas_plugins/kubernetes/write/compare.py"
DESCRIBER = "klepaas/plans/describe.py"
LIBRARIES = frozenset({"deepdiff", "dictdiffer", "jsondiff", "jsonpatch", "jycm", "xmldiff"})
DIFFING = frozenset({"Differ", "HtmlDiff", "SequenceMatcher", "context_diff", "diff_bytes", "ndiff", "unified_diff"})
# Names of two states of one thing.
STATES = (
    {"before", "after"}, {"old", "new"}, {"was", "now"}, {"live", "target"}, {"live", "wanted"}, {"live", "after"},
    {"earlier", "later"}, {"one", "other"}, {"first", "second"}, {"previous", "current"}, {"there", "wanted"},
)  # fmt: skip
OBJECTS = ("Object", "Mapping[str, Any]", "dict[str, Any]", "Snapshot", "Any")

MAY_SEND: Mapping[str, str] = {
    "klepaas_plugins/kubernetes/client/cluster.py": "composes the requests",
    "klepaas_plugins/deployments/releases/storing.py": "klepaas' own records of releases, which nobody reads as a wish",
}
MAY_COMPARE_TEXTS: Mapping[str, str] = {
    "klepaas/output/line_diff.py": "finds the lines of a text that differ, for the describing module",
    DESCRIBER: "shows a text of several lines by those that differ",
    "klepaas/testing/snapshots.py": "shows a developer how a recorded answer differs",
    "klepaas_providers/providers/commands.py": "shows a person how a third party's tool differs from the trusted one",
}
MAY_COMPARE_STATES: Mapping[str, str] = {
    "klepaas/output/line_diff.py": "compares lines of texts",
    "klepaas_plugins/deployments/executor/remaining.py": "whether anything but a status has moved since the last look",
    "klepaas_plugins/deployments/planning/restore.py": "decides which fields come back, each by itself; shows none",
    "klepaas_plugins/deployments/releases/differing.py": "pairs the objects of two releases for the comparison",
    "klepaas_plugins/deployments/releases/filling.py": "puts values that are the same by digest in their places",
    "klepaas_plugins/deployments/releases/hidden.py": "which parts of an object masking hides",
    "klepaas_plugins/deployments/releases/planning.py": "decides which objects come back and go, by their digests",
    "klepaas_plugins/deployments/releases/secret_values.py": "hands two releases with their values to the comparison",
    "klepaas_plugins/deployments/releases/replicas.py": "decides the number of pods of what comes back",
    "klepaas_plugins/deployments/revisions.py": "whether two revisions run the same, for the choice of one",
    "klepaas_plugins/kubernetes/masking/columns.py": "whether masking changed a cell",
    "klepaas_plugins/kubernetes/masking/documents.py": "which parts of a document masking changed",
    "klepaas_plugins/kubernetes/fieldwalk.py": "the operators of a field path: a value with what was asked for",
    "klepaas_plugins/kubernetes/write/basis.py": "which parts of what a plan rests on have moved, by digests",
    "klepaas_plugins/kubernetes/write/autoscaling.py": "whether a body sets the number of pods",
    "klepaas_plugins/kubernetes/write/composing.py": "whether a body sets the number of pods",
    "klepaas_plugins/kubernetes/write/ownership.py": "which fields of other managers are gone, by their managedFields",
    "klepaas_plugins/kubernetes/write/planning.py": "whether a hidden value has another size, as the comparison shows",
    "klepaas_plugins/kubernetes/write/trial.py": "puts the live value in the place of a hidden one, for a dry run",
    "klepaas_plugins/kubernetes/write/writer.py": "whether the object has another version than the one looked at",
}
# Finds what a change does besides in what the comparison cannot weigh; each row of its table has a test.
RISKS = "klepaas_plugins/kubernetes/risks/"
MAY_DESCRIBE: Mapping[str, str] = {
    "klepaas_plugins/deployments/past.py": "the numbers of a scaling in the history, not fields of an object",
    "klepaas_plugins/deployments/planning/scale.py": "the numbers of a scaling in its answer",
}


@cache
def _modules() -> Mapping[str, ast.Module]:
    """Every module of the product but the stand-in for a cluster, which is one."""
    roots = [Path(str(package.__path__[0])) for package in PACKAGES]
    files = ((path, str(path.relative_to(root.parent))) for root in roots for path in sorted(root.rglob("*.py")))
    return {name: ast.parse(path.read_text(encoding="utf-8")) for path, name in files if "/sandbox/" not in name}


def _find(look: Callable[[ast.Module], Iterator[str]]) -> dict[str, list[str]]:
    found = {name: list(look(tree)) for name, tree in _modules().items()}
    return {name: lines for name, lines in found.items() if lines}


def _last(node: ast.AST) -> str | None:
    """The last name of an expression: `cluster` of `self.place.cluster`; of a call that of what it is given."""
    if isinstance(node, ast.Name):
        return node.id.strip("_")
    if isinstance(node, ast.Attribute):
        return node.attr.strip("_")
    if isinstance(node, ast.Call):
        return _last(node.args[0] if node.args else node.func)
    if isinstance(node, ast.Subscript | ast.Await | ast.Starred):
        return _last(node.value)
    return None


def _clusters(tree: ast.Module) -> set[str]:
    """Names that stand for a cluster in a module: by name, by annotation, or as another name for one."""
    names = {"cluster"}
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            target = node.arg if isinstance(node, ast.arg) else _last(node.target)
            names |= {target} if target and ast.unparse(node.annotation).strip("\"'") == "Cluster" else set()
        if isinstance(node, ast.Assign) and _last(node.value) == "cluster":
            names |= {name for target in node.targets if (name := _last(target))}
    return names


def _writes(tree: ast.Module) -> Iterator[str]:
    """What sends a value, called or handed on; a dry run sends none."""
    clusters = _clusters(tree)
    trials = {
        id(node.func)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for word in node.keywords
        if word.arg == "dry_run" and isinstance(word.value, ast.Constant) and word.value.value is True
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or node.attr not in WRITES or id(node) in trials:
            continue
        if node.attr in WRITES_OF_CLUSTERS or _last(node.value) in clusters:
            yield f"{node.lineno}: {ast.unparse(node)}"


def _requests(tree: ast.Module) -> Iterator[str]:
    """Requests to an API server that change something, made beside the client."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _last(node.func) == "Request":
            said = [*node.args, *(word.value for word in node.keywords)]
            verbs = [one.value for one in said if isinstance(one, ast.Constant)]
            yield from (f"{node.lineno}: {verb}" for verb in verbs if verb in ("DELETE", "PATCH", "POST", "PUT"))


def _text_comparisons(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {one.name.rpartition(".")[2] for one in node.names}
            module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
            yield from sorted(
                names & (DIFFING | LIBRARIES | {"changed_lines"}) | {module.partition(".")[0]} & LIBRARIES
            )
        elif isinstance(node, ast.Attribute) and node.attr in DIFFING:
            yield ast.unparse(node)


def _state_comparisons(tree: ast.Module) -> Iterator[str]:
    """Functions that take two states of an object and ask nobody, and expressions that hold one against the other."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            taken = {one.arg for one in [*node.args.args, *node.args.kwonlyargs] if _is_object(one.annotation)}
            asks = any(isinstance(one, ast.Call) and _last(one.func) == "compare" for one in ast.walk(node))
            yield from (f"{node.lineno}: def {node.name}" for pair in STATES if pair <= taken and not asks)
            yield from _equalities(node, taken)
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq):
            pair = {name for side in (node.left, node.comparators[0]) if (name := _last(side))}
            yield from [f"{node.lineno}: {ast.unparse(node)}"] if pair in STATES else []


def _equalities(function: ast.AST, taken: set[str]) -> Iterator[str]:
    """Expressions that hold a part of one object that a function takes against a part of another, by any names."""
    for node in ast.walk(function):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq):
            left, right = (_names_in(side) & taken for side in (node.left, node.comparators[0]))
            if left and right and left != right:
                yield f"{node.lineno}: {ast.unparse(node)}"


def _names_in(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def _is_object(annotation: ast.expr | None) -> bool:
    text = ast.unparse(annotation).strip("\"'") if annotation is not None else "Any"
    return text.removesuffix(" | None") in (*OBJECTS, *(f"Sequence[{one}]" for one in OBJECTS))


def _field_changes(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _last(node.func) == "FieldChange" and not node.args:
            yield f"{node.lineno}: {ast.unparse(node)}"


def _descriptions(tree: ast.Module) -> Iterator[str]:
    """Texts that say what becomes of a value: `{before} -> {after}`, `{value} (removed)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (one.value if isinstance(one, ast.Constant) else "{}" for one in node.values)
            text = "".join(map(str, parts))
            if any(words in text for words in ("{} -> {}", "{} (removed)", "{} (new)")):
                yield f"{node.lineno}: {text}"


def test_no_module_but_the_writer_sends_a_value_to_a_cluster() -> None:
    found = _find(_writes)
    assert found.pop(WRITER), "the walk finds what the writer sends"
    assert {name: lines for name, lines in found.items() if name not in MAY_SEND} == {}
    assert set(MAY_SEND) - {"klepaas_plugins/kubernetes/client/cluster.py"} <= set(found)


def test_no_module_but_the_client_composes_a_request_that_changes_something() -> None:
    client = "klepaas_plugins/kubernetes/client"
    # A review asks who the user is and what they may do; the server stores nothing of it.
    assert set(_find(_requests)) == {f"{client}/cluster.py", f"{client}/reviewing.py"}


def test_no_module_but_the_describing_one_compares_texts() -> None:
    found = _find(_text_comparisons)
    assert {name: lines for name, lines in found.items() if name not in MAY_COMPARE_TEXTS} == {}
    assert set(found) == set(MAY_COMPARE_TEXTS), "each exception is needed"


def test_no_module_but_the_comparison_compares_two_states_of_an_object() -> None:
    found = {name: lines for name, lines in _find(_state_comparisons).items() if not name.startswith(RISKS)}
    assert found.pop(COMPARISON), "the walk finds the comparison"
    assert {name: lines for name, lines in found.items() if name not in MAY_COMPARE_STATES} == {}
    assert set(found) == set(MAY_COMPARE_STATES), "each exception is needed"


def test_no_module_but_the_comparison_says_which_fields_of_an_object_change() -> None:
    assert set(_find(_field_changes)) == {COMPARISON}


def test_no_module_but_the_describing_one_puts_a_change_of_a_field_into_words() -> None:
    found = {name: lines for name, lines in _find(_descriptions).items() if not name.startswith(RISKS)}
    assert found.pop(DESCRIBER), "the walk finds the describing module"
    assert {name: lines for name, lines in found.items() if name not in MAY_DESCRIBE} == {}
    assert set(found) == set(MAY_DESCRIBE), "each exception is needed"


@pytest.mark.parametrize(
    ("look", "text"),
    [
        (_writes, "async def f(place):\n    await place.cluster.apply(body)"),
        (_writes, "async def f(place):\n    api = place.cluster\n    await api.delete(resource, name)"),
        (_writes, "async def f(api: 'Cluster'):\n    await api.create(resource, body)"),
        (_writes, "send = partial(self._cluster.delete, resource)"),
        (_writes, "async def f(x):\n    await x.merge_patch(resource, name, patch, dry_run=maybe)"),
        (_text_comparisons, "from difflib import unified_diff"),
        (_text_comparisons, "import difflib\nlines = difflib.ndiff(a, b)"),
        (_text_comparisons, "from deepdiff import DeepDiff"),
        (_state_comparisons, "def f(before: Object, after: Object): ..."),
        (_state_comparisons, "def f(old, new): ..."),
        (_state_comparisons, "def f(x: Object, y: dict[str, Any]): return at(x, 'spec') != at(y, 'spec')"),
        (_state_comparisons, "same = normal(pair.before) == normal(pair.after)"),
        (_field_changes, "FieldChange(path=path, before=a, after=b)"),
        (_descriptions, "f'{path}: {one} -> {other}'"),
    ],
)
def test_the_walk_finds_each_way_around(look: Callable[[ast.Module], Iterator[str]], text: str) -> None:
    assert list(look(ast.parse(text)))


def test_no_write_takes_fields_by_force() -> None:
    """They change hands in managedFields; a dry run may look beyond conflicts."""
    for name, tree in _modules().items():
        for node in ast.walk(tree) if name != "klepaas_plugins/kubernetes/client/cluster.py" else ():
            if isinstance(node, ast.Call) and any(word.arg == "force" for word in node.keywords):
                assert any(word.arg == "dry_run" for word in node.keywords), (name, ast.unparse(node))
