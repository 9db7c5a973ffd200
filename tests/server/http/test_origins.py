"""Host and Origin are read strictly, on every path and over a socket: what is not exactly this machine is foreign."""

from collections.abc import Callable, Sequence

import anyio
import httpx
import pytest

from klepaas.app import App

from .conftest import HEADERS, INITIALIZE, asking, served

pytestmark = pytest.mark.anyio

Build = Callable[..., App]
PATHS = ("/mcp", "/healthz", "/readyz", "/metrics")
LOCAL_HOSTS = (
    "localhost",
    "LocalHost:8765",
    "127.0.0.1",
    "127.0.0.1:1",
    "127.0.0.1:65535",
    "[::1]",
    "[::1]:8765",
)
FOREIGN_HOSTS = (
    *("", "evil.example", "localhost.evil.example", "localhost.", "localhost.:80", "127.0.0.1.", "127.0.0.1.evil"),
    *("127.0.0.1@evil.example", "evil@localhost", "user:pw@127.0.0.1", "localhost:80@evil.example", "localhost:evil"),
    *(
        "localhost:",
        "localhost:0",
        "localhost:080",
        "localhost:65536",
        "localhost:999999",
        "localhost:-1",
        "localhost: 80",
    ),
    *("localhost:80:80", "localhost/evil", "localhost?evil", "localhost#evil", "localhost\\evil", "localhost,evil"),
    *(
        "localhost evil",
        "xlocalhost",
        "local host",
        "[::1",
        "::1",
        "::1]",
        "[::1]evil",
        "[::1]evil.example:80",
        "[::1]:",
    ),
    *(
        "[::1%lo]",
        "[::1%25lo]",
        "[::ffff:127.0.0.1]",
        "[0:0:0:0:0:0:0:1]",
        "[::2]",
        "127.1",
        "2130706433",
        "0x7f000001",
    ),
    *(
        "0177.0.0.1",
        "127.0.0.256",
        "127.0.0.02",
        "128.0.0.1",
        "0.0.0.0",
        "[::]",
        "*",
        "127.0.0.1%00",
        "http://localhost",
        "//localhost",
    ),
)
# What some readers take for digits, dots or nothing: full-width and Arabic digits, a full-width dot, a soft hyphen.
FOREIGN_BYTES = (
    "127.0.0.１",
    "localhost:８０",
    "localhost:٨٠",
    "127。0。0。1",
    "local\u00adhost",
    "ｌocalhost",
    "localhost\u200b",
)
HERE = "127.0.0.1:8765"
FOREIGN_ORIGINS = (
    *(
        "",
        "null",
        "NULL",
        "*",
        "http://evil.example",
        "https://127.0.0.1:8765",
        "http://127.0.0.1",
        "http://127.0.0.1:80",
    ),
    *("http://localhost:8765", "http://[::1]:8765", "http://127.0.0.1:8765/", "http://127.0.0.1:8765/x"),
    *("http://127.0.0.1:8765@evil.example", "http://evil@127.0.0.1:8765", "http://127.0.0.1:8765.evil.example"),
    *(
        "http://127.0.0.1.:8765",
        "http://localhost.evil.example:8765",
        "http://127.0.0.1:08765",
        "http://127.0.0.1:8765:8765",
    ),
    *(
        "http://127.0.0.1:8765 http://evil.example",
        "http://127.0.0.1:8765, http://evil.example",
        "file://",
        "127.0.0.1:8765",
    ),
    *(
        "http:127.0.0.1:8765",
        "http:///127.0.0.1:8765",
        "http://127.0.0.1:８765",
        "chrome-extension://abcdef",
        "http://[::1%25lo]:8765",
    ),
)


async def _statuses(klepaas: Build, path: str, *requests: Sequence[tuple[str, str]]) -> list[int]:
    """How each request is answered that has these headers of Host and Origin."""
    found = []
    body = INITIALIZE if path == "/mcp" else None
    async with asking(klepaas()) as http:
        for headers in requests:
            request = http.build_request("POST" if body else "GET", path, json=body)
            sent = [*HEADERS.items(), *headers]
            request.headers = httpx.Headers([(name.encode(), value.encode()) for name, value in sent])
            found.append((await http.send(request)).status_code)
    return found


async def test_a_host_that_is_not_exactly_this_machine_is_refused(klepaas: Build) -> None:
    hosts = [*FOREIGN_HOSTS, *FOREIGN_BYTES]
    found = await _statuses(klepaas, "/mcp", *([("Host", host)] for host in hosts))
    assert [host for host, status in zip(hosts, found, strict=True) if status != 421] == []


async def test_each_name_of_this_machine_is_a_host_and_its_own_origin_with_and_without_a_port(klepaas: Build) -> None:
    plain = [[("Host", host)] for host in LOCAL_HOSTS]
    own = [[("Host", host), ("Origin", f"{scheme}://{host}")] for host in LOCAL_HOSTS for scheme in ("http", "HTTP")]
    assert set(await _statuses(klepaas, "/healthz", *plain, *own)) == {200}


async def test_an_origin_that_is_not_exactly_where_the_request_goes_is_refused(klepaas: Build) -> None:
    found = await _statuses(klepaas, "/mcp", *([("Host", HERE), ("Origin", origin)] for origin in FOREIGN_ORIGINS))
    assert [origin for origin, status in zip(FOREIGN_ORIGINS, found, strict=True) if status != 403] == []


@pytest.mark.parametrize("path", PATHS)
async def test_several_host_or_origin_headers_are_refused_on_every_path(klepaas: Build, path: str) -> None:
    own, other = f"http://{HERE}", "http://evil.example"
    hosts = [[("Host", one), ("Host", two)] for one, two in ((HERE, other[7:]), (other[7:], HERE), (HERE, HERE))]
    assert await _statuses(klepaas, path, *hosts, []) == [421] * 4, "none is foreign too"
    pairs = ((own, other), (other, own), (own, own))
    origins = [[("Host", HERE), ("Origin", one), ("Origin", two)] for one, two in pairs]
    assert await _statuses(klepaas, path, *origins) == [403] * 3


@pytest.mark.parametrize(
    "head",
    [
        b"GET /metrics HTTP/1.1\r\nHost: [::1]evil.example\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: null\r\n\r\n",
        b"GET http://evil.example/metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /metrics HTTP/1.0\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nX-Forwarded-Host: 127.0.0.1\r\nHost: evil.example\r\n\r\n",
    ],
)
async def test_over_a_socket_no_foreign_request_reads_anything(klepaas: Build, head: bytes) -> None:
    async with served(klepaas()) as url:
        port = int(url.split(":")[2].split("/")[0])
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(head)
            with anyio.fail_after(20):
                status = int((await stream.receive()).split(b" ")[1])
    assert status in (400, 403, 404, 421)
