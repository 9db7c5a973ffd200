"""Prometheus behind TLS: its certificate is checked, and it may ask for ours."""

import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.abc
import pytest
from anyio.streams.tls import TLSListener
from tests.plugins.kubernetes.secure_api import Authority

from .conftest import Asking
from .fake_prometheus import vector

pytestmark = pytest.mark.anyio
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
ANSWER = json.dumps(vector({"metric": {"pod": "web"}, "value": [1_795_000_000, "1"]})).encode()


@contextlib.asynccontextmanager
async def behind(tls: ssl.SSLContext) -> AsyncIterator[str]:
    """A server that answers every request with one series; its address."""

    async def handle(stream: anyio.abc.ByteStream) -> None:
        async with stream:
            with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError, ssl.SSLError):
                await _read(stream)
                await stream.send(HEAD % len(ANSWER) + ANSWER)

    tcp = await anyio.create_tcp_listener(local_host="127.0.0.1")
    listener = TLSListener(tcp, tls, standard_compatible=False)
    async with tcp, anyio.create_task_group() as group:
        group.start_soon(listener.serve, handle)
        yield f"https://127.0.0.1:{tcp.extra(anyio.abc.SocketAttribute.local_port)}"
        group.cancel_scope.cancel()


async def _read(stream: anyio.abc.ByteStream) -> None:
    """A request, whole: a connection that is closed before would be broken off."""
    data = b""
    while not data.endswith(b"limit=100000"):
        data += await stream.receive()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority, whose certificate lies in `ca.pem`, with a client's in `client.pem` and `client.key`."""
    made = Authority()
    certificate, key = made.issue("klepaas")
    for name, content in (("ca.pem", made.pem), ("client.pem", certificate), ("client.key", key)):
        (tmp_path / name).write_bytes(content)
    return made


async def test_a_server_that_asks_for_a_certificate_gets_ours(
    asking: Asking, authority: Authority, tmp_path: Path
) -> None:
    files = {name: str(tmp_path / file) for name, file in (("cert_file", "client.pem"), ("key_file", "client.key"))}
    async with (
        behind(authority.server(tmp_path, ask_client=True)) as url,
        asking(base_url=url, ca_file=str(tmp_path / "ca.pem"), **files) as session,
    ):
        said = await session.call("query_metrics", query="up")
    assert not said.is_error, said.text
    assert "VALUE" in said.text


async def test_without_our_certificate_it_is_one_clear_line(
    asking: Asking, authority: Authority, tmp_path: Path
) -> None:
    async with (
        behind(authority.server(tmp_path, ask_client=True)) as url,
        asking(base_url=url, ca_file=str(tmp_path / "ca.pem"), timeout_s="20") as session,
    ):
        said = await session.call("query_metrics", query="up")
    assert (said.code, "\n" in said.text) == ("unavailable", False)


async def test_a_strangers_certificate_is_not_trusted(asking: Asking, authority: Authority, tmp_path: Path) -> None:
    async with behind(authority.server(tmp_path)) as url, asking(base_url=url, bearer_token="a-token") as session:
        said = await session.call("query_metrics", query="up")
    assert (said.code, "\n" in said.text) == ("unavailable", False)
    assert "shows a certificate that is not trusted" in said.text
