"""Kubernetes objects as they may be shown to people: the structure stays, the secrets do not.

Only the plugin knows which field of an object is a secret, so this is done here, before the gate's net under it. Masked
are: Secrets (key names and sizes stay), literal environment variables that are not evidently harmless, flags of command
lines, ConfigMap values by their keys and line by line, annotations, probe headers, and the fields of any custom
resource by their names. Dropped are managedFields and copies of the object inside its annotations.

Masking is one-way and idempotent, and never changes its input.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from klepaas_plugins.kubernetes.masking.text import is_harmless, is_secret, mask_arguments, mask_text, masked

__all__ = ["mask"]

# Annotations in which tools keep a whole copy of the object, values included.
_COPIES = re.compile(r"(?i)last-?applied|original-(?:spec|object)|rio\.cattle\.io/applied|/(?:pod|job)-?spec$")
_ENVIRONMENT = frozenset({"env", "environment", "envvars", "extraenv", "extraenvvars"})
_COMMAND_LINES = frozenset({"args", "command", "extraargs", "entrypoint", "cmd"})
# Inside a field with a secret's name these only say where the secret is.
_REFERENCE = frozenset(
    {"name", "namespace", "key", "keys", "kind", "apiVersion", "optional", "path", "audience", "group", "version"}
    | {"resource", "type", "driver", "secretName", "configMap", "fieldPath", "mode", "defaultMode", "expirationSeconds"}
)
_JSON_MAX_CHARS = 1024 * 1024


def mask(obj: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of an object, or of a list of objects, without its secrets.

    Args:
        obj: The object as the API sends it; it is not changed.
    """
    return _document(obj, "")


