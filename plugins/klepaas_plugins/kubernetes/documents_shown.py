"""Whole objects as YAML or JSON, masked.

They are cut before they are written: five megabytes of object cost no more than the part of it that is shown.
"""

import json
from collections.abc import Mapping
from typing import Any, Literal

import yaml

from klepaas_plugins.kubernetes.masking import mask
from klepaas_plugins.kubernetes.server_defaults import without_defaults

__all__ = ["SHORTENED", "Form", "document"]

Form = Literal["yaml", "full", "json"]
# What leads documents of the form "yaml".
SHORTENED = "# Without status and server defaults; output=full shows them"

# More than any answer holds, so what is cut here would have been cut later.
SHOWN_MAX_CHARS = 300_000
# A smaller part of an object is never taken apart before it is masked: what makes a field secret may stand beside it.
WHOLE_MAX_FIELDS = 50


def document(found: Mapping[str, Any], form: Form) -> str:
    """An object as a document, without its secrets.

    Args:
        found: The object as the API sends it.
        form: What is written: YAML without status and defaults, whole YAML, or whole JSON.
    """
    found = without_defaults(found) if form == "yaml" else found
    clean = _Bounded(cut_texts=True).copy(mask(_Bounded(cut_texts=False).copy(found)))
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
    """Writes a text of several lines as a block, as a person would."""


def _text_node(dumper: Any, text: str) -> Any:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text_node)
