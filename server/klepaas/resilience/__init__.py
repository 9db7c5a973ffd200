"""How klepaas asks anybody outside: limited, timed, retried where that is safe, and not at all while it is no use.

    upstream = Upstreams.of(host).get("prometheus", Policy(total_timeout_s=10))
    answer = await upstream.call(lambda: client.get("/api/v1/rules"), safe=True, what="read the alert rules")

A plugin makes one upstream for each system that can fail by itself, passes every request through `call`, and every
watch or followed log through `open_stream`. Several calls at once go through `gather`. No plugin retries by itself.
"""

from klepaas.resilience.breaker import State
from klepaas.resilience.classify import Classifier, Kind, Observation, Verdict, classify, classify_status
from klepaas.resilience.clock import Clock, SystemClock
from klepaas.resilience.errors import NotSent, OutcomeUnknown, Overloaded
from klepaas.resilience.fan_out import gather
from klepaas.resilience.pipeline import Upstream, UpstreamState
from klepaas.resilience.policy import Policy
from klepaas.resilience.rate_limit import parse_retry_after
from klepaas.resilience.registry import Upstreams

__all__ = [
    "Classifier",
    "Clock",
    "Kind",
    "NotSent",
    "Observation",
    "OutcomeUnknown",
    "Overloaded",
    "Policy",
    "State",
    "SystemClock",
    "Upstream",
    "UpstreamState",
    "Upstreams",
    "Verdict",
    "classify",
    "classify_status",
    "gather",
    "parse_retry_after",
]
