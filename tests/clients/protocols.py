"""Four providers' ways of asking a model: what a request says of tools and results, and how an answer is written."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["PROTOCOLS", "Conversation", "Protocol", "Reply"]

Body = Mapping[str, Any]
_USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
_JSON, _EVENTS = "application/json", "text/event-stream"


@dataclass(frozen=True)
class Conversation:
    """What a request says, the same for every provider.

    Attributes:
        tools: The names of the tools on offer, and what they take.
        exchanges: Each call so far by its tool's name, with what came of it. None: nothing yet.
    """

    tools: Mapping[str, Any]
    exchanges: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class Reply:
    """What the model says: a call or a text.

    Attributes:
        text: The text, where it calls nothing.
        tool: The tool that it calls.
        arguments: Of the call.
        number: Of the call within the conversation, for its id.
    """

    text: str = ""
    tool: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    number: int = 0

    @property
    def id(self) -> str:
        """The call's id."""
        return f"call_{self.number}"

    @property
    def json(self) -> str:
        """The arguments as text."""
        return json.dumps(dict(self.arguments))


@dataclass(frozen=True)
class Protocol:
    """How one provider is asked.

    Attributes:
        path: A pattern of its paths.
        read: Understands a request.
        write: Makes the content type and body of an answer, from path, request and reply.
    """

    path: str
    read: Callable[[Body], Conversation]
    write: Callable[[str, Body, Reply], tuple[str, bytes]]


