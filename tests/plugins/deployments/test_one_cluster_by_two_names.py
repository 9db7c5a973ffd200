"""Two contexts that lead to one cluster by 127.0.0.1 and by localhost: one operation at a time, one policy."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastmcp import Client

from klepaas.app import App, create_app
from klepaas.operations.journal import running_on
from klepaas.policy import Decision, Rule
from klepaas.settings import Mode, Settings
from klepaas.store.applications import Address, ApplicationKey, Applications
from klepaas.store.database import Store
from klepaas.store.identities import Identities
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

pytestmark = pytest.mark.anyio
Start = Callable[..., Awaitable[tuple[App, Client[Any]]]]
IMAGES = ("example/app:1", "example/crash:2")


@pytest.fixture
async def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    async with Sandbox(Timing()) as running:
        path = running.write_kubeconfig(tmp_path / "kubeconfig")
        content = yaml.safe_load(path.read_text())
        here = content["clusters"][0]["cluster"]["server"]
        content["clusters"].append({"name": "other", "cluster": {"server": here.replace("127.0.0.1", "LOCALHOST")}})
        user = content["contexts"][0]["context"]["user"]
        content["contexts"] = [
            {"name": "prod-eu", "context": {"cluster": content["clusters"][0]["name"], "user": user}},
            {"name": "alias", "context": {"cluster": "other", "user": user}},
        ]
        content["current-context"] = "alias"
        path.write_text(json.dumps(content))
        monkeypatch.setenv("KUBECONFIG", str(path))
        # A change is under way for as long as a test looks.
        monkeypatch.setenv("KLEPAAS_ROLLOUT_MIN_HEALTHY_S", "120")
        yield running


@pytest.fixture
async def start(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def started(**more: Any) -> tuple[App, Client[Any]]:
            app = create_app(Settings(mode=Mode.WRITES, external_plugins=False, state_dir=tmp_path / "state", **more))
            return app, await stack.enter_async_context(Client(app.server))

        yield started


async def _call(client: Client[Any], tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, {"app_name": "web", **arguments}, raise_on_error=False)
    return str(result.content[0].text)  # type: ignore[union-attr]


@pytest.mark.parametrize("may_read_kube_system", [True, False])
async def test_two_contexts_of_one_cluster_do_not_take_two_deployments_of_one_application_at_once(
    sandbox: Sandbox, start: Start, may_read_kube_system: bool
) -> None:
    if not may_read_kube_system:
        sandbox.fail("GET", "/api/v1/namespaces/kube-system$", 403, reason="Forbidden")
    _, client = await start()
    first = await _call(client, "deploy_application", image=IMAGES[0], context="prod-eu", wait_s=1)
    second = await _call(client, "deploy_application", image=IMAGES[1], context="alias", wait_s=1)
    assert "is under way" in first
    assert "was not begun" in second, second


async def test_two_servers_that_share_a_store_do_not_either_and_the_namespace_is_asked_for_once_a_change(
    sandbox: Sandbox, start: Start
) -> None:
    sandbox.fail("GET", "/api/v1/namespaces/kube-system$", 403, reason="Forbidden")
    (_, one), (_, other) = await start(), await start()
    await _call(one, "deploy_application", image=IMAGES[0], context="prod-eu", wait_s=1)
    assert "was not begun" in await _call(other, "deploy_application", image=IMAGES[1], context="alias", wait_s=1)
    asked = [request.path for request in sandbox.requests if request.path.endswith("/namespaces/kube-system")]
    assert len(asked) <= 2


async def test_the_cluster_is_asked_who_it_is_only_for_a_change_and_kube_system_once_in_a_process(
    sandbox: Sandbox, start: Start
) -> None:
    _, client = await start()
    await client.list_tools()
    assert not [one for one in sandbox.requests if "/namespaces/kube-system" in one.path]
    for image in IMAGES:
        await _call(client, "deploy_application", image=image, context="alias", wait_s=1)
    assert len([one for one in sandbox.requests if one.path.endswith("/namespaces/kube-system")]) == 1


@pytest.mark.parametrize("may_read_kube_system", [True, False])
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("deploy_application", {"app_name": "web", "image": "example/app:1"}),
        ("k8s_apply", {"manifests": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {a: b}"}),
    ],
)
async def test_a_rule_for_prod_holds_for_an_alias_of_the_same_cluster_also_on_the_first_call(
    sandbox: Sandbox, start: Start, may_read_kube_system: bool, tool: str, arguments: dict[str, Any]
) -> None:
    if not may_read_kube_system:
        sandbox.fail("GET", "/api/v1/namespaces/kube-system$", 403, reason="Forbidden")
    rules = (
        Rule(context="alias", decision=Decision.AUTO),
        Rule(context="prod*", decision=Decision.CONFIRM),
    )
    _, client = await start(policy=rules)
    result = await client.call_tool(tool, {**arguments, "context": "alias"}, raise_on_error=False)
    assert "confirmation" in result.content[0].text  # type: ignore[union-attr]
    assert sandbox.get("Deployment", "web") is None


async def test_identities_seen_together_are_joined_and_what_was_kept_under_each_is_found_by_all(tmp_path: Path) -> None:
    store = Store(tmp_path)
    identities, applications = Identities(store), Applications(store)
    try:
        await applications.set_address(ApplicationKey("old", "default", "web"), "https://web.example", "ann")
        assert await identities.join(["one", "namespace-1"]) == "one"
        assert await identities.join(["two", "cluster-9"]) == "two"
        # A colleague who may not read kube-system sees a namespace alone; a grant later tells both.
        assert await identities.join(["two", "namespace-1"]) == "one"
        assert await identities.join(["one", "old", "cluster-9"]) == "one"
        assert set(await identities.group(["two"])) == {"one", "two", "old", "namespace-1", "cluster-9"}
        found = await applications.address(ApplicationKey("one", "default", "web"))
        assert isinstance(found, Address)
        assert found.url == "https://web.example"
    finally:
        await store.aclose()


async def test_a_running_operation_under_the_hash_of_an_older_klepaas_is_found_by_the_new_identity(
    sandbox: Sandbox, start: Start
) -> None:
    from sqlalchemy import text

    from klepaas_plugins.kubernetes.client import Clusters
    from klepaas_plugins.kubernetes.client.identities import names_of

    app, client = await start()
    await _call(client, "deploy_application", image=IMAGES[0], context="alias", wait_s=1)
    clusters, store = Clusters.of(app.host), Store.of(app.host)
    entry = clusters.kubeconfig.merged().entry("alias")
    names = names_of(entry)
    target = f"{await clusters.identity('alias')}/default/web"
    # As the older one wrote it, which knew no other names.
    await store.write(lambda s: s.execute(text("DELETE FROM identities")))
    await store.write(lambda s: s.execute(text("UPDATE operations SET target = 'legacy/default/web'")))
    await Identities(store).join([*names, "legacy"])
    assert await store.read(lambda s: running_on(s, target)) is not None
    assert "was not begun" in await _call(client, "deploy_application", image=IMAGES[1], context="alias", wait_s=1)


def test_an_address_has_one_identity_however_it_is_spelled(tmp_path: Path) -> None:
    from klepaas_plugins.kubernetes.client.identities import identity_of
    from klepaas_plugins.kubernetes.client.kubeconfig import Entry

    def of(server: str) -> str:
        return identity_of(Entry("c", "c", "default", {"server": server}, {}, tmp_path, tmp_path))

    assert len({of(text) for text in ("https://10.0.0.1", "https://10.0.0.1:443", "HTTPS://10.0.0.1/")}) == 1
    assert len({of(text) for text in ("https://a.example:6443", "https://A.Example.:6443//")}) == 1
    assert of("https://127.0.0.1:6443") != of("https://localhost:6443")
