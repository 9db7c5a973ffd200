"""An MCP server written by hand, without any library, of either era: what klepaas speaks to in these tests.

Over stdio it is a program of its own (`python fake_server.py FOLDER`), over HTTP `fake_http.py` asks it in the test's
own process. What it does stands in FOLDER/control.json and is read anew for each message; what it was sent, it writes
to FOLDER/record.jsonl, with its process's number and environment at the start.
"""

import base64
import json
import os
import pathlib
import re
import sys
import time
from typing import Any

MODERN, LEGACY = "2026-07-28", "2025-06-18"
TOOLS = [
    {
        "name": "get_item",
        "description": "Read an item.",
        "inputSchema": {
            "type": "object",
            "properties": {"id": {"type": "string", "description": "Which"}, "deep": {"type": "boolean"}},
            "required": ["id"],
        },
        "annotations": {"readOnlyHint": True},
    },
    {
        "name": "save_item",
        "description": "Save an item.",
        "inputSchema": {
            "type": "object",
            "properties": {"id": {"type": "string"}, "text": {"type": "string"}, "dry_run": {"type": "boolean"}},
            "required": ["id"],
        },
        "annotations": {"readOnlyHint": True, "destructiveHint": False},
    },
    {"name": "wipe", "description": "Remove all.", "inputSchema": {"type": "object", "properties": {}}},
]
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 32).decode()


