"""The knobs of a sandbox: what a test turns to make it misbehave, or to make it large."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from .controllers.volumes import PROVISIONER
from .faults import Effect, Faults
from .floods import Flood
from .logs import Logs
from .metrics import Metrics
from .model import Json
from .objects import Objects, Write
from .resources import INGRESSES, METRICS_KINDS, STORAGE_CLASSES, Resource
from .status import ApiError
from .verbs import Verbs
from .webhooks import Webhook


class Knobs:
    """What can be turned while a sandbox runs. Paths are regular expressions, searched in a URL's path and query."""

    _objects: Objects
    _logs: Logs
    _faults: Faults
    _verbs: Verbs
    _metrics: Metrics

    def deny(self, verb: str, resource: str, namespace: str | None = None) -> None:
        """Refuse a verb on a resource (`pods`, `pods/log`, `*`) as RBAC does; everywhere when the namespace is None."""
        self._faults.deny(verb, resource, namespace)

    def fail(
        self,
        method: str,
        path_regex: str,
        status: int,
        *,
        reason: str = "",
        message: str = "",
        times: int | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        """Answer requests with an error.

        Args:
            method: `*` for any.
            path_regex: which requests.
            status: the HTTP status, such as 429, 500 or 503.
            reason: of the Status body.
            message: of the Status body.
            times: for how many requests; None for all.
            retry_after_s: what the header Retry-After says; None for no header.
        """
        said = message or f"the sandbox was told to fail with {status}"
        details: Json | None = None if retry_after_s is None else {"retryAfterSeconds": retry_after_s}
        headers = {} if retry_after_s is None else {"retry-after": str(retry_after_s)}
        error = ApiError(status, said, reason, details)
        self._faults.plant(method, path_regex, Effect(error=error, headers=headers), times)

    def throttle(self, path_regex: str, retry_after_s: int = 1, *, times: int | None = None) -> None:
        """Answer 429 as an API server does that is asked too much."""
        said = "Too many requests, please try again later."
        self.fail(
            "*", path_regex, 429, reason="TooManyRequests", message=said, times=times, retry_after_s=retry_after_s
        )

    def slow(self, path_regex: str, delay_s: float, *, times: int | None = None) -> None:
        """Let requests wait before they are answered."""
        self._faults.plant("*", path_regex, Effect(delay_s=delay_s), times)

    def hang(self, path_regex: str, *, times: int | None = None) -> None:
        """Never answer requests to these paths."""
        self._faults.plant("*", path_regex, Effect(hang=True), times)

    def cut(
        self, path_regex: str, *, events: int | None = None, size_bytes: int | None = None, times: int | None = None
    ) -> None:
        """End the connection after so many lines, or bytes, of an answer's body: a watch, or a log, breaks off."""
        self._faults.plant("GET", path_regex, Effect(cut_events=events, cut_bytes=size_bytes), times)

    def halve(self, path_regex: str, *, times: int | None = None) -> None:
        """End the connection in the middle of an answer's body."""
        self._faults.plant("*", path_regex, Effect(half=True), times)

    def interpose(
        self, method: str, path_regex: str, meanwhile: Callable[[], Awaitable[None]], *, times: int | None = 1
    ) -> None:
        """Let somebody else do something just before a request is handled: a race that is won every time.

        Args:
            method: `*` for any.
            path_regex: which requests.
            meanwhile: what is done; the request waits for it.
            times: before how many requests; None for all.
        """
        self._faults.plant(method, path_regex, Effect(meanwhile=meanwhile), times)

    def add_webhook(self, webhook: Webhook) -> None:
        """Ask an admission webhook about writes from now on: it may refuse, change, be slow or not be there."""
        self._objects.webhooks.add(webhook)

    def forget_history(self) -> None:
        """Make every resourceVersion and continue token so far too old (410), as a compaction does."""
        self._objects.store.forget()

    def unauthorized_after(self, requests: int) -> None:
        """Accept so many requests more, then answer 401 to all."""
        self._faults.unauthorized_after(requests)

    def rotate_token(self, token: str) -> None:
        """Accept another token from now on; the old one gets 401."""
        self._faults.rotate(token)

    def clear_faults(self) -> None:
        """Take back every fault: deny, fail, slow, interpose and the like, and every webhook."""
        self._faults.clear()
        self._objects.webhooks.clear()

    def allow_user(self, user: str) -> None:
        """Let a user that clients impersonate do what they themselves may; any other may do what bindings grant."""
        self._faults.users.add(user)

    def set_log(self, namespace: str, pod_or_prefix: str, text: str) -> None:
        """Plant what pods of this name, or whose name begins so, have logged."""
        self._logs.plant(namespace, pod_or_prefix, text)

    def flood_log(self, namespace: str, pod_or_prefix: str, size_bytes: int) -> None:
        """Give pods of this name, or whose name begins so, a log of a size that is made while it is sent."""
        self._logs.flood(namespace, pod_or_prefix, size_bytes)

    def flood(self, kind: str, count: int, namespace: str = "default", like: Json | None = None) -> None:
        """List so many objects of a kind more, made while they are sent: flood-0000000 and on.

        Args:
            kind: as in `get`.
            count: how many.
            namespace: where; not looked at for kinds without one.
            like: what they are like; None for something small of the kind.
        """
        resource = self.resource(kind)
        sample = like or _SAMPLES.get(resource.kind, {})
        self._verbs.floods[resource.group, resource.plural] = Flood.of(resource, namespace, count, sample)

    def serve_metrics(self) -> None:
        """Serve metrics.k8s.io, as with a metrics server installed; autoscalers then scale."""
        self._metrics.served = True
        self._objects.registry.serve(*METRICS_KINDS)

    def set_usage(self, namespace: str, pod_or_prefix: str, *, cpu: str = "1m", memory: str = "16Mi") -> None:
        """Say what each container of pods of this name, or whose name begins so, uses."""
        self._metrics.use(namespace, pod_or_prefix, cpu, memory)

    def set_ingress_address(self, name: str, ip: str, namespace: str = "default") -> None:
        """Give an Ingress an address, as a controller of its class would.

        Raises:
            ApiError: there is no such Ingress.
        """
        found = self._objects.get(INGRESSES, namespace, name)
        self._objects.set_status(INGRESSES, found, {"loadBalancer": {"ingress": [{"ip": ip}]}}, "ingress-controller")

    def provision(self, storage_class: str = "standard", *, wait_for_pod: bool = False) -> None:
        """Make a StorageClass whose claims get volumes."""
        mode = "WaitForFirstConsumer" if wait_for_pod else "Immediate"
        made = {"metadata": {"name": storage_class}, "provisioner": PROVISIONER, "volumeBindingMode": mode}
        self._objects.create(STORAGE_CLASSES, "", made, Write("sandbox"))

    def resource(self, kind: str) -> Resource:
        """A kind by its name (`Deployment`) or plural.

        Raises:
            LookupError: the sandbox has no such kind.
        """
        for resource in self._objects.registry.all():
            if kind in (resource.kind, resource.plural):
                return resource
        raise LookupError(f"the sandbox has no kind {kind}")


_RUNNING = {
    "name": "main", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}, "lastState": {}, "ready": True,
    "restartCount": 0, "image": "nginx:1", "imageID": "sim", "started": True,
}  # fmt: skip
_SAMPLES: dict[str, Json] = {
    "Pod": {
        "metadata": {"labels": {"app": "flood"}},
        "spec": {"containers": [{"name": "main", "image": "nginx:1"}], "nodeName": "elsewhere"},
        "status": {"phase": "Running", "podIP": "10.9.0.1", "containerStatuses": [_RUNNING]},
    },
    "ConfigMap": {"metadata": {"labels": {"app": "flood"}}, "data": {"key": "value"}},
    "Namespace": {"spec": {}, "status": {"phase": "Active"}},
}
