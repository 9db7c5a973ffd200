"""Bytes that no HTTP client should send to `/mcp`: malformed messages, and well-formed ones in malformed requests."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from .bodies import malformed, message

__all__ = ["SESSION", "Request", "malformed_request"]

Headers = list[tuple[str, str]]
# Whoever sends a request puts the id of an open session here.
SESSION = "a" * 32


@dataclass(frozen=True)
class Request:
    """What is sent on one connection.

    Attributes:
        name: What is wrong with it.
        pieces: The bytes, each sent by itself.
        is_whole: Whether the server can know where it ends: then it must answer.
        streams: Whether the answer may have no end.
    """

    name: str
    pieces: tuple[bytes, ...]
    is_whole: bool = True
    streams: bool = False


def malformed_request(random: Random) -> Request:
    """A request that is wrong in its body, its headers, or on the wire."""
    return random.choice((_wrong_body, _wrong_headers, _wrong_wire, _wrong_body))(random)


def _wrong_body(random: Random) -> Request:
    body, name = malformed(random)
    pieces = _request(_headers(random, _guess(body)), body)
    if random.random() < 0.2 and len(body) > 3:
        at = len(pieces) - random.randrange(1, len(body))
        return Request(f"body in pieces: {name}", (pieces[:at], pieces[at:]))
    return Request(f"body: {name}", (pieces,))


def _guess(body: bytes) -> dict[str, Any]:
    """The message in a body, as far as there is one, so that headers may agree with it."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _headers(random: Random, sent: dict[str, Any]) -> Headers:
    """Headers as a client of one era would send them with this message."""
    headers = [
        ("Host", "127.0.0.1"),
        ("Accept", "application/json, text/event-stream"),
        ("Content-Type", "application/json"),
        ("Connection", "close"),
    ]
    era = random.choice(["modern", "legacy", "none"])
    if era == "legacy":
        headers += [("MCP-Protocol-Version", random.choice(["2025-11-25", "2025-06-18", "2024-11-05"]))]
        if random.random() < 0.7:
            headers += [("Mcp-Session-Id", SESSION)]
    elif era == "modern":
        params = sent.get("params")
        name = params.get("name", params.get("uri", "")) if isinstance(params, dict) else ""
        headers += [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", _plain(sent.get("method")))]
        headers += [("Mcp-Name", _plain(name))]
    return headers


def _plain(value: Any) -> str:
    return "".join(letter for letter in str(value)[:200] if " " < letter < "\x7f")


def _request(headers: Headers, body: bytes, line: str = "POST /mcp HTTP/1.1") -> bytes:
    lengths = [] if any(name == "Content-Length" for name, _ in headers) else [("Content-Length", str(len(body)))]
    head = "".join(f"{name}: {value}\r\n" for name, value in [*headers, *lengths])
    return f"{line}\r\n{head}\r\n".encode("latin-1", "replace") + body


VERSIONS = ["", "1", "2026-07-28, 2025-11-25", "2099-01-01", "2025-11-25", "2026-07-28", "\u00e9", "x" * 3000]
STRANGE_HEADERS: dict[str, list[str]] = {
    "MCP-Protocol-Version": VERSIONS,
    "Mcp-Method": ["", "tools/list", "tools/call", "TOOLS/CALL", "x" * 3000, "=?base64?%%%?=", "\u00e9"],
    "Mcp-Name": ["", "k8s_get", "no_such", "=?base64?!!!?=", "=?base64?azhzX2dldA==?=", "x" * 3000],
    "Mcp-Session-Id": ["", "0" * 32, "../..", "x" * 3000, "\u00ff"],
    "Last-Event-ID": ["", "1", "x" * 3000],
    "Accept": ["", "*/*", "text/html", "application/json", "text/event-stream", "application/json;q=0", ","],
    "Content-Type": [
        "",
        "text/plain",
        "application/xml",
        "application/json; charset=utf-16",
        "multipart/form-data",
        ";",
        "a/b/c",
    ],
    "Content-Encoding": ["gzip", "br", "x"],
    "Host": ["", "evil.example", "127.0.0.1:99999", "[::1", "a" * 3000, "127.0.0.1@evil.example", "localhost."],
    "Origin": ["null", "http://evil.example", "http://127.0.0.1", "file://", "http://[::1", "x" * 3000],
    "Authorization": ["", "Bearer", "Bearer x", "Basic !!!", "Bearer " + "x" * 3000],
    "traceparent": ["", "00", f"00-{'0' * 32}-{'0' * 16}-01", f"ff-{'a' * 32}-{'b' * 16}-zz"],
    "X-Forwarded-For": ["1.2.3.4", "x" * 3000],
    "Mcp-Param-Kind": ["", "=?base64?!!!?=", "pods"],
}


def _wrong_headers(random: Random) -> Request:
    sent = message(random)
    headers = _headers(random, sent)
    name = random.choice(list(STRANGE_HEADERS))
    how = random.choice(["replaced", "doubled", "missing"])
    if how != "doubled":
        headers = [(other, value) for other, value in headers if other.lower() != name.lower()]
    if how != "missing":
        headers.insert(random.randrange(len(headers) + 1), (name, random.choice(STRANGE_HEADERS[name])))
    return Request(f"header {name} {how}", (_request(headers, json.dumps(sent).encode()),))


def _wrong_wire(random: Random) -> Request:
    sent = message(random)
    damage = random.choice(WIRE)
    request = damage(random, _headers(random, sent), json.dumps(sent).encode())
    return replace(request, name=damage.__name__.strip("_"))


def _cut_body(random: Random, headers: Headers, body: bytes) -> Request:
    length = len(body) + random.choice([1, 100, 10**5])
    return Request("", (_request([*headers, ("Content-Length", str(length))], body),), is_whole=False)


def _cut_head(random: Random, headers: Headers, body: bytes) -> Request:
    whole = _request(headers, body)
    return Request("", (whole[: random.randrange(1, whole.index(b"\r\n\r\n"))],), is_whole=False)


def _strange_length(random: Random, headers: Headers, body: bytes) -> Request:
    length = random.choice(["-1", "abc", "0", "1e3", "9" * 30, "+5", "5, 5", "", "0x10", str(2**63), "4194305", "１"])
    return Request("", (_request([*headers, ("Content-Length", length)], body),), is_whole=False)


def _doubled_length(random: Random, headers: Headers, body: bytes) -> Request:
    lengths = [("Content-Length", str(len(body))), ("Content-Length", str(len(body) + random.choice([0, 1])))]
    return Request("", (_request([*headers, *lengths], body),), is_whole=False)


def _chunks(random: Random, headers: Headers, body: bytes) -> Request:
    coded = random.choice(["chunked", "gzip, chunked", "chunked, chunked", "identity", "xchunked"])
    sizes = [b"%x" % len(body), b"zz", b"-1", b"F" * 20, b"%x;ext=1" % len(body), b""]
    framed = random.choice(sizes) + b"\r\n" + body + b"\r\n0\r\n\r\n"
    head = _request([*headers, ("Transfer-Encoding", coded), ("Content-Length", "5")], b"")
    if random.random() < 0.5:
        head = head.replace(b"Content-Length: 5\r\n", b"")
    return Request("", (head, framed), is_whole=False)


LINES = [
    "POST /mcp HTTP/1.0", "POST /mcp HTTP/9.9", "POST /mcp", "POST  /mcp  HTTP/1.1", "post /mcp HTTP/1.1",
    "POST mcp HTTP/1.1", "POST http://evil.example/mcp HTTP/1.1", "POST /mcp?x=%ff%00 HTTP/1.1",
    "POST /%2e%2e/mcp HTTP/1.1", "POST /mcp/ HTTP/1.1", "POST /MCP HTTP/1.1", "POST //mcp HTTP/1.1", "PRI * HTTP/2.0",
    "CONNECT 127.0.0.1:1 HTTP/1.1", "POST /" + "a" * 3000 + " HTTP/1.1", "POST /mcp\x00 HTTP/1.1",
    "TRACE /mcp HTTP/1.1", "OPTIONS * HTTP/1.1", "\x16\x03\x01", "POST /healthz HTTP/1.1", "GET /healthz?%00 HTTP/1.1",
    "DELETE /metrics HTTP/1.1", "GET /%zz HTTP/1.1",
]  # fmt: skip


def _other_line(random: Random, headers: Headers, body: bytes) -> Request:
    return Request("", (_request(headers, body, random.choice(LINES)),), is_whole=False)


def _other_method(random: Random, headers: Headers, body: bytes) -> Request:
    method = random.choice(["GET", "DELETE", "PUT", "PATCH", "OPTIONS", "HEAD", "BREW"])
    return Request("", (_request(headers, body, f"{method} /mcp HTTP/1.1"),), streams=True)


def _long_headers(random: Random, headers: Headers, body: bytes) -> Request:
    many = [(f"X-{number}", "v" * 50) for number in range(random.choice([200, 2000]))]
    more = random.choice([many, [("X-Long", "v" * 100_000)]])
    return Request("", (_request([*headers, *more], body),), is_whole=False)


def _bad_headers(random: Random, headers: Headers, body: bytes) -> Request:
    bad = random.choice(
        [
            b"no colon\r\n",
            b": empty\r\n",
            b" folded: x\r\n",
            b"a\x00b: x\r\n",
            b"a: x\x00y\r\n",
            b"a b: c\r\n",
            b"\xff: \xff\r\n",
        ]
    )
    head, _, rest = _request(headers, body).partition(b"\r\n")
    return Request("", (head + b"\r\n" + bad + rest,), is_whole=False)


def _pipelined(random: Random, headers: Headers, body: bytes) -> Request:
    alive = [(name, value) for name, value in headers if name != "Connection"]
    return Request("", (_request(alive, body) * random.choice([2, 20]) + _request(headers, b"{}"),), is_whole=False)


def _listening(random: Random, headers: Headers, body: bytes) -> Request:
    sent = {**json.loads(body), "method": "subscriptions/listen"}
    sent["params"] = {
        **sent["params"],
        "notifications": random.choice([{}, {"toolsListChanged": True}, None, {"x": 1}, []]),
    }
    return Request("", (_request(_headers(random, sent), json.dumps(sent).encode()),), streams=True)


WIRE: list[Callable[[Random, Headers, bytes], Request]] = [
    _cut_body, _cut_head, _strange_length, _doubled_length, _chunks, _other_line, _other_method, _long_headers,
    _bad_headers, _pipelined, _listening,
]  # fmt: skip
