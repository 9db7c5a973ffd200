"""A GitHub App's tokens: asked for with a signature, kept, renewed before they end, and never more than needed."""

import time
from collections.abc import AsyncIterator

import anyio
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from klepaas.errors import NotFound, RateLimited, Unauthorized, Unavailable
from klepaas.output.redaction import redact_text
from klepaas.resilience import Policy, Upstream
from klepaas.testing import HttpAnswer, failing, nonsense, scale_timeout
from klepaas_providers.github.app_tokens import AppKey, AppTokens, MalformedKey

from .github_api import GitHubApi, failure

pytestmark = pytest.mark.anyio
QUICK = Policy(wait_min_s=0.0, wait_max_s=0.0, attempt_timeout_s=scale_timeout(5))


class Clock:
    """The time, which a test sets forward."""

    def __init__(self) -> None:
        self.forward_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.forward_s


@pytest.fixture(scope="module")
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def pem(key: rsa.RSAPrivateKey) -> str:
    kind = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()).decode()


@pytest.fixture
async def github(private_key: rsa.RSAPrivateKey) -> AsyncIterator[GitHubApi]:
    async with GitHubApi() as api:
        api.trust(private_key)
        yield api


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(github: GitHubApi, private_key: rsa.RSAPrivateKey, clock: Clock) -> AppTokens:
    key = AppKey("12345", "678", pem(private_key))
    return AppTokens(key, f"{github.url}/api/v3", Upstream("github-app", QUICK), wall=clock)


async def test_the_apps_signature_gets_a_token_which_is_kept(tokens: AppTokens, github: GitHubApi) -> None:
    token, left_s = await tokens.current()
    assert token == github.granted[0]
    assert 3000 < left_s <= 3300
    assert (await tokens.current())[0] == token
    assert len(github.granted) == 1
    (request,) = github.requests
    assert request.path == "/api/v3/app/installations/678/access_tokens"


async def test_many_who_ask_at_once_get_the_same(tokens: AppTokens, github: GitHubApi) -> None:
    got: set[str] = set()

    async def ask() -> None:
        got.add((await tokens.current())[0])

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(ask)
    assert got == set(github.granted)
    assert len(got) == 1


async def test_a_token_is_renewed_before_it_ends(tokens: AppTokens, github: GitHubApi, clock: Clock) -> None:
    first, left_s = await tokens.current()
    clock.forward_s = left_s + 1
    github.token_life_s = left_s + 1 + 3600
    second, _ = await tokens.current()
    assert (first, second) == tuple(github.granted)
    assert clock.forward_s < 3600


async def test_a_short_outage_is_tried_through(tokens: AppTokens, github: GitHubApi) -> None:
    github.fault_next(failing(502), failing(503))
    assert (await tokens.current())[0] == github.granted[0]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (failure(401, "A JSON web token could not be decoded"), Unauthorized),
        (failure(404, "Not Found"), NotFound),
        (failure(429, "slow", Retry_After="600"), RateLimited),
        (failing(500), Unavailable),
        (failure(422, "odd"), Unavailable),
        (nonsense(), Unavailable),
    ],
)
async def test_each_refusal_is_one_error(
    tokens: AppTokens, github: GitHubApi, fault: HttpAnswer, kind: type[Exception]
) -> None:
    github.fault = fault
    with pytest.raises(kind):
        await tokens.current()
    github.fault = None


async def test_a_key_that_is_none_is_told_without_being_quoted(github: GitHubApi) -> None:
    key = AppKey("12345", "678", "-----BEGIN RSA PRIVATE KEY-----\nnonsense-nonsense\n-----END RSA PRIVATE KEY-----")
    tokens = AppTokens(key, f"{github.url}/api/v3", Upstream("github-app", QUICK))
    with pytest.raises(MalformedKey) as caught:
        await tokens.current()
    assert "nonsense" not in caught.value.text
    assert github.requests == []


async def test_neither_signature_nor_token_leaves_in_a_text(
    tokens: AppTokens, github: GitHubApi, private_key: rsa.RSAPrivateKey
) -> None:
    token, _ = await tokens.current()
    signature = github.tokens[0].removeprefix("Bearer ")
    assert token not in redact_text(f"failed with {token} and {signature}")
    assert signature not in redact_text(f"failed with {token} and {signature}")


def test_a_key_in_one_line_is_a_key(private_key: rsa.RSAPrivateKey) -> None:
    assert AppKey("1", "2", pem(private_key).replace("\n", "\\n")).signed(time.time()).count(".") == 2
