"""Messages that no client should send: almost right, quite wrong, or no JSON; the same ones for the same seed."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

__all__ = ["META", "Body", "malformed", "message"]

Body = tuple[bytes, str]
META: dict[str, Any] = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "fuzz", "version": "1"},
}
HANDSHAKE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "fuzz", "version": "1"}}
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("initialize", HANDSHAKE),
    ("server/discover", {}),
    ("ping", {}),
    ("tools/list", {}),
    ("tools/call", {"name": "list_applications", "arguments": {}}),
    ("tools/call", {"name": "k8s_get", "arguments": {"kind": "pods", "namespace": "default"}}),
    ("tools/call", {"name": "deploy_application", "arguments": {"app_name": "web", "image": "nginx"}}),
    ("resources/list", {}),
    ("resources/read", {"uri": "klepaas://nothing"}),
    ("prompts/list", {}),
    ("prompts/get", {"name": "none"}),
    ("completion/complete", {"ref": {"type": "ref/prompt", "name": "x"}, "argument": {"name": "a", "value": "b"}}),
    ("logging/setLevel", {"level": "debug"}),
    ("notifications/cancelled", {"requestId": 1}),
    ("notifications/initialized", {}),
    ("tasks/get", {"taskId": "1"}),
    ("no/such/method", {}),
    ("", {}),
]
# What a field may hold that expects something else.
STRANGE: list[Any] = [
    None, True, False, 0, -1, 1.5, 2**53 + 1, -(2**63), 10**30, float("nan"), float("inf"),
    "", "x", "\x00", "\ud800", "\u202eltr", "\u00e9" * 300, "A" * 70_000, "../../etc/passwd", "__proto__",
    "2026-07-28", "2025-11-25", "1999-01-01", [], [[]], [None] * 50, {}, {"": ""}, {"a": {"b": [1]}},
    {"$ref": "http://127.0.0.1:9/"}, {"io.modelcontextprotocol/protocolVersion": "2026-07-28"},
]  # fmt: skip


def message(random: Random) -> dict[str, Any]:
    """A message that may well be right, of either era."""
    method, params = random.choice(CALLS)
    sent: dict[str, Any] = {"jsonrpc": "2.0", "id": random.randrange(10**6), "method": method, "params": dict(params)}
    if random.random() < 0.6:
        sent["params"]["_meta"] = dict(META)
    if method.startswith("notifications/"):
        del sent["id"]
    return sent


def malformed(random: Random) -> Body:
    """A message that is wrong, with the name of what is wrong with it."""
    damage = random.choice(DAMAGES)
    return damage(random), damage.__name__.strip("_")


def _encoded(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=True).encode()


def _strange_field(random: Random) -> bytes:
    sent = message(random)
    sent[random.choice(["jsonrpc", "id", "method", "params"])] = random.choice(STRANGE)
    return _encoded(sent)


def _strange_parameter(random: Random) -> bytes:
    sent = message(random)
    names = ["name", "arguments", "_meta", "uri", "cursor", "protocolVersion", "capabilities", "clientInfo", "level"]
    for name in random.sample([*names, "inputResponses", "requestState", "task", "requestId", "progressToken"], 2):
        sent["params"][name] = random.choice(STRANGE)
    return _encoded(sent)


def _strange_argument(random: Random) -> bytes:
    sent = message(random)
    sent["method"] = "tools/call"
    tool = random.choice(["k8s_get", "k8s_logs", "get_overview", "deploy_application", "no_such_tool"])
    names = ["kind", "namespace", "name", "context", "app_name", "image", "replicas", "limit", "dry_run", "no_such"]
    arguments = {name: random.choice(STRANGE) for name in random.sample(names, 3)}
    sent["params"] = {"name": tool, "arguments": arguments, "_meta": META}
    return _encoded(sent)


def _strange_meta(random: Random) -> bytes:
    sent = message(random)
    meta = dict(META)
    name = random.choice([*meta, "progressToken", "traceparent", "tracestate", "io.modelcontextprotocol/logLevel"])
    meta[name] = random.choice(STRANGE)
    if random.random() < 0.3:
        del meta[random.choice(list(meta))]
    sent["params"]["_meta"] = meta
    return _encoded(sent)


def _missing_field(random: Random) -> bytes:
    sent = message(random)
    for name in random.sample(list(sent), random.randint(1, len(sent))):
        del sent[name]
    return _encoded(sent)


def _cut(random: Random) -> bytes:
    body = _encoded(message(random))
    return body[: random.randrange(len(body))]


def _flipped(random: Random) -> bytes:
    body = bytearray(_encoded(message(random)))
    for _ in range(random.randint(1, 8)):
        body[random.randrange(len(body))] = random.randrange(256)
    return bytes(body)


def _repeated_key(random: Random) -> bytes:
    body = _encoded(message(random))
    return body[:-1] + b', "method": "tools/list", "id": 7, "jsonrpc": "1.0"}'


def _batch(random: Random) -> bytes:
    return _encoded([message(random) for _ in range(random.choice([0, 1, 2, 50]))])


def _unasked_answer(random: Random) -> bytes:
    kinds: list[dict[str, Any]] = [{"result": {}}, {"error": {"code": 1, "message": "x"}}, {"result": {}, "error": {}}]
    return _encoded({"jsonrpc": "2.0", "id": random.choice(STRANGE), **random.choice(kinds)})


def _deep(random: Random) -> bytes:
    depth = random.choice([50, 500, 5_000, 50_000])
    opening, closing = random.choice([(b"[", b"]"), (b'{"a":', b"}")])
    value = opening * depth + b"1" + closing * depth
    if random.random() < 0.5:
        return value
    return b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"k8s_get","arguments":' + value + b"}}"


def _huge_number(random: Random) -> bytes:
    number = random.choice([b"9" * 5000, b"1e400", b"-1e-400", b"NaN", b"-Infinity", b"0x10", b"01", b"1.", b"9" * 400])
    return b'{"jsonrpc":"2.0","id":' + number + b',"method":"tools/list"}'


def _bad_text(random: Random) -> bytes:
    body = _encoded(message(random))
    bad = random.choice(
        [b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\x00", b"\xef\xbb\xbf", b"\x1b[2J"]
    )
    at = random.randrange(len(body))
    return body[:at] + bad + body[at:]


def _other_encoding(random: Random) -> bytes:
    return json.dumps(message(random)).encode(random.choice(["utf-16", "utf-32", "utf-16-be"]))


def _no_json(random: Random) -> bytes:
    some: list[bytes] = [
        b"",
        b" ",
        b"null",
        b"true",
        b'"text"',
        b"{",
        b"}{",
        b"GET / HTTP/1.1",
        b"<xml/>",
        b"{'a': 1}",
        b"[1,]",
    ]
    return random.choice([*some, random.randbytes(random.randrange(1, 2000))])


def _long(random: Random) -> bytes:
    sent = message(random)
    sent["params"]["name"] = "n" * random.choice([1_000, 100_000, 600_000])
    return _encoded(sent)


DAMAGES: list[Callable[[Random], bytes]] = [
    *[_strange_field, _strange_parameter, _strange_argument, _strange_meta] * 2,
    _missing_field, _cut, _flipped, _repeated_key, _batch, _unasked_answer, _deep, _huge_number, _bad_text,
    _other_encoding, _no_json, _long,
]  # fmt: skip
