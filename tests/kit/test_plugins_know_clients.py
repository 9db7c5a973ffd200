"""A plugin, an agent or a provider knows another plugin only by its public `client`, whatever it needs of it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import klepaas_agents
import klepaas_plugins
import klepaas_providers

ROOTS = [Path(str(one.__path__[0])) for one in (klepaas_agents, klepaas_plugins, klepaas_providers)]


def imported(tree: ast.AST) -> Iterator[str]:
    """The modules that a module imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (
                [node.module] if node.module.count(".") else [f"{node.module}.{one.name}" for one in node.names]
            )
        elif isinstance(node, ast.Import):
            yield from (one.name for one in node.names)


def strangers(module: str, tree: ast.AST) -> list[str]:
    """What a module imports of another plugin beside its client.

    Args:
        module: Its dotted name.
        tree: The module.
    """
    own, found = module.split(".")[:2], []
    for name in imported(tree):
        parts = name.split(".")
        is_anothers = parts[0] == "klepaas_plugins" and len(parts) > 1 and parts[:2] != own
        if is_anothers and (len(parts) != 3 or parts[2] != "client"):
            found.append(name)
    return found


def test_a_plugin_knows_another_plugin_only_by_its_public_client() -> None:
    found = {}
    for root in ROOTS:
        for path in sorted(root.rglob("*.py")):
            name = path.relative_to(root.parent)
            tree = ast.parse(path.read_text(encoding="utf-8"))
            if names := strangers(".".join(name.with_suffix("").parts), tree):
                found[name.as_posix()] = names
    assert found == {}


def test_an_import_around_the_client_is_found_in_every_form() -> None:
    for text in (
        "from klepaas_plugins.kubernetes.risks import find_risks",
        "import klepaas_plugins.kubernetes.write.writer",
        "from klepaas_plugins import kubernetes",
        "def f():\n    from klepaas_plugins.kubernetes.client.cluster import Cluster",
    ):
        assert strangers("klepaas_plugins.deployments.planning.apply", ast.parse(text)), text
    allowed = (
        "from klepaas_plugins.kubernetes.client import Cluster\nfrom klepaas_plugins.deployments.place import Place"
    )
    assert strangers("klepaas_plugins.deployments.planning.apply", ast.parse(allowed)) == []
