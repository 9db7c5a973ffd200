"""What a result goes through before it leaves: cleaned, without secrets, and within its budget.

The gate applies it to every result and refusal, so no tool can forget it. It does not know what a text means.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import mcp_types as mt
from fastmcp.tools import ToolResult
from fastmcp.tools.base import InputRequiredToolResult
from mcp import MCPError

from klepaas.blocks import sort_blocks
from klepaas.errors import BadRequest, KlepaasError, NotFound
from klepaas.offload import size_of
from klepaas.output import Answer
from klepaas.output.budget import fit
from klepaas.output.jsonable import valid_json
from klepaas.output.redaction import MARK, is_secret_field
from klepaas.output.safe import ROOM_CHARS, redactable, safe_text

__all__ = [
    "BASIS",
    "META_KEYS",
    "ids_of",
    "let_out",
    "meta_of",
    "refuse",
    "safe_beginning",
    "size_of_result",
    "to_protocol_error",
]

# All that `_meta` of a result carries: some clients show it to the model, so it holds ids and codes and nothing else.
META_KEYS: Final = ("operation_id", "plan_id", "code", "retryable", "retry_after_s")
# What a preview rests on besides its text: for the gate, never sent.
BASIS: Final = "basis"
# Only other servers' tools send structured content; what of it is long would push their text out.
STRUCTURED_SHARE = 4


def let_out(result: ToolResult, max_bytes: int) -> ToolResult:
    """The result as it may leave.

    Args:
        result: What a tool answered.
        max_bytes: The most that its text and structured content may take together, in bytes.
    """
    if isinstance(result, InputRequiredToolResult):
        return result
    data = _safe(result.structured_content)
    data_bytes = len(json.dumps(data, ensure_ascii=False).encode()) if data is not None else 0
    notes: list[str] = []
    if data_bytes > max_bytes // STRUCTURED_SHARE:
        notes.append(f"[left out: {data_bytes} bytes of structured content, which is too much.]")
        data, data_bytes = None, 0
    blocks = sort_blocks(result.content)
    if blocks.left_out:
        notes.append(f"[left out: {', '.join(blocks.left_out)}; only text and images of up to a MiB are passed on.]")
    note = "".join(f"\n{line}" for line in notes)
    text = safe_beginning("\n".join(blocks.texts), max_bytes - data_bytes - len(note.encode())) + note
    shown = [mt.TextContent(text=text.lstrip("\n")), *blocks.images]
    return ToolResult(content=shown, structured_content=data, meta=ids_of(result.meta), is_error=result.is_error)


def size_of_result(result: ToolResult) -> int:
    """How much text `let_out` reads, in characters; counted only as far as it matters.

    Args:
        result: What a tool answered.
    """
    texts = [block.text for block in result.content if isinstance(block, mt.TextContent)]
    return size_of([*texts, result.structured_content])


def meta_of(answer: Answer) -> dict[str, Any] | None:
    """What goes with an answer's text inside the server; of it only `META_KEYS` are sent. None: nothing.

    Args:
        answer: What a tool answered.
    """
    found = {"operation_id": answer.operation_id, "plan_id": answer.plan_id, BASIS: answer.basis}
    return {name: valid_json(value) for name, value in found.items() if value is not None} or None


def ids_of(meta: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What klepaas itself says in the `_meta` of a result. None: nothing.

    Args:
        meta: The whole `_meta`, in which the protocol and others have their own names.
    """
    return {name: _safe(meta[name]) for name in META_KEYS if name in meta} or None if meta else None


def to_protocol_error(error: KlepaasError, max_bytes: int, where: Mapping[str, str]) -> MCPError:
    """An error as it may leave where the protocol has no result for it: of a resource or a prompt.

    Args:
        error: The error.
        max_bytes: The most that its text may take, in bytes.
        where: What it is about, for a program that asked for several things.

    Source: MCP 2026-07-28, SEP-2164: what is not there is a mistake in the parameters, too.
    """
    code = mt.INVALID_PARAMS if isinstance(error, BadRequest | NotFound) else mt.INTERNAL_ERROR
    data = {**_safe(dict(where)), "error": _safe(error.structured())}
    return MCPError(code, safe_beginning(error.text, max_bytes), data)


def refuse(error: KlepaasError, max_bytes: int) -> ToolResult:
    """An error as it may leave: its text, and for programs its code, whether to try again, and when.

    Args:
        error: The error.
        max_bytes: The most that the text may take, in bytes.
    """
    found = {**error.structured(), "operation_id": error.operation_id, "plan_id": error.plan_id}
    meta = {name: value for name, value in found.items() if value is not None}
    return ToolResult(content=safe_beginning(error.text, max_bytes), meta=ids_of(meta), is_error=True)


def safe_beginning(text: str, max_bytes: int) -> str:
    """As much of the text as fits, clean and without secrets. What cannot fit is not cleaned: that would take seconds.

    Args:
        text: Any text.
        max_bytes: The most that it may take, in bytes.
    """
    head = redactable(text, max(0, max_bytes) + ROOM_CHARS)
    return fit(safe_text(head), max_bytes, after=text[len(head) :])


def _safe(value: Any) -> Any:
    """The value as JSON can carry it, with every text safe."""
    return _safe_tree(valid_json(value))


def _safe_tree(value: Any, name: str = "") -> Any:
    """JSON data with every text safe, and nothing under a name that usually holds a secret."""
    if isinstance(value, str):
        return MARK if is_secret_field(name, value) else safe_text(value)
    if isinstance(value, dict):
        return {safe_text(str(key)): _safe_tree(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_safe_tree(item, name) for item in value]
    return value
