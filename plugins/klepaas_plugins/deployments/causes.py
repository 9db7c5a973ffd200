"""Why a pod or a rollout is ill: pure functions from objects to causes.

A cause names object, container, reason and exit code. It is decisive when waiting longer cannot be expected to help
(a crash loop, a missing image, a refused pod); otherwise it explains why something is not ready yet.

Sources: Kubernetes, "Pod Lifecycle"; the kubelet's waiting reasons (pkg/kubelet/images/types.go and
pkg/kubelet/kuberuntime); the recordings in tests/fixtures.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from klepaas_plugins.deployments.objects import Object, at, condition, counted, message_line, name_of, uid

__all__ = ["Cause", "advice", "held_up", "pod_cause", "pod_causes", "replica_failure", "worst"]

_IMAGE = frozenset(
    {"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable",
     "ImageInspectError", "SignatureValidationFailed"}
)  # fmt: skip
_CONTAINER = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError", "PostStartHookError"}
)
# A first failed pull may be a registry's hiccup, which the kubelet tries again; these words say that it is none.
_FIRST_PULL = frozenset({"ErrImagePull", "RegistryUnavailable"})
_NO_SUCH_IMAGE = ("not found", "notfound", "manifest unknown", "denied", "unauthorized", "forbidden", "does not exist")
_VOLUME = frozenset({"FailedMount", "FailedAttachVolume"})
_NO_SUCH_OBJECT = ("not found", "non-existent")
_STARTING = frozenset({"ContainerCreating", "PodInitializing"})


@dataclass(frozen=True)
class Cause:
    """One reason why something does not work.

    Attributes:
        subject: What it is about: "pod web-1", "deployment web".
        reason: The cluster's own word: CrashLoopBackOff, OOMKilled, FailedCreate.
        message: The cluster's own sentence, one line, or empty.
        container: The container. None: it is not about one.
        pod: The pod whose log and events tell more. None: there is no pod.
        exit_code: What the container exited with. None: it did not, or it is not about a container.
        restarts: How often the container was started again.
        decisive: Whether waiting longer cannot be expected to help.
        runs_again: Whether the container was started again, so that the log of the failed run is the previous one.
        init: Whether it is an init container.
    """

    subject: str
    reason: str
    message: str = ""
    container: str | None = None
    pod: str | None = None
    exit_code: int | None = None
    restarts: int = 0
    decisive: bool = True
    runs_again: bool = False
    init: bool = False

    @property
    def text(self) -> str:
        """The cause as a person says it."""
        noun = "init container" if self.init else "container"
        place = f"{noun} {self.container} of {self.subject}" if self.container else self.subject
        extra = [f"exit code {self.exit_code}"] if self.exit_code is not None else []
        extra += [counted(self.restarts, "restart")] if self.restarts else []
        inner = f" ({', '.join(extra)})" if extra else ""
        return f"{place}: {self.reason}{inner}"


def pod_cause(pod: Object, unschedulable_s: float = 0.0, grace_s: float = 0.0) -> Cause | None:
    """Why this pod is not ready.

    Args:
        pod: The pod.
        unschedulable_s: Seconds since it was first seen without a node.
        grace_s: Seconds without a node after which that is decisive.

    Returns:
        The cause; the first decisive one where several containers are ill. None: the pod is ready or has finished, or
        there is nothing to say yet.
    """
    if condition(pod, "Ready").get("status") == "True" or at(pod, "status", "phase") == "Succeeded":
        return None
    found = [*_container_causes(pod), *_pod_level(pod, unschedulable_s, grace_s)]
    return worst(found)


def worst(causes: Iterable[Cause]) -> Cause | None:
    """The cause to name first: a decisive one, and the one with most restarts. None: there is none."""
    return max(causes, key=lambda cause: (cause.decisive, cause.restarts), default=None)


def replica_failure(item: Object, subject: str) -> Cause | None:
    """Why a Deployment or ReplicaSet may not create pods: quota, admission. None: it may."""
    failure = condition(item, "ReplicaFailure")
    if failure.get("status") != "True":
        return None
    message = message_line(failure.get("message"))
    reason = "quota exceeded" if "exceeded quota" in message else str(failure.get("reason", "FailedCreate"))
    return Cause(subject, reason, message)


def _container_causes(pod: Object) -> Iterator[Cause]:
    for field in ("initContainerStatuses", "containerStatuses"):
        for status in at(pod, "status", field) or ():
            if not status.get("ready"):
                cause = _container_cause(pod, status)
                if cause is not None:
                    yield replace(cause, init=field == "initContainerStatuses")


def _container_cause(pod: Object, status: Object) -> Cause | None:
    waiting = at(status, "state", "waiting") or {}
    ended = at(status, "state", "terminated") or at(status, "lastState", "terminated") or {}
    restarts = int(status.get("restartCount") or 0)
    exits = restarts + (1 if at(status, "state", "terminated") else 0)
    reason, message = str(waiting.get("reason", "")), message_line(waiting.get("message"))
    if ended.get("reason") == "OOMKilled":
        return _about(pod, status, "OOMKilled", "the container used more memory than it may", ended)
    if reason == "CrashLoopBackOff" or (exits >= 2 and ended.get("exitCode")):
        return _about(pod, status, reason or str(ended.get("reason") or "Error"), _last_words(ended), ended)
    if reason in _IMAGE or reason in _CONTAINER:
        final = reason not in _FIRST_PULL or any(word in message.lower() for word in _NO_SUCH_IMAGE)
        return _about(pod, status, reason, _after_the_plumbing(message), {}, decisive=final)
    if ended.get("exitCode"):
        return _about(pod, status, str(ended.get("reason") or "Error"), _last_words(ended), ended, decisive=False)
    if reason and reason not in _STARTING:
        return _about(pod, status, reason, message, {}, decisive=False)
    if at(status, "state", "running") is not None and at(pod, "status", "phase") == "Running":
        return _about(pod, status, "not ready", "", {}, decisive=False)
    return None


def _last_words(ended: Object) -> str:
    """What the container wrote to its termination log; the kubelet's own sentence says no more than the reason."""
    return message_line(ended.get("message"))


