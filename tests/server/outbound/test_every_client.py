"""Every client that goes out: through the environment's proxy, past it for NO_PROXY, and by its User-Agent.

The proxy is a real one on loopback, which records what it is asked, tunnels to one server and resolves no name.
"""

import asyncio
import contextlib
import json
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
import httpx2
import pytest
from pydantic import SecretStr
from tests.plugins.kubernetes.secure_api import Authority, b64

from klepaas import __version__
from klepaas.errors import KlepaasError
from klepaas.external.carrier import Carrier, http_client
from klepaas.external.declaration import HttpServer
from klepaas.resilience import Upstream
from klepaas.testing import scale_timeout
from klepaas.testing.loopback import Listening, answer_bytes, header_of, read_request
from klepaas_plugins.kubernetes.client import Cluster, Clusters
from klepaas_plugins.kubernetes.client.models import LogRange
from klepaas_plugins.kubernetes.settings import KubernetesSettings
from klepaas_plugins.notifications import addresses, posting
from klepaas_plugins.prometheus.access import Access
from klepaas_plugins.prometheus.client.http_api import ApiAnswer, ApiRequest, HttpApi
from klepaas_providers.github.app_tokens import AppKey, AppTokens
from klepaas_providers.slack import webhook
from klepaas_providers.slack.login import Login
from klepaas_providers.slack.settings import SlackSettings

pytestmark = pytest.mark.anyio
SOURCES = Path(__file__).resolve().parents[3]


class RecordingProxy(Listening):
    """An HTTP proxy. A plain request it answers itself, a tunnel it opens to one port, or refuses.

    Args:
        tunnel_port: Where every tunnel leads. None: it refuses them, as one that asks for credentials.
    """

    def __init__(self, tunnel_port: int | None = None) -> None:
        super().__init__()
        self.heads: list[bytes] = []
        self._tunnel_port = tunnel_port

    @property
    def asked(self) -> list[str]:
        return [head.split(b" ")[1].decode() for head in self.heads]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, _ = await read_request(reader)
        self.heads.append(head)
        if not head.startswith(b"CONNECT "):
            writer.write(answer_bytes(200, {"Content-Type": "application/json"}, b'{"kind": "APIVersions"}'))
        elif self._tunnel_port is None:
            writer.write(answer_bytes(407, {"Proxy-Authenticate": "Basic"}, b"canary-in-the-answer"))
        else:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            there, back = await asyncio.open_connection("127.0.0.1", self._tunnel_port)
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(_pass_on, reader, back)
                    await _pass_on(there, writer)
                    group.cancel_scope.cancel()
            finally:
                back.close()
        await writer.drain()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(65536):
        writer.write(piece)
        await writer.drain()


class Echo(Listening):
    """A server that records what it is asked, and answers anything."""

    def __init__(self) -> None:
        super().__init__()
        self.heads: list[bytes] = []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await read_request(reader))[0])
        writer.write(answer_bytes(200, {"Content-Type": "application/json"}, b"{}"))
        await writer.drain()


Ask = Callable[[str, Path], Awaitable[Any]]


@contextlib.asynccontextmanager
async def _cluster_at(url: str, folder: Path) -> AsyncIterator[Cluster]:
    path = folder / "kubeconfig"
    cluster = {"name": "c", "cluster": {"server": url}}
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    user = {"name": "u", "user": {"token": "a-token", "as": "jane"}}
    content = {"current-context": "c", "clusters": [cluster], "contexts": [context], "users": [user]}
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **content}))
    clusters = Clusters(KubernetesSettings(kubeconfig=str(path)))
    try:
        yield await clusters.cluster()
    finally:
        await clusters.aclose()


async def _of_the_cluster(url: str, folder: Path) -> None:
    async with _cluster_at(url, folder) as cluster:
        await cluster.ready()


async def _of_a_log_stream(url: str, folder: Path) -> None:
    async with _cluster_at(url, folder) as cluster, cluster.log_stream("web", "default", LogRange()) as lines:
        async for _ in lines:
            break


async def _of_k8s_exec(url: str, folder: Path) -> None:
    async with _cluster_at(url, folder) as cluster:
        await cluster.run_in("web", "default", None, ["id"], max_bytes=1000, limit_s=scale_timeout(5))


async def _of_monitoring(url: str, _folder: Path) -> None:
    """Prometheus, and Alertmanager, which asks by the same client."""

    async def read(answer: ApiAnswer) -> int:
        return answer.status

    api = HttpApi("prometheus", Access(url=url), Upstream("prometheus"))
    try:
        await api.ask(ApiRequest("GET", "/api/v1/rules", "read the rules"), read)
    finally:
        await api.aclose()


