"""Fields of which an object may have one only: whoever names one of them does not want the others any more.

A probe has one handler, a volume one source, a variable a value or where it comes from, and a strategy has bounds only
where it rolls. A server merges what is applied into what is there and then refuses both; it even keeps the bounds that
it has set itself as defaults. kubectl removes the others as well ("retainKeys").

Source: Kubernetes, package validation: "may not specify more than 1 handler type", "may not specify more than 1 volume
type", "may not be specified when `value` is not empty", "may not be specified when strategy `type` is 'Recreate'".
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from klepaas_plugins.kubernetes.write.own_fields import Path

__all__ = ["with_others_removed"]

_GROUPS = frozenset({"", "apps", "batch"})
_HANDLERS = frozenset({"exec", "grpc", "httpGet", "sleep", "tcpSocket"})
_HANDLED = frozenset({"livenessProbe", "postStart", "preStop", "readinessProbe", "startupProbe"})
_STRATEGIES = {"Deployment": "strategy", "StatefulSet": "updateStrategy"}
# The lists on the way, whose items have a name.
_LISTS = frozenset({"containers", "env", "ephemeralContainers", "initContainers", "volumes"})


def with_others_removed(
    named: Mapping[str, Any], live: Mapping[str, Any], is_held: Callable[[Path], bool]
) -> tuple[dict[str, Any], list[Path]]:
    """A manifest in which null stands for each field that cannot be beside one that it names.

    Args:
        named: The manifest.
        live: The object as it is.
        is_held: Whether a field is to be left as it is; then the manifest must not name the other one.

    Returns:
        The manifest, and the fields that are left as they are although the manifest names what excludes them.
    """
    group = str(named.get("apiVersion")).rpartition("/")[0]
    if group not in _GROUPS or not isinstance(named.get("spec"), Mapping):
        return dict(named), []
    walk = _Walk(str(named.get("kind")), is_held)
    return {**named, "spec": walk.through("spec", named["spec"], live.get("spec"), ("f:spec",))}, walk.left


class _Walk:
    """One way through a manifest and the object as it is."""

    def __init__(self, kind: str, is_held: Callable[[Path], bool]) -> None:
        self._strategy = _STRATEGIES.get(kind)
        self._is_held = is_held
        self.left: list[Path] = []

    def through(self, key: str, named: Any, live: Any, path: Path) -> Any:
        """What a manifest has under a name, with nulls."""
        if isinstance(named, list) and isinstance(live, list) and key in _LISTS:
            return [self._item(key, item, live, path) for item in named]
        if not isinstance(named, Mapping) or not isinstance(live, Mapping):
            return named
        below = {name: self.through(name, one, live.get(name), (*path, f"f:{name}")) for name, one in named.items()}
        return self._chosen(below, live, path, list(self._choices(key, below, live)))

    def _item(self, key: str, item: Any, live: Sequence[Any], path: Path) -> Any:
        if not isinstance(item, Mapping):
            return item
        there = next((one for one in live if isinstance(one, Mapping) and one.get("name") == item.get("name")), None)
        step = f"k:{json.dumps({'name': item.get('name')}, separators=(',', ':'))}"
        return self.through(f"{key}[]", item, there, (*path, step))

    def _choices(
        self, key: str, named: Mapping[str, Any], live: Mapping[str, Any]
    ) -> Iterator[tuple[frozenset[str], frozenset[str]]]:
        """Names of which the manifest has some, and those that cannot be beside them."""
        if key == self._strategy and named.get("type") not in (None, "RollingUpdate"):
            yield frozenset({"type"}), frozenset({"rollingUpdate"})
        if key in _HANDLED:
            yield _HANDLERS, _HANDLERS
        if key in ("volumes[]", "valueFrom"):
            every = frozenset({*named, *live}) - {"name"}
            yield every, every
        if key == "env[]":
            every = frozenset({"value", "valueFrom"})
            yield every, every

    def _chosen(
        self,
        named: dict[str, Any],
        live: Mapping[str, Any],
        path: Path,
        choices: Sequence[tuple[frozenset[str], frozenset[str]]],
    ) -> dict[str, Any]:
        for ours, theirs in choices:
            chosen = [name for name in named if name in ours and named[name] is not None]
            others = [name for name in live if name in theirs and name not in named] if chosen else []
            held = [(*path, f"f:{name}") for name in others if self._is_held((*path, f"f:{name}"))]
            self.left += held
            if held:
                named = {name: value for name, value in named.items() if name not in chosen}
            else:
                named = {**named, **dict.fromkeys(others)}
        return named
