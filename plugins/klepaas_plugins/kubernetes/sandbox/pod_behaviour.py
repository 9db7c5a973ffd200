"""How a pod behaves: pure functions of its spec, of what it takes from elsewhere, and of time, without I/O.

What becomes of a container is `fates`' affair; this says what its pod looks like at a moment. A container that crashes
is never ready in between, as if it had a readiness probe; one that its liveness probe kills, or that is flaky, is. In a
pod that is not restarted (of a Job), containers end by themselves, and those that fail do so for good.

The messages are those a kubelet writes. Init containers that do not fail are taken as done at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from .fates import EXITS, Fate, Life, fate_of, life_of
from .model import Json, Timing, timestamp

__all__ = ["Observation", "Pod", "PodEvent", "fate_of", "log_lines", "observe", "qos_class"]

_BACK_OFF_LIMIT_S = 300.0
_NEVER_DONE = (*EXITS, "missing", "unnamed")
# How many times as long as becoming ready takes, a container runs before it is killed or falls over.
_ALIVE: dict[Fate, int] = {"killed": 5, "flaky": 12}
_MAX_RESTARTS = 64


@dataclass(frozen=True)
class PodEvent:
    """An event a kubelet reports about a pod, with the time of its latest occurrence."""

    type: str
    reason: str
    message: str
    at_s: float
    container: str = ""
    count: int = 1


@dataclass
class Observation:
    """What a pod looks like at one moment.

    Args:
        next_s: Unix time at which it will look different; None when it stays as it is.
    """

    status: Json
    events: list[PodEvent] = field(default_factory=list)
    next_s: float | None = None


@dataclass(frozen=True)
class Pod:
    """What the behaviour depends on.

    Args:
        started_s: Unix time at which the node took the pod on.
        blocked: container name to (reason, message) of what keeps it from being created; `""` holds the whole pod.
        environments: each container's variables, by its name.
    """

    namespace: str
    name: str
    uid: str
    spec: Json
    ip: str
    host_ip: str
    started_s: float
    blocked: dict[str, tuple[str, str]] = field(default_factory=dict)
    environments: dict[str, dict[str, str]] = field(default_factory=dict)

    def life(self, container: Json) -> Life:
        """What becomes of one of its containers."""
        return life_of(self.spec, container, self.environments.get(container["name"], {}), self.ip)

    @property
    def restarts(self) -> bool:
        """Whether failing containers are started again."""
        return bool(self.spec.get("restartPolicy", "Always") != "Never")


@dataclass
class _Seen:
    status: Json
    events: list[PodEvent]
    next_s: float | None
    ready: bool = False
    done: int | None = None


def observe(pod: Pod, now_s: float, timing: Timing) -> Observation:
    """A scheduled pod's status and events at a moment."""
    first = _observe_init(pod, now_s, timing)
    if first and not first[-1].ready:
        later = [_status(container, _waiting("PodInitializing")) for container in pod.spec.get("containers", [])]
        seen = [_Seen(status, [], None) for status in later]
    else:
        seen = [_observe_container(pod, container, now_s, timing) for container in pod.spec.get("containers", [])]
    codes = [one.done for one in seen]
    running = any("running" in one.status["state"] or one.status["lastState"] for one in seen)
    phase = "Running" if running or any(code is not None for code in codes) else "Pending"
    if all(code is not None for code in codes):
        phase = "Failed" if any(codes) else "Succeeded"
    held = "" in pod.blocked
    status: Json = {
        "phase": phase,
        "conditions": _conditions(pod, first, seen, phase, now_s),
        "hostIP": pod.host_ip,
        "startTime": timestamp(pod.started_s),
        "containerStatuses": [one.status for one in seen],
        "qosClass": qos_class(pod.spec),
    }
    if first:
        status["initContainerStatuses"] = [one.status for one in first]
    if not held:
        status |= {"podIP": pod.ip, "podIPs": [{"ip": pod.ip}]}
    seen = [*first, *seen]
    times = [one.next_s for one in seen if one.next_s is not None and one.next_s > now_s]
    events = [event for one in seen for event in one.events if event.at_s <= now_s]
    if held:
        events.append(PodEvent("Warning", *pod.blocked[""], pod.started_s))
    return Observation(status, sorted(events, key=lambda event: event.at_s), min(times, default=None))


