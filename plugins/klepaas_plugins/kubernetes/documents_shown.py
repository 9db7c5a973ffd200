"""Whole objects as YAML or JSON, masked.

They are cut before they are written: five megabytes of object cost no more than the part of it that is shown.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import yaml

from klepaas.offload import size_of
from klepaas_plugins.kubernetes.masking import mask_each
from klepaas_plugins.kubernetes.server_defaults import without_defaults

__all__ = ["SHORTENED", "Form", "document", "documents"]

Form = Literal["yaml", "full", "json"]
# What leads documents of the form "yaml".
SHORTENED = "# Without status and server defaults; output=full shows them"

# More than any answer holds, so what is cut here would have been cut later.
SHOWN_MAX_CHARS = 300_000
# A smaller part of an object is never taken apart before it is masked: what makes a field secret may stand beside it.
WHOLE_MAX_FIELDS = 50
# What is smaller cannot grow beyond what is shown by the marks that masking writes.
SMALL_CHARS = SHOWN_MAX_CHARS // 10


def document(found: Mapping[str, Any], form: Form) -> str:
    """An object as a document, without its secrets.

    Args:
        found: The object as the API sends it.
        form: What is written: YAML without status and defaults, whole YAML, or whole JSON.
    """
    return documents([found], form)[0]


def documents(found: Iterable[Mapping[str, Any]], form: Form) -> list[str]:
    """Objects as documents, without their secrets; what stands in several of them is judged once.

    Args:
        found: The objects as the API sends them.
        form: As for `document`.
    """
    shown = [without_defaults(one) if form == "yaml" else one for one in found]
    # Masking copies; a copy that only bounds what is small would take as long as it again.
    large = [size_of(one, SMALL_CHARS) >= SMALL_CHARS for one in shown]
    masked = mask_each(
        _bounded(one, cut_texts=False) if is_large else one for one, is_large in zip(shown, large, strict=True)
    )
    return [
        _written(_bounded(one, cut_texts=True) if is_large else one, form)
        for one, is_large in zip(masked, large, strict=True)
    ]


def _bounded(value: Mapping[str, Any], *, cut_texts: bool) -> dict[str, Any]:
    copy: dict[str, Any] = _Bounded(cut_texts=cut_texts).copy(value)
    return copy


def _written(clean: Mapping[str, Any], form: Form) -> str:
    if form == "json":
        return json.dumps(clean, ensure_ascii=False, separators=(",", ":"))
    return yaml.dump(clean, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=200).rstrip("\n")


class _Bounded:
    """Copies a tree until it has copied enough.

    Args:
        cut_texts: Whether a text may be cut, and any mapping; else only large lists and mappings are.
    """

    def __init__(self, *, cut_texts: bool) -> None:
        self._left_chars = SHOWN_MAX_CHARS
        self._cuts = cut_texts

    def copy(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Mapping):
            return self._mapping(value)
        if isinstance(value, list):
            return self._list(value)
        self._left_chars -= 8
        return value

    def _text(self, text: str) -> str:
        room = max(0, self._left_chars) if self._cuts else len(text)
        self._left_chars -= min(len(text), room) + 8
        return text if len(text) <= room else f"{text[:room]}[+{len(text) - room} characters]"

    def _mapping(self, value: Mapping[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, inner in value.items():
            if self._left_chars <= 0 and (self._cuts or len(value) > WHOLE_MAX_FIELDS):
                result["..."] = f"[{len(value) - len(result)} more fields]"
                break
            self._left_chars -= len(str(key))
            result[key] = self.copy(inner)
        return result

    def _list(self, value: list[Any]) -> list[Any]:
        result: list[Any] = []
        for inner in value:
            if self._left_chars <= 0 and (self._cuts or len(value) > WHOLE_MAX_FIELDS):
                result.append(f"[{len(value) - len(result)} more items]")
                break
            result.append(self.copy(inner))
        return result


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes JSON data as PyYAML does, a text of several lines as a block, as a person would.

    PyYAML finds the node of each value by its class and its identity, and resolves each scalar twice with all its
    expressions; JSON has six types and no aliases, and an object repeats most of its texts.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._tags: dict[str, str] = {}

    def represent(self, data: Any) -> None:
        self.serialize(self._node(data))

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is not yaml.ScalarNode:
            return super().resolve(kind, value, implicit)
        if not implicit[0]:
            return _STR
        found = self._tags.get(value)
        if found is None:
            found = self._tags[value] = super().resolve(kind, value, implicit)
        return found

    def _node(self, value: Any) -> Any:
        kind = type(value)
        if kind is str:
            return yaml.ScalarNode(_STR, value, style="|" if "\n" in value else None)
        if kind is dict:
            pairs = [(self._node(key), self._node(inner)) for key, inner in value.items()]
            return yaml.MappingNode(_MAP, pairs, flow_style=False)
        if kind is list:
            return yaml.SequenceNode(_SEQ, [self._node(inner) for inner in value], flow_style=False)
        if value is None or kind is bool:
            return yaml.ScalarNode(_NULL, "null") if value is None else yaml.ScalarNode(_BOOL, str(value).lower())
        if kind is int:
            return yaml.ScalarNode(_INT, str(value))
        return self._node(str(value)) if isinstance(value, str) else self.represent_data(value)


_STR, _MAP, _SEQ, _NULL, _BOOL, _INT = (
    f"tag:yaml.org,2002:{name}" for name in ("str", "map", "seq", "null", "bool", "int")
)
