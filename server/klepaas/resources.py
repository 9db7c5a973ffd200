"""What klepaas offers to read besides calling tools: how its upstreams are.

Resources pass the gate too (`Gate.on_read_resource`): only those of this module can be read, and every text in them is
cleaned and redacted. Plugins have no hook for resources yet.
"""

import json
from dataclasses import asdict

from fastmcp.resources import Resource

from klepaas.host import Host

__all__ = ["UPSTREAMS", "core_resources"]

UPSTREAMS = "klepaas://upstreams"


def core_resources(host: Host) -> list[Resource]:
    """The resources of the server itself.

    Args:
        host: The server whose upstreams they tell of.
    """

    def upstreams() -> str:
        from klepaas.resilience import Upstreams  # loaded with the first upstream anyway; the start need not pay

        states = [asdict(state) for state in Upstreams.of(host).snapshot()]
        return json.dumps({"upstreams": states}, ensure_ascii=False, indent=1)

    return [
        Resource.from_function(
            upstreams,
            uri=UPSTREAMS,
            name="upstreams",
            title="State of the upstreams",
            description="Each upstream asked so far: breaker state, failures, seconds until a retry, last error.",
            mime_type="application/json",
        )
    ]
