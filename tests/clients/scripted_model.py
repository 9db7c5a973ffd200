"""A model without a mind: an HTTP server on loopback that answers as four providers do and calls tools by a script.

    with ScriptedModel([Step("get_overview"), Step("k8s_delete", {"kind": "Deployment", "name": "shop"})]) as model:
        ...  # let a client talk to model.url
    model.results  # what the client passed on of each tool's answer

It keeps no state: how far the script has gone is read from the conversation, which clients send anew each time.
"""

import json
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from klepaas.testing import scale_timeout

from .protocols import PROTOCOLS, Conversation, Protocol, Reply

__all__ = ["Asked", "ScriptedModel", "Step"]

# The tools with which clients look for tools that they have not loaded, and how each is asked for one.
SEARCHES: Mapping[str, Any] = {
    "ToolSearch": lambda name: {"query": f"select:mcp__klepaas__{name}", "max_results": 3},
    "tool_search": lambda name: {"query": f"select:mcp__klepaas__{name}", "max_results": 3},
}
# What a model may do while the tools of a server that starts slowly are not there yet. No call is that of before: a
# client may end a turn that goes in circles.
PAUSES: Mapping[str, Any] = {
    "exec_command": lambda number: {"cmd": f"sleep 1.0{number}"},
    "run_shell_command": lambda number: {"command": f"sleep 1.0{number}", "is_background": False},
    "shell": lambda number: {"command": ["sleep", f"1.0{number}"]},
    "shell_command": lambda number: {"command": f"sleep 1.0{number}"},
}
MAX_PAUSES = 20


@dataclass(frozen=True)
class Step:
    """A call of the script.

    Attributes:
        tool: The tool's name as klepaas knows it, without what the client puts before it.
        arguments: Of the call.
    """

    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def matches(self, name: str) -> bool:
        """Whether a name that a client gave a tool is this one's."""
        return re.search(rf"(^|[^a-z0-9]){self.tool}$", name) is not None


@dataclass(frozen=True)
class Asked:
    """One request of a client.

    Attributes:
        path: Where it was sent.
        body: What it says.
        conversation: What it says, the same for every provider.
    """

    path: str
    body: Mapping[str, Any] = field(repr=False)
    conversation: Conversation = field(repr=False)


class ScriptedModel:
    """The server, while inside.

    Args:
        script: The calls, one after another; then it says that it is done.
    """

    def __init__(self, script: Iterable[Step]) -> None:
        self._script = list(script)
        self.asked: list[Asked] = []
        self.unknown: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """Its address, without a version."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "ScriptedModel":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(scale_timeout(10))

    @property
    def offered(self) -> set[str]:
        """The names of all tools that were ever offered."""
        return {name for one in self.asked for name in one.conversation.tools}

    @property
    def prompt(self) -> str:
        """Everything that the requests said besides the offered tools, as one text."""
        return "\n".join(json.dumps(dict(one.body), ensure_ascii=False) for one in self.asked)

    @property
    def results(self) -> dict[str, str]:
        """What the model was told about each call of the script, by the tool's name."""
        found: dict[str, str] = {}
        for one in self.asked:
            for call, result in one.conversation.exchanges:
                for step in self._script:
                    if step.matches(call) and result is not None:
                        found[step.tool] = result
        return found

    def reply(self, conversation: Conversation) -> Reply:
        """The next call of the script, or the last word."""
        done = sum(any(step.matches(call) for step in self._script) for call, _ in conversation.exchanges)
        if not conversation.tools or done >= len(self._script):
            return Reply(text="done", number=len(conversation.exchanges))
        step = self._script[done]
        return self._call(step, conversation)

    def _call(self, step: Step, conversation: Conversation) -> Reply:
        number = len(conversation.exchanges)
        name = next((name for name in conversation.tools if step.matches(name)), None)
        if name:
            return Reply(tool=name, arguments=step.arguments, number=number)
        for search, ask in SEARCHES.items():
            if search in conversation.tools and number < MAX_PAUSES:
                return self._found(step, search, ask, conversation)
        return self._pause(conversation) or Reply(text=f"there is no {step.tool}", number=number)

    def _pause(self, conversation: Conversation) -> Reply | None:
        number = len(conversation.exchanges)
        for pause, arguments in PAUSES.items():
            if pause in conversation.tools and number < MAX_PAUSES:
                return Reply(tool=pause, arguments=arguments(number), number=number)
        return None

    def _found(self, step: Step, search: str, ask: Any, conversation: Conversation) -> Reply:
        number = len(conversation.exchanges)
        searched = any(call == search and step.tool in (result or "") for call, result in conversation.exchanges)
        if searched and "tool_call" in conversation.tools:
            wanted = {"name": f"mcp__klepaas__{step.tool}", "arguments": dict(step.arguments)}
            return Reply(tool="tool_call", arguments=wanted, number=number)
        if conversation.exchanges and conversation.exchanges[-1][0] == search and (pause := self._pause(conversation)):
            return pause  # nothing was found: the server is still starting
        return Reply(tool=search, arguments=ask(step.tool), number=number)


def _protocol(path: str) -> Protocol | None:
    return next((one for one in PROTOCOLS if re.search(one.path, path)), None)


def _handler(model: ScriptedModel) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the library's name
            pass

        def do_GET(self) -> None:
            models = [{"id": "scripted", "object": "model", "created": 0, "owned_by": "klepaas"}]
            self._send(200, "application/json", json.dumps({"object": "list", "data": models}).encode())

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = urlsplit(self.path).path
            protocol = _protocol(path)
            if protocol is None:
                model.unknown.append(path)
                self._send(404, "application/json", b'{"error": {"message": "no such path"}}')
                return
            body = json.loads(raw)
            conversation = protocol.read(body)
            model.asked.append(Asked(path, body, conversation))
            kind, said = protocol.write(path, body, model.reply(conversation))
            self._send(200, kind, said)

        def _send(self, status: int, kind: str, said: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

    return Handler
