"""Calls of an external server's tools: they arrive, in both eras, and nothing of the caller's goes along."""

import pytest
from tests.server.external.conftest import Fake, Serve, guarded, listed, up

from klepaas.progress import Progress
from klepaas.testing import ERAS, Era, client

pytestmark = pytest.mark.anyio

each_era = pytest.mark.parametrize("era", ERAS)
each_upstream = pytest.mark.parametrize("upstream", ["legacy", "modern"])


@each_era
@each_upstream
async def test_a_server_of_either_era_serves_clients_of_either(
    fake: Fake, serve: Serve, era: Era, upstream: str
) -> None:
    fake.does(era=upstream)
    async with serve(fake.provider()) as app, client(app, era) as session:
        server = await up(app)
        assert await listed(session) == ["wiki_get_item", "wiki_save_item"]
        said = await session.call("wiki_get_item", id="7")
        assert (said.text, said.is_error) == ("get_item is done: ok", False)
        assert (server.connection.protocol == "2026-07-28") is (upstream == "modern")
        assert guarded(app).upstream.snapshot().failures == 0


@pytest.mark.parametrize("waits", ["for its start", "for its answer"])
async def test_waiting_for_an_external_server_gives_beats(fake: Fake, serve: Serve, waits: str) -> None:
    beats: list[float] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        beats.append(progress)

    fake.does(**({"boot": "hang"} if waits == "for its start" else {"call": "slow:0.4"}))
    async with serve(fake.provider()) as app, client(app) as session:
        progress = app.server.middleware[0]
        assert isinstance(progress, Progress)
        progress.every_s = 0.05
        if waits == "for its answer":
            await up(app)
        await session.raw.call_tool("wiki_get_item", {"id": "7"}, progress_handler=hear, raise_on_error=False)
    assert len(beats) > 2
    assert beats == sorted(set(beats))
