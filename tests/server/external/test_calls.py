"""Calls of an external server's tools: they arrive, in both eras, and nothing of the caller's goes along."""

import pytest
from tests.server.external.conftest import Fake, Serve, guarded, listed, up

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
