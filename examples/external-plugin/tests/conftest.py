"""A fake of the roster, a klepaas with nothing but this plugin, and a client of each protocol."""

import json
from collections.abc import AsyncIterator

import pytest
from klepaas.app import App
from klepaas.testing import ERAS, Era, FakeHttp, HttpAnswer, HttpRequest, Session, app_with, client, failing

from klepaas_onduty import plugin

TOKEN = "a-token-of-these-tests"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def service(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeHttp]:
    async with FakeHttp() as fake:
        roster = {"web": "kim"}

        def tell(request: HttpRequest) -> HttpAnswer:
            person = roster.get(request.names["team"])
            return HttpAnswer(200, {}, json.dumps({"person": person}).encode()) if person else failing(404)

        def put(request: HttpRequest) -> HttpAnswer:
            roster[request.names["team"]] = request.json["person"]
            return tell(request)

        fake.handle("GET", "/teams/{team}", tell)
        fake.handle("PUT", "/teams/{team}", put)
        monkeypatch.setenv("KLEPAAS_ONDUTY_URL", fake.url)
        monkeypatch.setenv("KLEPAAS_ONDUTY_TOKEN", TOKEN)
        yield fake


@pytest.fixture
async def app(service: FakeHttp) -> AsyncIterator[App]:
    async with app_with(plugin) as one:
        yield one


@pytest.fixture
async def writing_app(service: FakeHttp) -> AsyncIterator[App]:
    async with app_with(plugin, settings={"mode": "writes"}) as one:
        yield one


@pytest.fixture(params=ERAS)
def era(request: pytest.FixtureRequest) -> Era:
    found: Era = request.param
    return found


@pytest.fixture
async def session(app: App, era: Era) -> AsyncIterator[Session]:
    async with client(app, era) as one:
        yield one


@pytest.fixture
async def writer(writing_app: App, era: Era) -> AsyncIterator[Session]:
    async with client(writing_app, era) as one:
        yield one
