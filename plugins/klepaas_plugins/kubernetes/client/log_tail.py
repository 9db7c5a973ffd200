"""The last lines of a container's log, without secrets."""

from klepaas.output.multiline import CONTEXT_LINES
from klepaas.output.safe import SafeText, redact_lines
from klepaas_plugins.kubernetes.client.cluster import Cluster

__all__ = ["last_log_lines"]

_MAX_BYTES = 512 * 1024


async def last_log_lines(
    cluster: Cluster, pod: str, namespace: str, container: str | None, *, lines: int, previous: bool = False
) -> list[SafeText]:
    """The last lines of a log, oldest first; empty where there are none.

    More are read, so that what the first of them belongs to is known; they are redacted, and cut then.

    Args:
        cluster: The cluster.
        pod: The pod.
        namespace: Its namespace.
        container: Which container. None: the only one.
        lines: How many, at most.
        previous: Whether those of the run before the last restart are meant.

    Raises:
        NotFound: There is no such pod.
        BadRequest: There is no such container, no previous run, or it has not started.
    """
    for tail_lines in (lines + CONTEXT_LINES, lines):
        text = await cluster.logs(
            pod, namespace, container=container, tail_lines=tail_lines, previous=previous, limit_bytes=_MAX_BYTES
        )
        # The limit counts from the first line: where it was met, the last lines are missing.
        if len(text.encode(errors="replace")) < _MAX_BYTES:
            break
    text = text.strip("\n")
    return redact_lines(text.split("\n"), lines) if text.strip() else []
