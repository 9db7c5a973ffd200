"""An MCP server over streamable HTTP, as GitHub and Slack host theirs: lists what it is given, remembers each call.

Written by hand, message by message, for 2025-06-18. Version 1 of GitHub's server cannot be had as a program here: its
tools are cut out of what its repository records of them.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from klepaas.testing import FakeHttp, HttpAnswer, HttpRequest

_JSON = {"Content-Type": "application/json"}


def tool(name: str, required: Sequence[str], **properties: Any) -> dict[str, Any]:
    """A tool as a server lists it.

    Args:
        name: Its name.
        required: What must be given.
        properties: Its parameters: a type, or the choices there are.
    """
    schema = {
        name: {"type": "string", "enum": said} if isinstance(said, list) else {"type": said}
        for name, said in properties.items()
    }
    inner = {"type": "object", "properties": schema, "required": list(required)}
    return {"name": name, "description": f"{name} of the server", "inputSchema": inner}


_PLACE = {"owner": "string", "repo": "string"}
GITHUB_1 = (
    tool("get_me", ()),
    tool("list_issues", ("owner", "repo"), **_PLACE, state=["OPEN", "CLOSED"]),
    tool(
        "issue_write",
        ("method", "owner", "repo"),
        method=["create", "update"],
        **_PLACE,
        issue_number="number",
        title="string",
        body="string",
    ),
    tool(
        "issue_read",
        ("method", "owner", "repo", "issue_number"),
        method=["get", "get_comments"],
        **_PLACE,
        issue_number="number",
    ),
    tool(
        "actions_run_trigger",
        ("method", "owner", "repo"),
        method=["run_workflow", "cancel_workflow_run", "delete_workflow_run_logs"],
        **_PLACE,
        workflow_id="string",
        ref="string",
        run_id="number",
    ),
    tool("list_secret_scanning_alerts", ("owner", "repo"), **_PLACE),
)
SLACK_HOSTED = (
    tool("slack_send_message", ("channel_id", "message"), channel_id="string", message="string", thread_ts="string"),
    tool("slack_read_channel", ("channel_id",), channel_id="string", limit="number"),
    tool("slack_search_channels", ("query",), query="string"),
    tool("slack_delete_everything", ()),
)


class Hosted(FakeHttp):
    """The server.

    Args:
        tools: What it lists.

    Attributes:
        calls: The name and the arguments of each call.
        results: What it answers to calls of a tool: a text, with `isError` where it begins with "failed". Others get
            "done".
    """

    def __init__(self, tools: Sequence[Mapping[str, Any]]) -> None:
        super().__init__()
        self._tools = tools
        self.calls: list[tuple[str, Mapping[str, Any]]] = []
        self.results: dict[str, str] = {}
        self.handle("POST", "/mcp", self._hear)

    @property
    def headers(self) -> list[Mapping[str, str]]:
        """The headers of each request, in order."""
        return [request.headers for request in self.requests]

    def _hear(self, request: HttpRequest) -> HttpAnswer:
        message = request.json
        if "id" not in message:
            return HttpAnswer(202, {}, b"")
        answer = self._answer(message["method"], message.get("params", {}))
        said = {"jsonrpc": "2.0", "id": message["id"], **answer}
        return HttpAnswer(200, {**_JSON, "Mcp-Session-Id": "s-1"}, json.dumps(said).encode())

    def _answer(self, method: str, said: Mapping[str, Any]) -> dict[str, Any]:
        if method == "initialize":
            info = {"name": "hosted", "version": "1.10.1"}
            return {"result": {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": info}}
        if method == "tools/list":
            return {"result": {"tools": list(self._tools)}}
        if method == "tools/call":
            self.calls.append((said["name"], said.get("arguments", {})))
            text = self.results.get(said["name"], "done")
            content = [{"type": "text", "text": text}]
            return {"result": {"content": content, "isError": text.startswith("failed")}}
        return {"error": {"code": -32601, "message": f"method {method} not found"}}
