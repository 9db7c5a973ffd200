"""A store that an older klepaas wrote, which knew a cluster by one spelling of its address: all of it is found."""

import json
import sqlite3
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from klepaas.app import App, create_app
from klepaas.errors import Conflict
from klepaas.operations import Operations, State, journal
from klepaas.operations.bodies import Bodies
from klepaas.operations.journal import Submission
from klepaas.principals import Principal
from klepaas.settings import Mode, Settings
from klepaas.store.applications import ApplicationKey, Applications
from klepaas.store.database import Store
from klepaas.store.history import History
from klepaas.store.keys import Keys
from klepaas_plugins.kubernetes.client import Clusters

pytestmark = pytest.mark.anyio
STORE = Path(__file__).parents[2] / "fixtures" / "stores" / "tables-0004.sql"
OLD_NAME = "19733db134ef31e2"
# As the kubeconfig spelled it then, and in the one form of today.
SPELLINGS = {"then": "http://127.0.0.1:042213/", "today": "http://127.0.0.1:42213"}
_TIMES = {
    "operations": ("created_at", "updated_at", "deadline_at", "lease_until", "ended_at"),
    "deployment_history": ("started_at", "ended_at"),
    "application_urls": ("updated_at",),
}


@pytest.fixture
async def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> App:
    """A klepaas of today on that store, whose times are of just now; a context for each spelling."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    with closing(sqlite3.connect(folder / "klepaas.db")) as store:
        store.executescript(STORE.read_text())
        (newest,) = store.execute("SELECT max(updated_at) FROM operations").fetchone()
        for table, columns in _TIMES.items():
            for column in columns:
                store.execute(f"UPDATE {table} SET {column} = {column} + ?", [time.time() - newest])
        store.commit()
    (folder / "klepaas.db").chmod(0o600)
    clusters = [{"name": name, "cluster": {"server": server}} for name, server in SPELLINGS.items()]
    contexts = [{"name": name, "context": {"cluster": name, "user": "u"}} for name in SPELLINGS]
    content = {"clusters": clusters, "contexts": contexts, "users": [{"name": "u", "user": {}}]}
    (tmp_path / "kubeconfig").write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **content}))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    return create_app(Settings(mode=Mode.WRITES, external_plugins=False, state_dir=folder))


async def test_what_an_older_klepaas_stored_is_found_by_its_own_spelling_and_by_todays(app: App) -> None:
    clusters, host = Clusters.of(app.host), app.host
    try:
        for context in SPELLINGS:
            assert OLD_NAME in await clusters.identities(context), context
            cluster = await clusters.identity(context)
            running = await Operations.of(host).running_on(f"{cluster}/default/web")
            assert running is not None, context
            assert (running.title, running.state) == ("Deploying example/unready:2 as web", State.RUNNING)
            address = await Applications.of(host).address(ApplicationKey(cluster, "default", "web"))
            assert address is not None, context
            assert address.url == "https://web.example.com"
            (deployed,) = await History.of(host).find(cluster=cluster, namespace="default", application="web")
            assert (deployed.state, deployed.image) == ("succeeded", "example/app:1")
    finally:
        await host.aclose()


async def test_no_second_operation_begins_beside_the_one_that_an_older_klepaas_left_under_way(app: App) -> None:
    clusters, store, bodies = Clusters.of(app.host), Store.of(app.host), Bodies(Keys.of(app.host))
    bert = Principal("bert", "stdio", 1002, "some client")
    try:
        for context in SPELLINGS:
            target = f"{await clusters.identity(context)}/default/web"
            wanted = Submission("deploy", target, "Deploying example/app:3 as web", {}, bert, None, 60.0)
            with pytest.raises(Conflict, match="Deploying example/unready:2 as web is under way"):
                await store.write(partial(journal.submit, wanted=wanted, holder="another", lease_s=60.0, bodies=bodies))
    finally:
        await app.host.aclose()