async def _of_a_webhook(url: str, _folder: Path) -> None:
    there = await addresses.resolve(f"{url}/hook", allow_private=False)
    headers = {"Host": there.host_header}
    await posting.post(there.url, b"{}", headers, sni=None if there.proxied else there.host)


async def _of_slack_notifications(url: str, _folder: Path) -> None:
    await posting.post(f"{url}/hook", b"{}", {})


async def _of_the_slack_webhook(url: str, _folder: Path) -> None:
    await webhook._post(SecretStr(f"{url}/services/x"), "hello")


async def _of_the_slack_login(url: str, folder: Path) -> None:
    login = Login(SlackSettings(client_id="123.456"), None, Upstream("slack"), f"{url}/token")  # type: ignore[arg-type]
    await login._post({"code": "x"})


async def _of_github(url: str, _folder: Path) -> None:
    await AppTokens(AppKey("1", "2", ""), url, Upstream("github"))._post("signature")


async def _of_another_mcp_server(url: str, _folder: Path) -> None:
    server = HttpServer(f"{url}/mcp")
    async with http_client(Carrier(server), server, 5.0) as client:
        await client.post(server.url, json={"jsonrpc": "2.0", "id": 1, "method": "ping"})


CLIENTS: dict[str, Ask] = {
    "cluster": _of_the_cluster,
    "log stream": _of_a_log_stream,
    "k8s_exec": _of_k8s_exec,
    "prometheus and alertmanager": _of_monitoring,
    "webhook": _of_a_webhook,
    "slack notifications": _of_slack_notifications,
    "slack webhook": _of_the_slack_webhook,
    "slack login": _of_the_slack_login,
    "github": _of_github,
    "mcp server": _of_another_mcp_server,
}
WHATEVER = (KlepaasError, httpx.HTTPError, httpx2.HTTPError, ssl.SSLError)


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "ALL_PROXY", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


async def _ask(client: str, url: str, folder: Path) -> None:
    try:
        with anyio.fail_after(scale_timeout(20)):
            await CLIENTS[client](url, folder)
    except WHATEVER:
        return


@pytest.mark.parametrize("client", CLIENTS)
async def test_every_client_goes_through_the_proxy_of_the_environment_which_alone_resolves_the_name(
    client: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with RecordingProxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        await _ask(client, "https://upstream.invalid:8443", tmp_path)
        await _ask(client, "http://upstream.invalid:8080", tmp_path)
    assert "upstream.invalid:8443" in proxy.asked
    # A WebSocket goes through a tunnel also without TLS.
    assert any(asked.startswith(("http://upstream.invalid:8080/", "upstream.invalid:8080")) for asked in proxy.asked)


@pytest.mark.parametrize("client", CLIENTS)
async def test_every_client_goes_past_the_proxy_where_no_proxy_says_so_and_on_loopback(
    client: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with RecordingProxy() as proxy, Echo() as here:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "198.51.100.0/24,.invalid")
        await _ask(client, "https://upstream.invalid:8443", tmp_path)
        await _ask(client, here.url, tmp_path)
    assert proxy.asked == []
    assert here.heads


@pytest.mark.parametrize("client", CLIENTS)
async def test_every_client_names_klepaas_and_its_version_in_its_user_agent(client: str, tmp_path: Path) -> None:
    async with Echo() as here:
        await _ask(client, here.url, tmp_path)
    agents = [header_of(head, b"user-agent") or b"" for head in here.heads]
    assert agents
    assert all(agent.decode().startswith(f"klepaas/{__version__} (") for agent in agents)


@pytest.mark.parametrize("client", CLIENTS)
async def test_the_credentials_in_a_proxys_address_stand_in_no_error_and_no_log(
    client: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with RecordingProxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://person:canary-password@127.0.0.1:{proxy.port}")
        with anyio.fail_after(scale_timeout(20)):
            try:
                await CLIENTS[client]("https://upstream.invalid:8443", tmp_path)
                said = ""
            except WHATEVER as exc:
                said = f"{exc} {exc.text if isinstance(exc, KlepaasError) else ''}"
    assert header_of(proxy.heads[0], b"proxy-authorization")
    assert "canary" not in said + caplog.text


class Redirecting(Listening):
    """A server that sends everybody to another address."""

    def __init__(self, status: int, target: str) -> None:
        super().__init__()
        self.heads: list[bytes] = []
        self._status = status
        self._target = target

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await read_request(reader))[0])
        writer.write(answer_bytes(self._status, {"Location": self._target, "Content-Type": "application/json"}, b"{}"))
        await writer.drain()


