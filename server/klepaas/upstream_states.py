"""What the server itself offers to read: how its upstreams are. Whatever else can be read, plugins declare."""

import json
from dataclasses import asdict

from klepaas.host import Host
from klepaas.resources import Resource

__all__ = ["UPSTREAMS", "upstream_states"]

UPSTREAMS = "klepaas://upstreams"


def upstream_states(host: Host) -> Resource:
    """The resource.

    Args:
        host: The server whose upstreams it tells of.
    """

    async def upstreams() -> str:
        """Each upstream asked so far: breaker state, failures, seconds until a retry, last error."""
        from klepaas.resilience import Upstreams  # loaded with the first upstream anyway; the start need not pay

        states = [asdict(state) for state in Upstreams.of(host).snapshot()]
        return json.dumps({"upstreams": states}, ensure_ascii=False, indent=1)

    return Resource(UPSTREAMS, upstreams, "State of the upstreams", mime_type="application/json", foreign_text=True)
