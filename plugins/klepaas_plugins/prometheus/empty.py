"""What an answer without any series says of the namespace that it was asked about: perhaps there is no such one.

The metrics may be those of another cluster than the default context's. With one context that is where the namespace is
looked for; with several a note says where it was not found.
"""

import anyio

from klepaas.errors import KlepaasError, NotFound
from klepaas.host import Host

__all__ = ["missing_namespace"]

# The answer is complete without it.
_LIMIT_S = 3.0


async def missing_namespace(host: Host, namespace: str | None) -> str:
    """A note on the namespace; called where no series of it was found.

    Args:
        host: The server's settings and shared services.
        namespace: The namespace. None: none was named.

    Returns:
        What to say of it; "" where it exists, none was named, or no cluster is configured.

    Raises:
        NotFound: The one cluster that is configured has no such namespace; the nearest names are named.
    """
    if namespace is None:
        return ""
    from klepaas_plugins.kubernetes.client import Clusters, require_namespace

    try:
        clusters = Clusters.of(host)
        contexts, cluster = await clusters.known(), await clusters.cluster()
    except KlepaasError:
        return ""
    with anyio.move_on_after(_LIMIT_S):
        try:
            return await require_namespace(cluster, namespace)
        except NotFound as exc:
            if len(contexts) == 1:
                raise
            return f"Note: {exc.line}"
    return f"Not checked whether namespace {namespace} exists: context {cluster.context} does not answer."