def _observe_init(pod: Pod, now_s: float, timing: Timing) -> list[_Seen]:
    """The init containers, up to the first that does not come to its end; empty where there are none."""
    seen: list[_Seen] = []
    for container in pod.spec.get("initContainers") or ():
        if seen and not seen[-1].ready:
            seen.append(_Seen(_status(container, _waiting("PodInitializing")), [], None))
        elif {container["name"], ""} & pod.blocked.keys() or pod.life(container).fate in _NEVER_DONE:
            seen.append(_observe_container(pod, container, now_s, timing))
        else:
            ended = _terminated(0, "Completed", pod.started_s, pod.started_s)
            seen.append(_Seen(_status(container, ended, ready=True), [], None, ready=True))
    # The last one decides whether the others may begin.
    return [*seen[:-1], replace(seen[-1], ready=all(one.ready for one in seen))] if seen else []


def _conditions(pod: Pod, first: list[_Seen], seen: list[_Seen], phase: str, now_s: float) -> list[Json]:
    names = [one.status["name"] for one in seen if not one.ready]
    unfinished = [one.status["name"] for one in first if not one.status["ready"]]
    ready, held = all(one.ready for one in seen), "" in pod.blocked

    def condition(kind: str, holds: bool, *, says: bool = False) -> Json:
        at_s = now_s if kind in ("ContainersReady", "Ready") and holds else pod.started_s
        made: Json = {
            "type": kind,
            "status": "True" if holds else "False",
            "lastProbeTime": None,
            "lastTransitionTime": timestamp(at_s),
        }
        if says and phase == "Succeeded":
            made["reason"] = "PodCompleted"
        elif says and not holds:
            made["reason"] = "ContainersNotReady"
            made["message"] = f"containers with unready status: [{' '.join(names)}]"
        return made

    initialized = condition("Initialized", not unfinished)
    if unfinished:
        initialized["reason"] = "ContainersNotInitialized"
        initialized["message"] = f"containers with incomplete status: [{' '.join(unfinished)}]"
    return [
        condition("PodScheduled", True),
        initialized,
        condition("PodReadyToStartContainers", not held),
        condition("ContainersReady", ready, says=True),
        condition("Ready", ready, says=True),
    ]


def _status(container: Json, state: Json, *, ready: bool = False, last: Json | None = None, restarts: int = 0) -> Json:
    return {
        "name": container["name"],
        "state": state,
        "lastState": last or {},
        "ready": ready,
        "restartCount": restarts,
        "image": container["image"],
        "imageID": "sim" if "running" in state or last or "terminated" in state else "",
        "started": "running" in state,
    }


def _waiting(reason: str, message: str = "") -> Json:
    return {"waiting": {"reason": reason, **({"message": message} if message else {})}}


def _observe_container(pod: Pod, container: Json, now_s: float, timing: Timing) -> _Seen:
    name, image = container["name"], container["image"]
    pulled_s = pod.started_s + timing.pull_s
    begun_s = pulled_s + timing.start_s
    if "" in pod.blocked:
        return _Seen(_status(container, _waiting("ContainerCreating")), [], None)
    events = [PodEvent("Normal", "Pulling", f'Pulling image "{image}"', pod.started_s, name)]
    if now_s < pulled_s:
        return _Seen(_status(container, _waiting("ContainerCreating")), events, pulled_s)
    life = pod.life(container)
    fate = life.fate
    if fate == "unnamed":
        events[:] = [PodEvent("Warning", "InspectFailed", life.words[0], pulled_s, name)]
        events.append(PodEvent("Warning", "Failed", "Error: InvalidImageName", pulled_s, name))
        return _Seen(_status(container, _waiting("InvalidImageName", life.words[0])), events, None)
    if fate == "missing":
        return _pull_failure(container, events, pulled_s, now_s, timing)
    said = f'Successfully pulled image "{image}" in {timing.pull_s * 1000:.0f}ms'
    events.append(PodEvent("Normal", "Pulled", said, pulled_s, name))
    if name in pod.blocked:
        reason, message = pod.blocked[name]
        events.append(PodEvent("Warning", "Failed", f"Error: {message}", pulled_s, name))
        return _Seen(_status(container, _waiting(reason, message)), events, None)
    if now_s < begun_s:
        return _Seen(_status(container, _waiting("ContainerCreating")), events, begun_s)
    if fate in EXITS and pod.restarts:
        return _crash_loop(pod, container, life, events, begun_s, now_s, timing)
    events += _started(name, begun_s, 1)
    if fate in EXITS or pod.spec.get("restartPolicy", "Always") != "Always":
        return _ending(container, fate, events, begun_s, now_s, timing)
    return _running(container, life, events, begun_s, now_s, timing)


