"""The real servers through klepaas, with clients of both eras: what works, with which credentials, and at what cost."""

import json
from pathlib import Path

import anyio
import mcp_types as mt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from klepaas.testing import ERAS, Era, Session, client, scale_timeout

from .conftest import Case, Serve, guarded, needs, up
from .github_api import GitHubApi
from .sides import CREDENTIALS, GITHUB_TOKEN, KINDS, PROGRAMS, SHOP, SLACK_TOKEN, Side, sided
from .test_app_tokens import pem

pytestmark = pytest.mark.anyio
DEFAULT_MAX_BYTES = 6 * 1024
only = pytest.mark.parametrize


@only("era", ERAS)
async def test_a_change_is_made_and_can_be_looked_at(era: Era, side: Side, serve: Serve) -> None:
    async with serve(side) as app, client(app, era) as session:
        await up(app, side.name)
        written = await side.write(session)
        assert not written.is_error, written.text
        assert (side.done, side.writes) == (1, 1)
        seen = await session.call(side.verify, **(SHOP if side.name == "github" else {"channel_id": "C0DEPLOY01"}))
        assert not seen.is_error, seen.text
        assert "The shop is down" in seen.text or side.kind == "slack_go"


@only("kind", ["github"])
async def test_a_file_arrives_with_its_text(case: Case) -> None:
    said = await case.session.call("github_get_file_contents", **SHOP, path="README.md")
    assert not said.is_error
    assert "# The shop" in said.text


async def test_the_two_eras_see_the_same_tools_at_the_same_time(side: Side, serve: Serve) -> None:
    async with serve(side) as app, client(app, "2025-11-25") as old, client(app, "2026-07-28") as new:
        await up(app, side.name)
        seen: list[list[mt.Tool]] = []

        async def look(session: Session) -> None:
            for _ in range(5):
                seen.append(await session.tools())
                assert not (await side.read(session)).is_error

        async with anyio.create_task_group() as group:
            group.start_soon(look, old)
            group.start_soon(look, new)
        assert len(seen) == 10
        assert all(one == seen[0] for one in seen)
        assert guarded(app, side.name).connection.restarts == 0


async def test_a_server_gets_our_credentials_and_nothing_else_of_ours(
    side: Side, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = {
        "AWS_SECRET_ACCESS_KEY": "planted-0001",
        "KLEPAAS_NCP_SECRET_KEY": "planted-0002",
        "KLEPAAS_DATABASE_URL": "postgresql://klepaas:planted-0003@db.example/klepaas",
        "KUBECONFIG": "/planted-0004",
    }
    for name, value in planted.items():
        monkeypatch.setenv(name, value)
    async with serve(side) as app, client(app) as session:
        await up(app, side.name)
        environment = _environment_of(guarded(app, side.name).connection.pid)
        assert not (await side.read(session)).is_error
        sent = json.dumps([[one.path, dict(one.headers), one.body.decode()] for one in side.api.requests])
    assert "planted" not in environment + sent
    mine = GITHUB_TOKEN if side.name == "github" else SLACK_TOKEN
    assert mine in environment
    assert all(mine in json.dumps([dict(one.headers), one.body.decode()]) for one in side.api.requests)


def _environment_of(pid: int | None) -> str:
    return Path(f"/proc/{pid}/environ").read_text()


@only("kind", ["slack_go"])
async def test_what_slacks_server_caches_is_for_its_owner_alone(case: Case) -> None:
    folder = case.app.settings.state_dir / "slack"
    names = {"users.json", "channels.json"}
    with anyio.fail_after(scale_timeout(10)):
        while not names <= {path.name for path in folder.glob("*.json")}:  # noqa: ASYNC110 -- another process writes
            await anyio.sleep(0.02)
    assert folder.stat().st_mode & 0o077 == 0


@only("kind", ["github"])
async def test_a_read_only_klepaas_starts_a_read_only_server(side: Side, serve: Serve) -> None:
    async with serve(side, mode="read-only") as app, client(app) as session:
        await up(app, "github")
        said = await side.write(session)
        assert (said.is_error, side.writes) == (True, 0)
        assert "create_issue" not in {offer.definition.name for offer in guarded(app, "github").offers.values()}


@only("kind", ["github"])
async def test_what_is_not_listed_is_found_and_called(case: Case) -> None:
    listed = {tool.name for tool in await case.session.tools()}
    assert "github_get_me" not in listed
    said = await case.session.call("github_get_me")
    assert "klepaas-bot" in said.text
    by_name = await case.session.call("call_tool", name="github_get_me", arguments={})
    assert by_name.text == said.text


@only("kind", ["github"])
async def test_what_runs_code_is_confirmed_first(case: Case) -> None:
    assert isinstance(case.side.api, GitHubApi)
    said = await case.session.call("github_run_workflow", **SHOP, workflow_id="ci.yml", ref="main")
    assert said.is_error
    assert case.side.api.arrived("POST", "/dispatches") == 0


async def test_what_is_listed_of_both_costs_little(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights: dict[str, int] = {}
    for kind in KINDS:
        needs(*PROGRAMS[kind])
        for name, value in CREDENTIALS[kind].items():
            monkeypatch.setenv(name, value)
        async with sided(kind, tmp_path) as side, serve(side) as app, client(app) as session:
            await up(app, side.name)
            weights[kind] = sum(_bytes(tool) for tool in await session.tools() if tool.name.startswith(side.name))
    assert weights["github"] + max(weights["slack_go"], weights["slack_npm"]) <= DEFAULT_MAX_BYTES, weights


def _bytes(tool: mt.Tool) -> int:
    return len(tool.model_dump_json(by_alias=True, exclude_none=True).encode())


@only("kind", ["github"])
async def test_a_server_is_started_again_with_the_apps_next_token(
    side: Side, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(side.api, GitHubApi)
    key = rsa.generate_private_key(65537, 2048)
    side.api.trust(key)
    side.api.token_life_s = 4.0  # so that it is used for two seconds
    monkeypatch.delenv("KLEPAAS_GITHUB_TOKEN")
    monkeypatch.setenv("KLEPAAS_GITHUB_HOST", side.api.url)
    monkeypatch.setenv("KLEPAAS_GITHUB_APP_ID", "12345")
    monkeypatch.setenv("KLEPAAS_GITHUB_APP_INSTALLATION_ID", "678")
    monkeypatch.setenv("KLEPAAS_GITHUB_APP_PRIVATE_KEY", pem(key))
    async with serve(side) as app, client(app) as session:
        await up(app, "github")
        assert not (await side.write(session)).is_error
        with anyio.fail_after(scale_timeout(20)):
            while len(side.api.granted) < 2:  # noqa: ASYNC110 -- time passes
                await anyio.sleep(0.05)
        side.api.token_life_s = 3600.0
        with anyio.fail_after(scale_timeout(20)):
            while (await side.read(session)).is_error:  # noqa: ASYNC110 -- until it is there again
                await anyio.sleep(0.05)
    used = list(dict.fromkeys(one.removeprefix("Bearer ") for one in side.api.tokens if "ghs_" in one))
    assert used[0] == side.api.granted[0]
    assert len(used) >= 2
    assert set(used) <= set(side.api.granted)