def _document(obj: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """An object; the items of a typed list do not say their kind, the list does."""
    kind = str(obj.get("kind") or kind)
    items = obj.get("items")
    if kind.endswith("List") and isinstance(items, list):
        inner = kind.removesuffix("List")
        copies = [_document(item, inner) if isinstance(item, Mapping) else _value("", item) for item in items]
        rest = {key: _value(key, value) for key, value in obj.items() if key not in ("items", "metadata")}
        return {**rest, "metadata": _metadata(_within(obj, "metadata")), "items": copies}
    special = {"Secret": _secret, "ConfigMap": _config_map, "CustomResourceDefinition": _definition}.get(kind)
    return special(obj) if special else _fields(obj)


def _within(obj: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    inner = obj.get(key)
    return inner if isinstance(inner, Mapping) else {}


def _fields(obj: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an object or of a part of one."""
    result: dict[str, Any] = {}
    pair_is_secret = _names_a_secret(obj)
    for key, value in obj.items():
        if key == "metadata" and isinstance(value, Mapping):
            result[key] = _metadata(value)
        elif key == "value" and pair_is_secret:
            result[key] = _hidden(value)
        else:
            result[key] = _value(str(key), value)
    return result


def _names_a_secret(obj: Mapping[str, Any]) -> bool:
    """Whether this is a pair such as a probe's header {name: Authorization, value: ...}."""
    return any(isinstance(obj.get(key), str) and is_secret(obj[key]) for key in ("name", "key", "header"))


def _value(key: str, value: Any) -> Any:
    """A field's value, judged by the field's name."""
    lowered = key.lower()
    if lowered in _ENVIRONMENT:
        return _environment(value)
    if lowered in _COMMAND_LINES:
        return _command_line(value)
    if lowered == "annotations" and isinstance(value, Mapping):
        return _annotations(value)
    if key and is_secret(key):
        return _hidden(value)
    return _plain(value)


def _plain(value: Any) -> Any:
    """A value under a name that says nothing."""
    if isinstance(value, Mapping):
        embedded = isinstance(value.get("kind"), str) and ("apiVersion" in value or "metadata" in value)
        return _document(value, "") if embedded else _fields(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return _text(value) if isinstance(value, str) else value


def _hidden(value: Any) -> Any:
    """A value under a secret's name: masked, except where it only says where the secret is."""
    if isinstance(value, Mapping):
        return {
            key: _value(str(key), inner) if _refers(str(key), inner) else _hidden(inner) for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_hidden(item) for item in value]
    if value is None or isinstance(value, bool) or value == "":
        return value
    return masked(str(value))


def _refers(key: str, value: Any) -> bool:
    return key in _REFERENCE or key.endswith(("Ref", "Refs", "Name", "Selector")) or isinstance(value, bool)


def _text(text: str) -> str:
    """A text field; one that holds a JSON document is masked as the document it is."""
    if text[:1] in ("{", "[") and len(text) <= _JSON_MAX_CHARS:
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            return mask_text(text)
        clean = _plain(document)
        return text if clean == document else json.dumps(clean, ensure_ascii=False, separators=(",", ":"))
    return mask_text(text)


def _metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in metadata.items() if key != "managedFields"}
    return {key: _value(key, value) for key, value in kept.items()}


def _annotations(annotations: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in annotations.items() if not _COPIES.search(str(key))}
    return {key: masked(str(value)) if is_secret(str(key)) else _plain(value) for key, value in kept.items()}


def _environment(env: Any) -> Any:
    """Environment variables, as a list of names and values or as a mapping: masked unless evidently harmless."""
    if isinstance(env, Mapping):
        return {name: _variable(str(name), value) for name, value in env.items()}
    if not isinstance(env, list):
        return _plain(env) if isinstance(env, bool | None) else masked(str(env))
    return [_named_variable(item) if isinstance(item, Mapping) else _assignment(item) for item in env]


def _named_variable(item: Mapping[str, Any]) -> dict[str, Any]:
    rest = {key: _value(str(key), value) for key, value in item.items() if key not in ("name", "value")}
    given = {"name": item["name"]} if "name" in item else {}
    if "value" in item:
        given["value"] = _variable(str(item.get("name")), item["value"])
    return {**given, **rest}


def _assignment(item: Any) -> Any:
    """A variable in the form NAME=value."""
    if not isinstance(item, str):
        return _hidden(item)
    name, equals, value = item.partition("=")
    return f"{name}={_variable(name, value)}" if equals else masked(item)


def _variable(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _plain(inner) if str(key).startswith("valueFrom") else _hidden(inner) for key, inner in value.items()
        }
    if value is None or (not is_secret(name) and is_harmless(str(value))):
        return value
    return _hidden(value)


def _command_line(words: Any) -> Any:
    if isinstance(words, list) and all(isinstance(word, str) for word in words):
        return mask_arguments(words)
    return mask_arguments([words])[0] if isinstance(words, str) else _plain(words)


def _secret(obj: Mapping[str, Any]) -> dict[str, Any]:
    result = _fields({key: value for key, value in obj.items() if key not in ("data", "stringData")})
    for section in ("data", "stringData"):
        if section in obj:
            values = obj[section] if isinstance(obj[section], Mapping) else {}
            result[section] = {key: _sized(value, encoded=section == "data") for key, value in values.items()}
    return result


def _sized(value: Any, *, encoded: bool) -> str:
    text = "" if value is None else str(value)
    try:
        size_bytes = len(base64.b64decode(text, validate=True)) if encoded else len(text.encode())
    except (binascii.Error, ValueError):
        return masked(text)
    return masked(text, size_bytes)


def _config_map(obj: Mapping[str, Any]) -> dict[str, Any]:
    result = _fields({key: value for key, value in obj.items() if key not in ("data", "binaryData")})
    # Helm may keep its releases, values included, in ConfigMaps.
    whole = _within(_within(obj, "metadata"), "labels").get("owner") == "helm"
    if isinstance(obj.get("data"), Mapping):
        result["data"] = {key: _entry(str(key), value, whole) for key, value in obj["data"].items()}
    if isinstance(obj.get("binaryData"), Mapping):
        result["binaryData"] = {key: _sized(value, encoded=True) for key, value in obj["binaryData"].items()}
    return result


def _entry(key: str, value: Any, whole: bool) -> Any:
    if value is None or value == "":
        return value
    return masked(str(value)) if whole or is_secret(key) else _text(str(value))


def _definition(obj: Mapping[str, Any]) -> dict[str, Any]:
    """A custom resource's definition names fields, it does not fill them: only its texts and annotations are masked."""
    rest = {key: _texts_only(value) for key, value in obj.items() if key != "metadata"}
    return {**rest, "metadata": _metadata(_within(obj, "metadata"))}


def _texts_only(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _texts_only(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_texts_only(item) for item in value]
    return mask_text(value) if isinstance(value, str) else value
