"""One HTTP request with a notification, through the resilience pipeline: limited, never redirected, tried once.

Trying again is the outbox's affair. What a receiver answers is read up to a limit and repeated nowhere.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from klepaas.outbound import open_client
from klepaas.resilience import Kind, Observation, Policy, Verdict, classify

if TYPE_CHECKING:
    import httpx

__all__ = ["MOST_ANSWER_BYTES", "ONCE", "judge_post", "post"]

MOST_ANSWER_BYTES = 64 * 1024
_CONNECT_TIMEOUT_S, _READ_TIMEOUT_S = 5.0, 10.0
# The outbox repeats; here every call is one attempt.
ONCE = Policy(attempts=1, max_concurrent=2, attempt_timeout_s=12.0, total_timeout_s=15.0)


async def post(url: str, body: bytes, headers: Mapping[str, str], *, sni: str | None = None) -> "httpx.Response":
    """Send a body.

    Args:
        url: Where to.
        body: What.
        headers: With which headers.
        sni: The name that the certificate must have, where the URL holds an address instead. None: the URL's.

    Returns:
        The answer, without its body where that is long.

    Raises:
        httpx.HTTPError: It failed, or was refused for good.
    """
    import httpx

    limits = httpx.Timeout(_READ_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S)
    extensions = {"sni_hostname": sni} if sni else {}
    async with (
        open_client(url, limits, direct=sni is not None) as client,
        client.stream("POST", url, content=body, headers=dict(headers), extensions=extensions) as streamed,
    ):
        kept = b""
        async for part in streamed.aiter_bytes():
            kept += part[: MOST_ANSWER_BYTES - len(kept)]
            if len(kept) >= MOST_ANSWER_BYTES:
                break
        left = {name: value for name, value in streamed.headers.items() if name == "retry-after"}
        answer = httpx.Response(streamed.status_code, headers=left, content=kept, request=streamed.request)
    if 400 <= answer.status_code < 500 and answer.status_code not in (408, 425, 429):
        answer.raise_for_status()
    return answer


def judge_post(seen: Observation) -> Verdict:
    """The verdict on a post: only a status of 2xx is a delivery.

    Args:
        seen: What the attempt brought.
    """
    verdict = classify(seen)
    status = getattr(seen.result, "status_code", 0)
    if verdict.kind is Kind.OK and not 200 <= status < 300:
        return Verdict(Kind.PROTOCOL, reason=f"answered {status}, which is no delivery")
    return verdict
