"""A Kubernetes API server in this process, on loopback: for tests, and for `klepaas demo` without a cluster.

It answers as a Kubernetes 1.36 API server was recorded to answer, and decodes, owns and describes objects by that
server's own schemas (`openapi`). Objects are held in memory and gone when it stops.

What moves by itself: Deployments, ReplicaSets, StatefulSets with their claims (without partitions), DaemonSets, Jobs,
pods (by their image's name, see `fates`), endpoints of Services, claims and volumes (see `provision`),
HorizontalPodAutoscalers (resource metrics only, see `serve_metrics`), garbage collection, namespaces, the status of
ResourceQuotas and PodDisruptionBudgets, CustomResourceDefinitions.

What is checked on the way in: types and unknown fields of every kind, custom resources by their schemas, the mistakes
in manifests that people make most (`validation`), LimitRanges, ResourceQuotas, ValidatingAdmissionPolicies as far as
the small CEL of `cel` goes; a policy with an expression beyond it is answered with 501, never let through unread. Pod
security by a namespace's label, for what is broken most (`pod_security`).

What is only stored: CronJobs (nothing starts their Jobs), Ingresses (an address by `set_ingress_address`),
NetworkPolicies, Leases.

Who may do what: whoever has the token everything that `deny` does not forbid, and so those whom they impersonate and
`allow_user` names; any other whom they impersonate what RoleBindings and ClusterRoleBindings grant (`rbac`).

What a test may turn is in `knobs`: refusals, delays, hanging, cut and halved answers, lost history, tokens that run
out, logs of any size and lists of any length that are made while they are sent, admission webhooks (`webhooks`) that
refuse with any code, change what is written, are slow, cannot be called or do not support dry runs.

What is not done: objects that configure webhooks; parameters and variables of policies; quota scopes; OpenAPI version
2, and the parameters of operations in version 3; conversion between versions of a custom kind other than by name;
taints and affinities; startup probes; exec, attach, port-forward, following logs; pages of a list as of the first
page's moment; events.k8s.io; protobuf. Of logs: `previous` is answered only for a container that has ended before, as a
kubelet does; the recordings hold an answer of a stand-in that had logs of runs that never were.
"""

from .model import Timing
from .server import Request, Sandbox, mutating
from .status import ApiError
from .webhooks import Webhook

__all__ = ["ApiError", "Request", "Sandbox", "Timing", "Webhook", "mutating"]
