"""Nothing of a caller reaches GitHub or Slack, and nothing secret comes back from them."""

import json
from collections.abc import Mapping
from pathlib import Path

import anyio.to_thread
import httpx
import pytest
from tests.served import served, unconfigured

from klepaas.testing import ERAS, Era, client, failing, scale_timeout

from .conftest import Serve, up
from .github_api import GitHubApi
from .sides import CREDENTIALS, GITHUB_TOKEN, SHOP, SLACK_TOKEN, Side

pytestmark = pytest.mark.anyio
PLANTED = {
    "Authorization": "Bearer planted-of-the-caller-1",
    "X-Api-Key": "planted-of-the-caller-2",
    "X-Forwarded-For": "203.0.113.7",
    "X-Tenant": "planted-of-the-caller-3",
    "Cookie": "session=planted-of-the-caller-4",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
}
NEW = {"MCP-Protocol-Version": "2026-07-28", "Accept": "application/json, text/event-stream"}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "planted-client-name", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
    "progressToken": "planted-progress",
    "traceparent": PLANTED["traceparent"],
    "baggage": "who=planted-of-the-caller-5",
}


async def test_no_header_and_no_metadata_of_a_caller_goes_along(side: Side, tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text(json.dumps({"mcpServers": {side.name: side.server}}))
    file.chmod(0o600)
    own = {"KLEPAAS_MCP_CONFIG": str(file), "KLEPAAS_STRICT_PLUGINS": "true", "KLEPAAS_MODE": "writes"}
    environment = unconfigured(tmp_path, **own, **CREDENTIALS[side.kind])
    answers = await anyio.to_thread.run_sync(_asked, environment, tmp_path / "stderr", side)
    assert '"isError":true' not in answers[-1], answers
    assert side.reads >= 1
    sent = json.dumps([[one.path, one.query, dict(one.headers), one.body.decode()] for one in side.api.requests])
    for text in ("planted", "203.0.113.7", "4bf92f3577b34da6a3ce929d0e0e4736"):
        assert text not in sent
    assert "Traceback" not in _text_of(tmp_path / "stderr")


def _text_of(path: Path) -> str:
    return path.read_text()


def _asked(environment: Mapping[str, str], stderr: Path, side: Side) -> list[str]:
    """What a client of 2026-07-28 got that says everything about itself, asked until the server is up."""
    name, arguments = (
        ("github_list_pull_requests", SHOP)
        if side.name == "github"
        else ("slack_read_channel", {"channel_id": "C0DEPLOY01"})
    )
    answers: list[str] = []
    with (
        served(environment=environment, stderr=stderr) as server,
        httpx.Client(timeout=scale_timeout(30), trust_env=False) as http,
    ):
        for _ in range(20):
            call = {"name": name, "arguments": dict(arguments), "_meta": META}
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
            headers = {**PLANTED, **NEW, "Mcp-Method": "tools/call", "Mcp-Name": name}
            # A token that nothing checks is refused before anything else; the other headers are ignored.
            assert http.post(server.url, json=body, headers=headers).status_code == 400
            del headers["Authorization"]
            answer = http.post(server.url, json=body, headers=headers)
            answers.append(answer.text)
            if '"isError":true' not in answer.text and "error" not in answer.json():
                break
    return answers


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("kind", ["github"])
async def test_a_secret_in_what_github_holds_does_not_reach_the_client(era: Era, side: Side, serve: Serve) -> None:
    assert isinstance(side.api, GitHubApi)
    token = "ghp_" + "q" * 36
    text = f"AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY and {token} and {GITHUB_TOKEN}"
    side.api.issues.append({"number": 1, "id": 1, "title": text, "body": f"\u202eevil\u200b\U000e0041 {text}"})
    async with serve(side) as app, client(app, era) as session:
        await up(app, "github")
        said = await session.call("github_list_issues", **SHOP)
        assert not said.is_error
        for secret in (token, GITHUB_TOKEN, "wJalrXUtnFEMI"):
            assert secret not in said.text
        assert not set(said.text) & {"\u202e", "\u200b", "\U000e0041"}


async def test_our_tokens_stand_in_no_error(side: Side, serve: Serve) -> None:
    async with serve(side) as app, client(app) as session:
        await up(app, side.name)
        for token in (GITHUB_TOKEN, SLACK_TOKEN):
            side.api.fault = failing(500, f"upstream saw Authorization: Bearer {token}")
            for said in (await side.read(session), await side.write(session)):
                assert said.is_error
                assert token not in said.text + str(said)
