"""A call's arguments as a person may read them and as a record may keep them.

Text that the tool's own declaration calls unquotable (free text, values of variables, documents) may be a secret and is
hidden whole; the rest passes the redaction that every way out has. It checks nothing: `klepaas.tools` does.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from typing import Any

from klepaas.observability import one_line, safe_text
from klepaas.output.quoting import json_text
from klepaas.output.redaction import MARK, is_secret_field, is_secret_name
from klepaas.parameters import Places
from klepaas.tools import Tool

__all__ = ["digest", "shown", "shown_whole"]

_TEXT_MAX_CHARS = 400
# A record or a question must stay readable, whatever a caller sends.
_SHOWN_MAX_CHARS = 16_000
# Without a key a digest would tell whoever can guess an argument that the guess is right.
_KEY = secrets.token_bytes(32)


def digest(value: Any) -> str:
    """What is the same for the same JSON data, as long as this process runs, and tells nothing about it.

    Args:
        value: JSON data.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=repr)
    return hmac.new(_KEY, text.encode(), hashlib.sha256).hexdigest()[:32]


def shown(tool: Tool, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments without secrets, every text in one clean line.

    Args:
        tool: The tool that is called; it accepted them.
        arguments: What the caller sent.
    """
    found: dict[str, Any] = {
        one_line(name, 64): _shown(value, tool.parameters.get(name) or Places(), name)
        for name, value in arguments.items()
    }
    sizes = {name: len(json.dumps(value, ensure_ascii=False, default=repr)) for name, value in found.items()}
    if sum(sizes.values()) <= _SHOWN_MAX_CHARS:
        return found
    most = _SHOWN_MAX_CHARS // len(found)
    return {name: value if sizes[name] <= most else f"[{sizes[name]} characters]" for name, value in found.items()}


def shown_whole(tool: Tool, arguments: Mapping[str, Any]) -> dict[str, str]:
    """The arguments without secrets, none of them cut: what is hidden is so whole, and says its size.

    Args:
        tool: The tool that is called; it accepted them.
        arguments: What the caller sent.
    """
    return {
        one_line(name, 64): json_text(_whole(value, tool.parameters.get(name) or Places(), name))
        for name, value in arguments.items()
    }


def _whole(value: Any, places: Places, name: str) -> Any:
    if isinstance(value, str):
        hidden = is_secret_name(name) or (places.text is not None and not places.text.quotable)
        return f"{len(value.encode())} bytes, hidden" if value and hidden else safe_text(value)
    if isinstance(value, dict):
        fields, other = places.fields or {}, places.value or Places()
        return {safe_text(str(key)): _whole(item, fields.get(key) or other, str(key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item, places.item or Places(), name) for item in value]
    return value


def _shown(value: Any, places: Places, name: str) -> Any:
    if isinstance(value, str):
        if places.text is not None and places.text.is_assignment:
            return _assignment(value)
        # Under the name of a secret even a text that looks like none is hidden: a record is for longer than an answer.
        hidden = is_secret_name(name) or (places.text is not None and not places.text.quotable)
        return MARK if (value and hidden) or is_secret_field(name, value) else one_line(value, _TEXT_MAX_CHARS)
    if isinstance(value, dict):
        fields, other = places.fields or {}, places.value or Places()
        return {
            one_line(str(key), 253): _shown(item, fields.get(key) or other, str(key)) for key, item in value.items()
        }
    if isinstance(value, list):
        return [_shown(item, places.item or Places(), name) for item in value]
    return value


def _assignment(text: str) -> str:
    """NAME=value with the value hidden, as a map's values are."""
    name, sign, value = text.partition("=")
    return one_line(name, 253) + sign + (MARK if value else "")
