"""A Slack on loopback: as much of its Web API as the Slack servers of others and klepaas itself ask for.

It keeps the channels #general and #deployments and remembers every message. The Go server speaks TLS to it through
`TlsFront`; the one of npm is led here by a few lines of JavaScript that it loads before itself.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from klepaas.testing import FakeHttp, HttpAnswer, HttpRequest

DEPLOYMENTS = "C0DEPLOY01"
GENERAL = "C0GENERAL1"
KIM = "U0KIM00001"
_JSON = {"Content-Type": "application/json; charset=utf-8"}
_REDIRECT = """
const there = process.env.FAKE_SLACK_URL;
const fetch = globalThis.fetch;
globalThis.fetch = (url, options) => fetch(String(url).replace("https://slack.com", there), options);
"""


class SlackApi(FakeHttp):
    """The fake.

    Attributes:
        messages: Each message that was posted: channel, text, and what else was said.
        hooked: Each message that came by the incoming webhook.
    """

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[dict[str, Any]] = []
        self.hooked: list[dict[str, Any]] = []
        channels = [_channel(GENERAL, "general"), _channel(DEPLOYMENTS, "deployments")]
        members = [_member(KIM, "kim", "Kim"), _member("U0BOT00001", "klepaas", "klepaas")]
        self._method(
            "auth.test",
            {
                "url": "https://acme.slack.com/",
                "team": "Acme",
                "user": "klepaas",
                "team_id": "T0ACME0001",
                "user_id": "U0BOT00001",
                "bot_id": "B0BOT00001",
            },
        )
        self._method("users.list", {"members": members, "response_metadata": {"next_cursor": ""}})
        self._method("client.userBoot", {"channels": channels, "self": {"id": "U0BOT00001"}, "team": {}, "ims": []})
        self._method("conversations.list", {"channels": channels, "response_metadata": {"next_cursor": ""}})
        self._method("conversations.info", {"channel": channels[1]})
        for method in ("conversations.history", "conversations.replies"):
            self._both(f"/api/{method}", self._history)
        self._method("users.profile.get", {"profile": {"real_name": "Kim", "display_name": "kim"}})
        self._method("reactions.add", {})
        self._both("/api/chat.postMessage", self._post)
        self.handle("POST", "/services/{team}/{app}/{secret}", self._hook)

    def arrived(self, method: str) -> int:
        """How many calls of a method arrived, whatever they met.

        Args:
            method: The method, such as "chat.postMessage".
        """
        return sum(target.partition("?")[0].endswith(f"/api/{method}") for _, target in self.proxy.asked)

    def environment_of_npm(self, folder: Path) -> dict[str, str]:
        """What leads the server of npm here instead of to the network.

        Args:
            folder: A place for the script that does it.
        """
        script = folder / "redirect.cjs"
        script.write_text(_REDIRECT)
        return {"NODE_OPTIONS": f"--require {script}", "FAKE_SLACK_URL": self.url}

    def refuse(self, method: str, error: str, **more: Any) -> None:
        """Answer a method as Slack refuses: with status 200.

        Args:
            method: The method.
            error: The reason, such as "channel_not_found".
            more: Further fields.
        """
        self._both(f"/api/{method}", lambda _request: refusal(error, **more))

    def _method(self, name: str, answer: Mapping[str, Any]) -> None:
        self._both(f"/api/{name}", lambda _request: _ok(answer))

    def _both(self, path: str, handler: Any) -> None:
        for verb in ("GET", "POST"):
            self.handle(verb, path, handler)

    def _post(self, request: HttpRequest) -> HttpAnswer:
        said = _arguments(request)
        stamp = f"1795000000.{len(self.messages):06d}"
        self.messages.append({**said, "ts": stamp})
        return _ok({"channel": said["channel"], "ts": stamp, "message": {"text": said.get("text", ""), "ts": stamp}})

    def _history(self, request: HttpRequest) -> HttpAnswer:
        channel = _arguments(request)["channel"]
        kept = [one for one in self.messages if one["channel"] == channel]
        messages = [
            {"type": "message", "user": KIM, "text": one.get("text", ""), "ts": one["ts"]} for one in reversed(kept)
        ]
        return _ok({"messages": messages, "has_more": False, "response_metadata": {"next_cursor": ""}})

    def _hook(self, request: HttpRequest) -> HttpAnswer:
        self.hooked.append(request.json)
        return HttpAnswer(200, {"Content-Type": "text/html"}, b"ok")


def refusal(error: str, **more: Any) -> HttpAnswer:
    """Slack's way to refuse: a good status, and `ok` false.

    Args:
        error: The reason.
        more: Further fields.
    """
    return HttpAnswer(200, _JSON, json.dumps({"ok": False, "error": error, **more}).encode())


def _ok(answer: Mapping[str, Any]) -> HttpAnswer:
    return HttpAnswer(200, _JSON, json.dumps({"ok": True, **answer}).encode())


def _arguments(request: HttpRequest) -> dict[str, str]:
    """A method's arguments, in whichever of the three ways they came."""
    said = dict(request.query)
    if request.body and "json" in request.headers.get("content-type", ""):
        return {**said, **request.json}
    return {**said, **{name: values[0] for name, values in parse_qs(request.body.decode()).items()}}


def _channel(number: str, name: str) -> dict[str, Any]:
    return {
        "id": number,
        "name": name,
        "name_normalized": name,
        "is_channel": True,
        "is_member": True,
        "is_archived": False,
        "is_private": False,
        "num_members": 2,
        "created": 1700000000,
        "creator": KIM,
        "topic": {"value": ""},
        "purpose": {"value": ""},
    }


def _member(number: str, name: str, real_name: str) -> dict[str, Any]:
    return {
        "id": number,
        "name": name,
        "real_name": real_name,
        "deleted": False,
        "is_bot": name == "klepaas",
        "team_id": "T0ACME0001",
        "profile": {"real_name": real_name, "display_name": name, "email": f"{name}@acme.example"},
    }