@pytest.mark.parametrize("client", CLIENTS)
async def test_no_client_follows_a_redirect_to_another_host_or_port_or_scheme(client: str, tmp_path: Path) -> None:
    async with Echo() as other:
        targets = (f"{other.url}/stolen", f"ws://127.0.0.1:{other.port}/stolen", f"//127.0.0.1:{other.port}/")
        for status in (300, 301, 302, 303, 307, 308) if client == "k8s_exec" else (302, 307):
            for target in targets if client == "k8s_exec" else targets[:1]:
                async with Redirecting(status, target) as here:
                    await _ask(client, here.url, tmp_path)
                    assert here.heads
        assert (other.connections, other.heads) == (0, [])


@pytest.mark.parametrize("client", ["cluster", "log stream", "k8s_exec"])
async def test_a_cluster_that_redirects_within_itself_is_not_followed_either_and_is_named_so(
    client: str, tmp_path: Path
) -> None:
    async with Redirecting(307, "/elsewhere") as here:
        with pytest.raises(KlepaasError, match="the server sends us elsewhere"):
            await CLIENTS[client](here.url, tmp_path)
    assert [head for head in here.heads if b"/elsewhere" in head] == []


async def test_nothing_is_sent_for_an_mcp_server_to_another_origin_whatever_the_library_follows() -> None:
    async with Echo() as here, Echo() as other:
        server = HttpServer(f"{here.url}/mcp", {"Authorization": "Bearer a-token"})
        async with http_client(Carrier(server), server, 5.0) as client:
            call = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
            for url in (f"{other.url}/mcp", f"https://127.0.0.1:{here.port}/mcp", f"http://localhost:{here.port}/mcp"):
                assert "error" in (await client.post(url, json=call)).json()
    assert (here.connections, other.connections) == (0, 0)


async def test_a_cluster_behind_a_connect_proxy_is_reached_and_checked_by_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serve_tls: Any
) -> None:
    authority = Authority()
    async with serve_tls(authority.server(tmp_path)) as port, RecordingProxy(port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{proxy.port}")
        found = await _ready(tmp_path, {"certificate-authority-data": b64(authority.pem)})
    assert found == "is ready"
    assert proxy.asked[0] == "cluster.test:6443"


async def test_the_proxy_url_of_a_context_goes_before_the_environments_and_before_no_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with RecordingProxy() as own, RecordingProxy() as other:
        monkeypatch.setenv("HTTPS_PROXY", other.url)
        monkeypatch.setenv("NO_PROXY", "*")
        said = await _ready(tmp_path, {"proxy-url": own.url})
    assert (set(own.asked), other.asked) == ({"cluster.test:6443"}, [])
    assert "does not accept our credentials" in said


async def test_a_proxy_that_refuses_or_is_not_there_is_named_with_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with RecordingProxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://person:canary-password@127.0.0.1:{proxy.port}")
        refused = await _ready(tmp_path, {})
    away = await _ready(tmp_path, {})
    place = f"proxy 127.0.0.1:{proxy.port} (from HTTPS_PROXY)"
    assert f"the {place} does not accept our credentials" in refused
    assert f"on the way through the {place}" in away
    assert "NO_PROXY" in away
    assert "canary" not in refused + away


async def _ready(folder: Path, cluster: dict[str, Any]) -> str:
    path = folder / "kubeconfig"
    named = {"name": "c", "cluster": {"server": "https://cluster.test:6443", **cluster}}
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    content = {"current-context": "c", "clusters": [named], "contexts": [context]}
    content["users"] = [{"name": "u", "user": {"token": "a-token"}}]
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **content}))
    clusters = Clusters(KubernetesSettings(kubeconfig=str(path)))
    try:
        await (await clusters.cluster()).ready()
        return "is ready"
    except KlepaasError as exc:
        return exc.text
    finally:
        await clusters.aclose()


def test_no_other_module_makes_an_http_client_of_its_own() -> None:
    makers = re.compile(
        r"httpx2?\.(AsyncClient|Client|AsyncHTTPTransport|HTTPTransport)\(|urlopen\(|aiohttp\.ClientSession\("
    )
    found = set()
    for folder in ("server/klepaas", "plugins", "providers", "agents"):
        for path in (SOURCES / folder).rglob("*.py"):
            if makers.search(path.read_text(encoding="utf-8")):
                found.add(str(path.relative_to(SOURCES)))
    assert found == {
        "server/klepaas/outbound/clients.py",
        "server/klepaas/external/carrier.py",
        "plugins/klepaas_plugins/kubernetes/client/session.py",
        # The stand-in kubelet of the sandbox, which goes to loopback alone.
        "plugins/klepaas_plugins/kubernetes/sandbox/stand_in_kubelet.py",
    }
