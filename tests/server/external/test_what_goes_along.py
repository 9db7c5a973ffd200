"""To a server goes what the call says and what the operator gave; nothing of a caller, nothing of klepaas' own."""

import sys
from typing import Any

import pytest
from tests.server.external.conftest import SCRIPT, Fake, Serve, up

from klepaas.external import Credentials, StdioServer
from klepaas.testing import ERAS, Era, client

pytestmark = pytest.mark.anyio

each_era = pytest.mark.parametrize("era", ERAS)
PLANTED = "planted-secret-0123456789"


@each_era
async def test_no_metadata_of_a_caller_goes_upstream(fake: Fake, serve: Serve, era: Era) -> None:
    meta: dict[str, Any] = {
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": "x=canary",
        "baggage": "user=canary",
        "test/own": "canary",
    }
    async with serve(fake.provider()) as app, client(app, era) as session:
        await up(app)
        await session.raw.call_tool("wiki_get_item", {"id": "1"}, meta=meta)
    (call,) = fake.calls
    assert call == {"name": "get_item", "arguments": {"id": "1"}}
    assert "canary" not in fake.everything
    assert "0af7651916cd43dd8448eb211c80319c" not in fake.everything


@pytest.mark.parametrize("upstream", ["modern"])
async def test_a_newer_server_gets_only_what_the_protocol_demands(fake: Fake, serve: Serve, upstream: str) -> None:
    fake.does(era=upstream)
    async with serve(fake.provider()) as app, client(app, "2026-07-28") as session:
        await up(app)
        await session.raw.call_tool("wiki_get_item", {"id": "1"}, meta={"test/own": "canary", "tracestate": "x=canary"})
    (call,) = fake.calls
    assert sorted(key.rpartition("/")[2] for key in call["_meta"]) == [
        "clientCapabilities",
        "clientInfo",
        "protocolVersion",
    ]
    assert call["_meta"]["io.modelcontextprotocol/clientInfo"]["name"] == "klepaas"


async def test_a_process_gets_no_variable_of_klepaas_own(
    fake: Fake, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KLEPAAS_GITHUB_TOKEN", "KUBECONFIG", "AWS_SECRET_ACCESS_KEY", "PYTHONPATH", "LD_PRELOAD_NOT"):
        monkeypatch.setenv(name, PLANTED)
    command = (sys.executable, "-I", "-S", str(SCRIPT), str(fake.folder))

    async def credentials() -> Credentials:
        return Credentials({"WIKI_TOKEN": "its-own-secret-77"})

    transport = StdioServer(command, {"WIKI_URL": "https://wiki.test"}, credentials)
    async with serve(fake.provider(transport=transport)) as app, client(app) as session:
        await up(app)
        fake.does(call="lie")
        said = await session.call("wiki_get_item", id="its-own-secret-77")
        assert not said.is_error
    environment = next(record["environment"] for record in fake.records if "environment" in record)
    assert PLANTED not in str(environment)
    assert environment["WIKI_TOKEN"] == "its-own-secret-77"
    assert environment["WIKI_URL"] == "https://wiki.test"
    assert set(environment) <= {
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "XDG_CACHE_HOME"),
        *("WIKI_TOKEN", "WIKI_URL"),
    }


async def test_a_process_is_started_anew_before_its_credentials_end(
    fake: Fake, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    from klepaas.external import openings

    monkeypatch.setattr(openings, "RENEW_EARLY_S", 0.0)
    given: list[str] = []

    async def credentials() -> Credentials:
        given.append(f"token-number-{len(given)}")
        return Credentials({"WIKI_TOKEN": given[-1]}, valid_for_s=1.0 if len(given) == 1 else None)

    command = (sys.executable, "-I", "-S", str(SCRIPT), str(fake.folder))
    async with (
        serve(fake.provider(transport=StdioServer(command, credentials=credentials))) as app,
        client(app) as session,
    ):
        server = await up(app)
        from tests.server.external.conftest import until

        await until(lambda: len(fake.pids) == 2)
        assert not (await session.call("wiki_save_item", id="1")).is_error
        assert server.connection.failures == 0
    assert [record["environment"]["WIKI_TOKEN"] for record in fake.records if "environment" in record] == given


async def test_a_server_that_gets_no_credentials_is_not_started(fake: Fake, serve: Serve) -> None:
    from klepaas.errors import Unauthorized

    async def credentials() -> Credentials:
        raise Unauthorized("the App's key is not accepted")

    command = (sys.executable, "-I", "-S", str(SCRIPT), str(fake.folder))
    async with (
        serve(fake.provider(transport=StdioServer(command, credentials=credentials))) as app,
        client(app) as session,
    ):
        from tests.server.external.conftest import guarded, until

        await until(lambda: guarded(app).connection.last_error is not None)
        said = await session.call("wiki_get_item", id="1")
        assert "cannot be started without credentials: the App's key is not accepted" in said.text
    assert fake.pids == []


async def test_secrets_and_what_acts_or_hides_in_an_answer_stay_behind(fake: Fake, serve: Serve) -> None:
    fake.does(call="secret")
    async with serve(fake.provider()) as app, client(app) as session:
        await up(app)
        said = await session.call("wiki_get_item", id="1")
    assert "ghp_" not in said.text
    assert "\u202e" not in said.text
    assert "\U000e0041" not in said.text
    assert "evil" in said.text


async def test_images_and_texts_come_through_and_the_rest_is_named(fake: Fake, serve: Serve) -> None:
    fake.does(call="image")
    async with serve(fake.provider()) as app, client(app) as session:
        await up(app)
        result = await session.raw.call_tool("wiki_get_item", {"id": "1"})
    kinds = [block.type for block in result.content]
    assert kinds == ["text", "image"]
    text = getattr(result.content[0], "text", "")
    assert "a picture" in text
    assert "its text" in text
    assert "https://example.test/x" in text
    assert "left out: audio" in text


async def test_what_only_calls_itself_an_image_is_left_out(fake: Fake, serve: Serve) -> None:
    fake.does(call="lying-image")
    async with serve(fake.provider()) as app, client(app) as session:
        await up(app)
        result = await session.raw.call_tool("wiki_get_item", {"id": "1"})
    assert [block.type for block in result.content] == ["text"]
    assert "left out: image" in getattr(result.content[0], "text", "")


async def test_a_request_for_input_ends_here(fake: Fake, serve: Serve) -> None:
    fake.does(era="modern", call="ask")
    async with serve(fake.provider()) as app, client(app, "2026-07-28") as session:
        await up(app)
        said = await session.call("wiki_get_item", id="1")
    assert (said.code, "asks for more input" in said.text) == ("conflict", True)
