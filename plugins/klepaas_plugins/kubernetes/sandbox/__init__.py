"""A Kubernetes API server in this process, on loopback: for tests, and for `klepaas demo` without a cluster.

It answers as a Kubernetes 1.36 API server was recorded to answer. Objects are held in memory and gone when it stops.

What moves by itself: Deployments, ReplicaSets, StatefulSets (without claims and partitions), Jobs, pods (by their
image's name, see `pod_behaviour`), endpoints of Services, garbage collection, namespaces, the status of
ResourceQuotas (object counts) and PodDisruptionBudgets, CustomResourceDefinitions.

What is only stored: DaemonSets, CronJobs, HorizontalPodAutoscalers, Ingresses, NetworkPolicies, Leases, volumes and
claims (they stay pending), Roles and bindings (they are not evaluated: whoever has the token may do everything that
`deny` does not forbid, whoever they impersonate nothing, unless `allow_user` names them).

What is not done: admission webhooks and policies; OpenAPI; values of custom resources against their schema (only
unknown fields are found); quotas of anything but object counts; unknown fields below containers and in most kinds;
exec, attach, port-forward, following logs; pages of a list as of the first page's moment; events.k8s.io; protobuf.
"""

from .model import Timing
from .server import Request, Sandbox, mutating
from .status import ApiError

__all__ = ["ApiError", "Request", "Sandbox", "Timing", "mutating"]
