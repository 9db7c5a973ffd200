"""The hand-written server over streamable HTTP, with sessions or, as of 2026-07-28, without; and its faults."""

import asyncio
import json
from pathlib import Path
from typing import Any

import anyio
from tests.server.external.fake_server import Server, dumps

from klepaas.testing.loopback import Listening, answer_bytes, header_of, read_request

JSON = {"Content-Type": "application/json"}


class HttpFake(Listening):
    """One server.

    Args:
        folder: Its control and its record.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.server = Server(folder)
        self.heads: list[str] = []
        self.sessions: list[str] = []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, body = await read_request(reader)
        self.heads.append(head.decode())
        method = head.split(b" ", 1)[0]
        if method != b"POST":
            writer.write(answer_bytes(405, {}, b""))
            await writer.drain()
            return
        message = json.loads(body)
        control = self.server.control
        fault = control.get("http")
        if fault and message.get("method") == "tools/call":
            self.server.record(message=message)
            await self._fail(writer, fault, message)
            return
        if "refuse" in control:
            await self._fail(writer, [control["refuse"], {}], message)
            return
        session = header_of(head, b"mcp-session-id")
        legacy = control.get("era") != "modern"
        if legacy and session is not None and session.decode() not in self.sessions:
            writer.write(answer_bytes(404, JSON, b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"?"}}'))
            await writer.drain()
            return
        answer = self.server.answer(message)
        headers = dict(JSON)
        if legacy and message.get("method") == "initialize":
            self.sessions.append(f"session-{len(self.heads)}")
            headers["Mcp-Session-Id"] = self.sessions[-1]
        if answer is None:
            writer.write(answer_bytes(202, {}, b""))
        elif control.get("events") and message.get("method") == "tools/call":
            params = {"level": "info", "data": "x"}
            news = json.dumps({"jsonrpc": "2.0", "method": "notifications/message", "params": params})
            data = f": ping\n\nevent: message\ndata: {news}\n\nevent: message\ndata: {dumps(answer)}\n\n"
            data = data.replace("\n", control.get("line_end", "\n"))
            writer.write(answer_bytes(200, {"Content-Type": "text/event-stream"}, data.encode()))
        else:
            writer.write(answer_bytes(200, headers, dumps(answer).encode()))
        await writer.drain()

    async def _fail(self, writer: asyncio.StreamWriter, fault: Any, message: dict[str, Any]) -> None:
        if fault == "hang":
            await anyio.sleep_forever()
        elif fault == "reset":
            writer.transport.abort()
        elif fault == "big":
            await self._flood(writer)
        elif fault == "slow body":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{")
            await writer.drain()
            await anyio.sleep_forever()
        elif fault == "cut":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{")
            await writer.drain()
        else:
            status, headers = fault
            writer.write(answer_bytes(status, headers, b"<html>an error page</html>"))
            await writer.drain()

    async def _flood(self, writer: asyncio.StreamWriter) -> None:
        size = 100 * 1024 * 1024
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n".encode())
        for _ in range(size // 65536):
            writer.write(b"x" * 65536)
            await writer.drain()