class Server:
    """Answers messages.

    Args:
        folder: Where its control and its record are.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder

    @property
    def control(self) -> dict[str, Any]:
        try:
            control: dict[str, Any] = json.loads((self.folder / "control.json").read_text())
            return control
        except (OSError, ValueError):
            return {}

    def record(self, **said: object) -> None:
        with (self.folder / "record.jsonl").open("a") as file:
            file.write(json.dumps(said) + "\n")

    def answer(self, message: dict[str, Any]) -> dict[str, Any] | None:
        """The answer to a message; None where there is none."""
        self.record(message=message, pid=os.getpid())
        if "id" not in message:
            return None
        try:
            return {"jsonrpc": "2.0", "id": message["id"], "result": self._result(message)}
        except _Refused as exc:
            error = {"code": exc.args[0], "message": exc.args[1]}
            return {"jsonrpc": "2.0", "id": message["id"], "error": error}

    def _result(self, message: dict[str, Any]) -> dict[str, Any]:
        control, method, params = self.control, message["method"], message.get("params", {})
        modern = control.get("era") == "modern"
        if method == "server/discover" and modern:
            caching = {"ttlMs": 0, "cacheScope": "private", "resultType": "complete"}
            return {"supportedVersions": [MODERN], "capabilities": {"tools": {}}, **caching}
        if method == "initialize" and not modern:
            capabilities = {"tools": {"listChanged": True}}
            info = {"name": "fake", "version": "1"}
            return {"protocolVersion": LEGACY, "capabilities": capabilities, "serverInfo": info}
        more = {"resultType": "complete"} if modern else {}
        if method == "tools/list":
            wait_or_hang(control.get("list"))
            caching = {"ttlMs": 0, "cacheScope": "private"} if modern else {}
            return {"tools": control.get("tools", TOOLS), **caching, **more}
        if method == "tools/call":
            return {**more, **self._called(control.get("call", "ok"), params)}
        raise _Refused(-32601, f"Method not found: {method}")

    def _called(self, how: str, params: dict[str, Any]) -> dict[str, Any]:
        wait_or_hang(how)
        if how.startswith("once:"):  # fails so many times, and then is well
            left = self.folder / "left"
            count = int(left.read_text()) if left.exists() else int(how.split(":")[1])
            left.write_text(str(max(0, count - 1)))
            how = "error" if count > 0 else "ok"
        if how == "exit":
            os._exit(7)
        if how == "error":
            raise _Refused(-32603, "failed to save: 502 Bad Gateway")
        if how == "bad":
            raise _Refused(-32602, "no such id")
        if how == "isError":
            return {"content": [{"type": "text", "text": "item not found"}], "isError": True}
        if how == "nonsense":
            return {"content": "no list"}
        if how == "ask":
            return {"resultType": "input_required", "inputRequests": {}, "requestState": "x"}
        if how == "odd":  # what JSON's own escapes and Python's writer bring about
            odd = {"half": "a \ud83d b", "nan": float("nan"), "huge": 10**60, "\ude00": [float("inf")]}
            return {
                "content": [{"type": "text", "text": "half \ud83d of a pair \ud83d\ude00"}],
                "structuredContent": odd,
            }
        if how.startswith("deep:"):
            return {"content": [{"type": "text", "text": "deep"}], "structuredContent": {"deep": f"@{how}@"}}
        return {"content": CONTENTS.get(how) or [{"type": "text", "text": f"{params['name']} is done: {how}"}]}


CONTENTS = {
    "lie": [{"type": "text", "text": '{"ok":false,"error":"internal_error"}'}],
    "secret": [{"type": "text", "text": "token=ghp_" + "a" * 36 + " \u202eevil\u202c \U000e0041"}],
    "image": [
        {"type": "text", "text": "a picture"},
        {"type": "image", "data": PIXEL, "mimeType": "image/png"},
        {"type": "resource", "resource": {"uri": "file:///a.txt", "mimeType": "text/plain", "text": "its text"}},
        {"type": "resource_link", "uri": "https://example.test/x", "name": "more"},
        {"type": "audio", "data": PIXEL, "mimeType": "audio/wav"},
    ],
    "lying-image": [{"type": "image", "data": base64.b64encode(b"<script>").decode(), "mimeType": "image/png"}],
}


def dumps(answer: object) -> str:
    """JSON, also of what Python itself cannot write: `@deep:900@` stands for that many levels."""
    text = json.dumps(answer)
    return re.sub(
        r'"@deep:(\d+)@"', lambda found: '{"a":' * int(found[1]) + '{"password":"Zq7deep"}' + "}" * int(found[1]), text
    )


class _Refused(Exception):
    pass


def wait_or_hang(how: str | None) -> None:
    """Take a while, or for ever."""
    if how == "hang":
        time.sleep(3600)
    if how and how.startswith("slow:"):
        time.sleep(float(how.split(":")[1]))


def _write(out: Any, text: str, how: str | None) -> None:
    if how and how.startswith("big:"):
        size = int(how.split(":")[1])
        head, _, tail = text.partition("is done")
        out.write(head.encode())
        for _ in range(size // 65536):
            out.write(b"x" * 65536)
        out.write(tail.encode())
    elif how == "cut":
        out.write(text[: len(text) // 2].encode())
        out.flush()
        os._exit(3)
    else:
        out.write(text.encode())
    out.write(b"\n")
    out.flush()


def main() -> None:
    server = Server(pathlib.Path(sys.argv[1]))
    server.record(started=os.getpid(), environment=dict(os.environ), group=os.getpgid(0))
    boot = server.control.get("boot")
    if boot == "exit":
        sys.stderr.write("fatal: no access with token=ghp_" + "b" * 36 + "\n")
        sys.exit(5)
    if boot == "noise":
        sys.stdout.write("this is no message\n" * 100)
        for _ in range(2000):
            sys.stderr.write("chatter " * 40 + "\n")
    if server.control.get("child"):
        import subprocess

        child = subprocess.Popen(["/bin/sleep", "600"])
        server.record(child=child.pid)
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if boot == "hang":
            server.record(message=message, ignored=True)
            continue
        answer = server.answer(message)
        if answer is not None:
            is_call = message.get("method") == "tools/call"
            _write(sys.stdout.buffer, dumps(answer), server.control.get("call") if is_call else None)
        if server.control.get("announce") and message.get("method") == "tools/call":
            note = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
            _write(sys.stdout.buffer, json.dumps(note), None)


if __name__ == "__main__":
    main()
