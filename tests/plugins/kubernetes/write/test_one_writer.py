"""One comparison and one writer: no other module of the product compares objects or sends a value to a cluster."""

import ast
from collections.abc import Iterator
from pathlib import Path

import klepaas_agents
import klepaas_plugins
import klepaas_providers

ROOTS = [Path(str(one.__path__[0])) for one in (klepaas_agents, klepaas_plugins, klepaas_providers)]
WRITES = frozenset({"apply", "create", "delete", "json_patch", "merge_patch", "scale"})
# Sends requests for others, and is asked by the writer alone.
CLIENT = "klepaas_plugins/kubernetes/client/cluster.py"
WRITER = "klepaas_plugins/kubernetes/write/writer.py"
# klepaas' own records of releases, which nobody else reads as a wish.
RECORDS = {"klepaas_plugins/deployments/releases/storing.py"}
# Not moved yet: this list only shrinks.
NOT_MOVED = {
    "klepaas_plugins/deployments/verifying.py",
}
COMPARISON = "klepaas_plugins/kubernetes/write/compare.py"
COMPARING = frozenset({"import changed_lines", "compare", "changes", "differences", "visible_changes"})


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for root in ROOTS:
        for path in sorted(root.rglob("*.py")):
            name = str(path.relative_to(root.parent))
            if "/sandbox/" not in name:
                yield name, ast.parse(path.read_text(encoding="utf-8"))


def _writes(tree: ast.Module) -> Iterator[str]:
    """The calls that send a value: a dry run sends none."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr not in WRITES:
            continue
        receiver = ast.unparse(node.func.value)
        is_trial = any(
            word.arg == "dry_run" and isinstance(word.value, ast.Constant) and word.value.value is True
            for word in node.keywords
        )
        if receiver.rpartition(".")[2] in ("cluster", "_cluster") and not is_trial:
            yield f"{receiver}.{node.func.attr}"


def test_no_module_but_the_writer_sends_a_value_to_a_cluster() -> None:
    found = {name: list(_writes(tree)) for name, tree in _modules() if name not in (CLIENT, WRITER)}
    sending = {name for name, calls in found.items() if calls}
    assert sending <= RECORDS | NOT_MOVED, {name: found[name] for name in sending - RECORDS - NOT_MOVED}


def test_the_writer_is_found_by_the_same_walk() -> None:
    trees = dict(_modules())
    assert list(_writes(trees[WRITER]))


def test_no_module_but_the_comparison_compares_two_states_of_an_object() -> None:
    """Each of them would put texts of several lines beside each other, or take one apart into its leaves."""
    comparing = {name for name, tree in _modules() if name != COMPARISON and COMPARING & set(_names(tree))}
    assert not comparing


def _names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (f"import {one.name}" for one in node.names)
        elif isinstance(node, ast.FunctionDef):
            yield node.name


def test_no_write_takes_fields_by_force() -> None:
    """They change hands in managedFields; a dry run may look beyond conflicts."""
    for name, tree in _modules():
        for node in ast.walk(tree) if name != CLIENT and name not in NOT_MOVED else ():
            if isinstance(node, ast.Call) and any(word.arg == "force" for word in node.keywords):
                assert any(word.arg == "dry_run" for word in node.keywords), (name, ast.unparse(node))
