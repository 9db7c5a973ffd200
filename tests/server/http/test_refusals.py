"""Who is turned away reads what to do, and credentials that nobody checks are not passed over in silence."""

from collections.abc import Callable

import httpx
import pytest

from klepaas.app import App
from klepaas.http.refusals import explanation_of

from .conftest import HEADERS, INITIALIZE, asking, modern_call

pytestmark = pytest.mark.anyio

Build = Callable[..., App]


def _said(answer: httpx.Response) -> str:
    """The refusal's words; it has the form of a JSON-RPC error."""
    body = answer.json()
    assert body["jsonrpc"] == "2.0"
    assert body["error"]["code"] < 0
    return str(body["error"]["message"])


@pytest.mark.parametrize("path", ["/mcp", "/metrics", "/healthz", "/readyz"])
async def test_421_names_the_hosts_and_what_a_proxy_must_send(klepaas: Build, path: str) -> None:
    async with asking(klepaas()) as http:
        answer = await http.get(path, headers={**HEADERS, "Host": "klepaas.example"})
    assert answer.status_code == 421
    assert "localhost, 127.0.0.1 and [::1]" in _said(answer)
    assert "proxy_set_header Host 127.0.0.1" in _said(answer)


async def test_a_foreign_origin_reads_why(klepaas: Build) -> None:
    async with asking(klepaas()) as http:
        answer = await http.post("/mcp", json=INITIALIZE, headers={**HEADERS, "Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert "Origin" in _said(answer)


@pytest.mark.parametrize("after", ["7", "", "x" * 10])
def test_429_says_to_wait_and_for_how_long(after: str) -> None:
    headers = [(b"retry-after", after.encode())] if after else []
    answer = explanation_of({"type": "http.response.start", "status": 429, "headers": headers})
    assert answer is not None
    assert answer.status_code == 429
    assert b"Wait as long as Retry-After says" in bytes(answer.body)
    assert answer.headers.get("retry-after") == ("7" if after == "7" else None)


async def test_a_rate_that_is_used_up_says_what_to_do(klepaas: Build) -> None:
    async with asking(klepaas(rate_limit_per_minute=1)) as http:
        for _ in range(2):
            answer = await http.post("/mcp", **modern_call("read_it"))
    assert "Ask for more in one call" in answer.text
    assert '"rate_limited"' in answer.text
    assert "retry_after_s" in answer.text


@pytest.mark.parametrize("credentials", ["Bearer abc", "bearer x.y.z", "Basic YTpi", ""])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_a_token_that_nothing_checks_is_refused_with_a_word(
    klepaas: Build, credentials: str, method: str
) -> None:
    async with asking(klepaas()) as http:
        answer = await http.request(method, "/mcp", json=INITIALIZE, headers={**HEADERS, "Authorization": credentials})
    assert answer.status_code == 400
    assert "checks no tokens" in _said(answer)
    assert "Remove the Authorization header" in _said(answer)
    assert "www-authenticate" not in answer.headers  # or a client would look for where to log in