def _started(name: str, at_s: float, count: int) -> list[PodEvent]:
    return [
        PodEvent("Normal", "Created", f"Created container: {name}", at_s, name, count),
        PodEvent("Normal", "Started", f"Started container {name}", at_s, name, count),
    ]


def _pull_failure(container: Json, events: list[PodEvent], at_s: float, now_s: float, timing: Timing) -> _Seen:
    name, image = container["name"], container["image"]
    reference = _full_reference(image)
    why = (
        f'rpc error: code = NotFound desc = failed to pull and unpack image "{reference}": failed to resolve '
        f'reference "{reference}": {reference}: not found'
    )
    events.append(PodEvent("Warning", "Failed", f'Failed to pull image "{image}": {why}', at_s, name))
    events.append(PodEvent("Warning", "Failed", "Error: ErrImagePull", at_s, name))
    back_off_s = at_s + timing.back_off_s
    if now_s < back_off_s:
        return _Seen(_status(container, _waiting("ErrImagePull", why)), events, back_off_s)
    events.append(PodEvent("Normal", "BackOff", f'Back-off pulling image "{image}"', back_off_s, name))
    events.append(PodEvent("Warning", "Failed", "Error: ImagePullBackOff", back_off_s, name))
    message = f'Back-off pulling image "{image}": ErrImagePull: {why}'
    return _Seen(_status(container, _waiting("ImagePullBackOff", message)), events, None)


def _full_reference(image: str) -> str:
    host = image.split("/", 1)[0]
    named = (
        image
        if "/" in image and ("." in host or ":" in host)
        else "docker.io/" + (image if "/" in image else f"library/{image}")
    )
    return named if ":" in named.rsplit("/", 1)[-1] or "@" in named else f"{named}:latest"


def _terminated(code: int, reason: str, begun_s: float, ended_s: float, message: str = "") -> Json:
    return {
        "terminated": {
            "exitCode": code,
            "reason": reason,
            **({"message": message} if message else {}),
            "startedAt": timestamp(begun_s),
            "finishedAt": timestamp(ended_s),
        }
    }


def _runs(begun_s: float, alive_s: float, timing: Timing) -> Iterator[tuple[int, float, float, float]]:
    """Each run of a crashing container: its number, when it begins and ends, and when the next one begins."""
    for number in range(_MAX_RESTARTS):
        ended_s = begun_s + alive_s
        back_s = min(timing.back_off_s * 2**number, _BACK_OFF_LIMIT_S)
        yield number, begun_s, ended_s, ended_s + back_s
        begun_s = ended_s + back_s


def _crash_loop(
    pod: Pod, container: Json, life: Life, events: list[PodEvent], begun_s: float, now_s: float, timing: Timing
) -> _Seen:
    name = container["name"]
    code, why = EXITS[life.fate]
    starts = life.fate != "unstartable"
    alive_s = timing.ready_s * _ALIVE[life.fate] if life.fate in _ALIVE else timing.start_s
    last: Json = {}
    for number, run_s, ended_s, again_s in _runs(begun_s, alive_s if starts else 0.0, timing):
        events = [event for event in events if event.reason not in ("Created", "Started")]
        events += _started(name, run_s, number + 1)[: 2 if starts else 1]
        if now_s < ended_s:
            return _between(container, life, events, (run_s, ended_s, number), last, now_s, timing)
        last = _terminated(code, why, run_s, ended_s, "" if starts else life.words[0])
        said = f"Back-off restarting failed container {name} in pod {pod.name}_{pod.namespace}({pod.uid})"
        events = [event for event in events if event.reason not in ("BackOff", "Failed", "Unhealthy", "Killing")]
        events += _ended(life, name, ended_s, number + 1)
        events.append(PodEvent("Warning", "BackOff", said, ended_s, name, number + 1))
        if now_s < again_s:
            delay = _duration_text(min(10 * 2**number, 300))
            message = f"back-off {delay} restarting failed container={name} pod={pod.name}_{pod.namespace}({pod.uid})"
            state = _waiting("CrashLoopBackOff", message)
            return _Seen(_status(container, state, last=last, restarts=number), events, again_s)
    message = f"back-off 5m0s restarting failed container={name} pod={pod.name}_{pod.namespace}({pod.uid})"
    status = _status(container, _waiting("CrashLoopBackOff", message), last=last, restarts=_MAX_RESTARTS)
    return _Seen(status, events, None)