def _after_the_plumbing(message: str) -> str:
    """A container runtime's message without the names of the calls that it came through."""
    return message.rpartition(" desc = ")[2]


def _about(
    pod: Object, status: Object, reason: str, message: str, ended: Object, *, decisive: bool = True
) -> Cause:  # fmt: skip
    code = ended.get("exitCode")
    return Cause(
        subject=f"pod {name_of(pod)}",
        reason=reason,
        message=message,
        container=str(status.get("name", "")),
        pod=name_of(pod),
        exit_code=None if code is None else int(code),
        restarts=int(status.get("restartCount") or 0),
        decisive=decisive,
        runs_again=bool(ended) and at(status, "state", "running") is not None,
    )


def _pod_level(pod: Object, unschedulable_s: float, grace_s: float) -> Iterator[Cause]:
    subject = f"pod {name_of(pod)}"
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        reason = str(scheduled.get("reason") or "Unschedulable")
        message = message_line(scheduled.get("message"))
        decisive = reason == "Unschedulable" and unschedulable_s >= grace_s
        yield Cause(subject, reason, message, pod=name_of(pod), decisive=decisive)
    if at(pod, "status", "phase") == "Failed":
        reason = str(at(pod, "status", "reason") or "Failed")
        message = message_line(at(pod, "status", "message"))
        yield Cause(subject, reason, message, pod=name_of(pod), decisive=False)


def pod_causes(pods: Iterable[Object], waited_s: Mapping[str, float], grace_s: float) -> list[Cause]:
    """The causes of all these pods.

    Args:
        pods: The pods.
        waited_s: Seconds without a node, by the pod's uid.
        grace_s: Seconds without a node after which that is decisive.
    """
    found = (pod_cause(pod, waited_s.get(uid(pod), 0.0), grace_s) for pod in pods)
    return [cause for cause in found if cause is not None]


def held_up(pods: Iterable[Object], warnings: Iterable[Object]) -> list[Cause]:
    """What keeps pods from getting their volumes: that stands in events only, never in a pod's status.

    Args:
        pods: The pods.
        warnings: Warning events about pods.
    """
    names = {uid(pod): name_of(pod) for pod in pods if at(pod, "status", "phase") == "Pending"}
    found: list[Cause] = []
    for event in warnings:
        name = names.get(str(at(event, "involvedObject", "uid")))
        message = message_line(event.get("message"))
        if name is not None and event.get("reason") in _VOLUME:
            # The kubelet goes on trying; what does not exist does not come by itself.
            final = any(word in message for word in _NO_SUCH_OBJECT)
            found.append(Cause(f"pod {name}", str(event["reason"]), message, pod=name, decisive=final))
    return found


def advice(cause: Cause) -> str | None:
    """What to do about a cause, as the beginning of a sentence. None: the cause speaks for itself."""
    if cause.reason in _IMAGE:
        return "Check the image's name and tag and that the cluster may pull it"
    if cause.reason in _CONTAINER | _VOLUME and not cause.restarts:
        return "Create what the container refers to (ConfigMap, Secret, key) or correct the reference"
    if cause.message.startswith("Liveness probe failed"):
        return "Check what its liveness probe asks for (port, path), or why the program does not answer it"
    known = {
        "OOMKilled": "Raise resources.memory_limit or make the program use less",
        "Unschedulable": "Ask for less in resources, or add nodes",
        "quota exceeded": "Free or raise the namespace's quota, or run fewer replicas",
        "never became ready": "Check what its readiness probe asks for (port, health_path)",
        "Paused": "Resume the rollout (spec.paused=false)",
    }
    return known.get(cause.reason, "Read the log lines" if cause.exit_code is not None else None)