def _text(content: Any) -> str:
    """A result's content as one text, whichever parts it came in."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(_text(part) for part in content)
    if isinstance(content, Mapping):
        return _text(content["text"]) if "text" in content else json.dumps(content, ensure_ascii=False)
    return str(content)


def _pair(calls: Iterable[tuple[str, str]], results: Mapping[str, str]) -> tuple[tuple[str, str | None], ...]:
    return tuple((name, results.get(key)) for key, name in calls)


def _answer(content: Body) -> tuple[str, bytes]:
    return _JSON, json.dumps(dict(content)).encode()


def _events(events: Iterable[Body], *, named: bool, end: str = "") -> tuple[str, bytes]:
    lines = [(f"event: {one['type']}\n" if named else "") + f"data: {json.dumps(dict(one))}\n\n" for one in events]
    return _EVENTS, ("".join(lines) + end).encode()


def _read_chat(body: Body) -> Conversation:
    tools = {one["function"]["name"]: one["function"].get("parameters") for one in body.get("tools") or ()}
    calls = [
        (call["id"], _called(call["function"]))
        for message in body["messages"]
        for call in message.get("tool_calls") or ()
    ]
    results = {one["tool_call_id"]: _text(one["content"]) for one in body["messages"] if one["role"] == "tool"}
    return Conversation(tools, _pair(calls, results) or tuple(_as_prose(body["messages"])))


def _called(function: Body) -> str:
    """The tool that is called; where a client has one tool that calls the others (Qwen Code), the other one."""
    return str(json.loads(function["arguments"])["name"] if function["name"] == "tool_call" else function["name"])


def _as_prose(messages: list[Body]) -> Iterator[tuple[str, str | None]]:
    """Calls and results of a framework that retells them in plain messages (smolagents)."""
    texts = [_text(one.get("content") or "") for one in messages]
    for text, after in zip(texts, [*texts[1:], None], strict=True):
        if called := re.match(r"Calling tools:.*?'name': '(\w+)'", text, re.DOTALL):
            yield called[1], after


def _write_chat(path: str, body: Body, reply: Reply) -> tuple[str, bytes]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None}
    if reply.tool:
        function = {"name": reply.tool, "arguments": reply.json}
        message["tool_calls"] = [{"index": 0, "id": reply.id, "type": "function", "function": function}]
    base = {"id": f"chat-{reply.number}", "created": 1, "model": body.get("model", "scripted")}
    finish = "tool_calls" if reply.tool else "stop"
    if not body.get("stream"):
        choice = {"index": 0, "message": message, "finish_reason": finish}
        return _answer({**base, "object": "chat.completion", "choices": [choice], "usage": _USAGE})
    chunk = {**base, "object": "chat.completion.chunk"}
    events: list[Body] = [
        {**chunk, "choices": [{"index": 0, "delta": message, "finish_reason": None}]},
        {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]},
        {**chunk, "choices": [], "usage": _USAGE},
    ]
    return _events(events, named=False, end="data: [DONE]\n\n")


def _read_responses(body: Body) -> Conversation:
    tools: dict[str, Any] = {}
    for one in body.get("tools") or ():
        for tool in one.get("tools") or [one]:  # Codex puts the tools of a server into a namespace
            tools[tool.get("name") or tool["type"]] = {**tool, "namespace": one["name"] if "tools" in one else None}
    items = body["input"] if isinstance(body["input"], list) else []
    calls = [(one["call_id"], one["name"]) for one in items if one.get("type") == "function_call"]
    results = {one["call_id"]: _text(one["output"]) for one in items if one.get("type") == "function_call_output"}
    return Conversation(tools, _pair(calls, results))


def _write_responses(path: str, body: Body, reply: Reply) -> tuple[str, bytes]:
    item: dict[str, Any]
    if reply.tool:
        call = {"call_id": reply.id, "name": reply.tool, "arguments": reply.json}
        item = {"type": "function_call", "id": f"fc_{reply.number}", "status": "completed", **call}
        namespace = (_read_responses(body).tools.get(reply.tool) or {}).get("namespace")
        item |= {"namespace": namespace} if namespace else {}
    else:
        part = {"type": "output_text", "text": reply.text, "annotations": []}
        item = {
            "type": "message",
            "id": f"msg_{reply.number}",
            "status": "completed",
            "role": "assistant",
            "content": [part],
        }
    response = {
        "id": f"resp_{reply.number}",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "output": [item],
        "model": body.get("model", "scripted"),
        "parallel_tool_calls": False,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 1,
            "output_tokens": 1,
            "total_tokens": 2,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
    }
    if not body.get("stream"):
        return _answer(response)
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**response, "status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        *_deltas(item),
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": response},
    ]
    return _events(({**one, "sequence_number": at} for at, one in enumerate(events)), named=True)


def _deltas(item: Body) -> list[dict[str, Any]]:
    where = {"item_id": item["id"], "output_index": 0}
    if item["type"] == "function_call":
        done = {"name": item["name"], "arguments": item["arguments"]}
        return [{"type": "response.function_call_arguments.done", **where, **done}]
    text = item["content"][0]["text"]
    return [{"type": "response.output_text.delta", **where, "content_index": 0, "delta": text, "logprobs": []}]


def _read_messages(body: Body) -> Conversation:
    tools = {one["name"]: one.get("input_schema") for one in body.get("tools") or ()}
    blocks = [
        block
        for message in body["messages"]
        for block in (message["content"] if isinstance(message["content"], list) else ())
    ]
    calls = [(one["id"], one["name"]) for one in blocks if one["type"] == "tool_use"]
    results = {one["tool_use_id"]: _text(one.get("content", "")) for one in blocks if one["type"] == "tool_result"}
    return Conversation(tools, _pair(calls, results))


def _write_messages(path: str, body: Body, reply: Reply) -> tuple[str, bytes]:
    if path.endswith("/count_tokens"):
        return _answer({"input_tokens": 1})
    block: dict[str, Any] = {"type": "text", "text": reply.text}
    if reply.tool:
        block = {"type": "tool_use", "id": reply.id, "name": reply.tool, "input": dict(reply.arguments)}
    reason = "tool_use" if reply.tool else "end_turn"
    message = {
        "id": f"msg_{reply.number}",
        "type": "message",
        "role": "assistant",
        "model": body.get("model", "scripted"),
        "content": [block],
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
    if not body.get("stream"):
        return _answer(message)
    start = {**block, "input": {}} if reply.tool else {**block, "text": ""}
    text = {"type": "text_delta", "text": reply.text}
    delta = {"type": "input_json_delta", "partial_json": reply.json} if reply.tool else text
    events: list[Body] = [
        {"type": "message_start", "message": {**message, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": start},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": message["usage"]},
        {"type": "message_stop"},
    ]
    return _events(events, named=True)


def _read_gemini(body: Body) -> Conversation:
    declared = [one for tool in body.get("tools") or () for one in tool.get("functionDeclarations") or ()]
    tools = {one["name"]: one.get("parametersJsonSchema") or one.get("parameters") for one in declared}
    parts = [part for content in body["contents"] for part in content.get("parts") or ()]
    calls = [part["functionCall"]["name"] for part in parts if "functionCall" in part]
    results = [_text(part["functionResponse"]["response"]) for part in parts if "functionResponse" in part]
    # Answers stand in the order of the calls; the model calls one tool at a time.
    return Conversation(tools, tuple(zip(calls, [*results, *[None] * (len(calls) - len(results))], strict=True)))


def _write_gemini(path: str, body: Body, reply: Reply) -> tuple[str, bytes]:
    part: dict[str, Any] = {"text": reply.text}
    if reply.tool:
        part = {"functionCall": {"id": reply.id, "name": reply.tool, "args": dict(reply.arguments)}}
    candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
    answer = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "scripted"}
    if path.endswith(":countTokens"):
        return _answer({"totalTokens": 1})
    return _events([answer], named=False) if "stream" in path else _answer(answer)


PROTOCOLS = (
    Protocol(r"/chat/completions$", _read_chat, _write_chat),
    Protocol(r"/responses$", _read_responses, _write_responses),
    Protocol(r"/messages(/count_tokens)?$", _read_messages, _write_messages),
    Protocol(r":(generateContent|streamGenerateContent|countTokens)$", _read_gemini, _write_gemini),
)