def _between(
    container: Json, life: Life, events: list[PodEvent], run: tuple[float, float, int], last: Json, now_s: float,
    timing: Timing,
) -> _Seen:  # fmt: skip
    """A container that will end, while it runs."""
    run_s, ended_s, number = run
    ready_s = run_s + timing.ready_s
    ready = life.fate in _ALIVE and now_s >= ready_s
    state: Json = {"running": {"startedAt": timestamp(run_s)}}
    status = _status(container, state, ready=ready, last=last, restarts=number)
    return _Seen(status, events, ended_s if ready or life.fate not in _ALIVE else ready_s, ready)


def _ended(life: Life, name: str, at_s: float, count: int) -> list[PodEvent]:
    """What the kubelet says of the end, beside that it will start the container again."""
    if life.fate == "unstartable":
        return [PodEvent("Warning", "Failed", f"Error: {life.words[0]}", at_s, name, count)]
    if life.fate != "killed":
        return []
    killing = f"Container {name} failed liveness probe, will be restarted"
    return [
        PodEvent("Warning", "Unhealthy", f"Liveness probe failed: {life.words[0]}", at_s, name, 3 * count),
        PodEvent("Normal", "Killing", killing, at_s, name, count),
    ]


def _duration_text(seconds: int) -> str:
    return f"{seconds // 60}m{seconds % 60}s" if seconds >= 60 else f"{seconds}s"


def _ending(container: Json, fate: Fate, events: list[PodEvent], begun_s: float, now_s: float, timing: Timing) -> _Seen:
    ended_s = begun_s + timing.complete_s
    if now_s < ended_s:
        return _Seen(
            _status(container, {"running": {"startedAt": timestamp(begun_s)}}, ready=True), events, ended_s, True
        )
    code, why = EXITS.get(fate, (0, "Completed"))
    return _Seen(_status(container, _terminated(code, why, begun_s, ended_s)), events, None, done=code)


def _running(
    container: Json, life: Life, events: list[PodEvent], begun_s: float, now_s: float, timing: Timing
) -> _Seen:
    state: Json = {"running": {"startedAt": timestamp(begun_s)}}
    if life.fate == "unready":
        failures = 0
        while failures < 32 and begun_s + timing.ready_s * 2**failures <= now_s:
            failures += 1
        failed_s = begun_s + timing.ready_s * 2 ** max(failures - 1, 0)
        if failures:
            said = f"Readiness probe failed: {life.words[0]}"
            events.append(PodEvent("Warning", "Unhealthy", said, failed_s, container["name"], failures))
        next_s = begun_s + timing.ready_s * 2**failures if failures < 32 else None
        return _Seen(_status(container, state), events, next_s)
    ready_s = begun_s + (timing.slow_ready_s if life.fate == "slow" else timing.ready_s)
    ready = now_s >= ready_s
    return _Seen(_status(container, state, ready=ready), events, None if ready else ready_s, ready)


def qos_class(spec: Json) -> str:
    """The pod's quality-of-service class by its requests and limits."""
    parts = [container.get("resources") or {} for container in spec.get("containers", [])]
    if not any(part.get("requests") or part.get("limits") for part in parts):
        return "BestEffort"
    for part in parts:
        limits, requests = part.get("limits") or {}, part.get("requests") or part.get("limits") or {}
        if not {"cpu", "memory"} <= set(limits) or any(
            limits[name] != requests.get(name, limits[name]) for name in limits
        ):
            return "Burstable"
    return "Guaranteed"


def log_lines(
    container: Json, started_s: float, now_s: float, life: Life | None = None
) -> list[tuple[float, str]]:  # fmt: skip
    """What a container has written, with the time of each line.

    Args:
        container: The container.
        started_s: When its run began, Unix time.
        now_s: The time now.
        life: What becomes of it. None: what its image's name says.
    """
    life = life or life_of({}, container, {}, "10.1.0.1")
    stamp = timestamp(started_s)
    count = 200 if life.fate not in EXITS else 3
    texts = [f"INFO request id={number} path=/healthz status=200" for number in range(count)]
    if life.fate in ("crash", "oom", "flaky"):
        texts += life.words
    return [(started_s, f"{stamp} {text}") for text in texts] if started_s <= now_s else []
