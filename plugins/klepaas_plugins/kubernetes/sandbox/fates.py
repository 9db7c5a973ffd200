"""What becomes of a container: pure functions of its pod's spec and of the environment that it gets.

The last segment of an image's path decides first: `crash` ends in CrashLoopBackOff with exit code 1, `oom` in
OOMKilled, `missing` in ImagePullBackOff, `unready` runs and is never ready, `slow` is ready late, `flaky` is ready and
ends with exit code 1 a little later. An image may also say what its program is like: `listens-8080` listens on that
port alone, `serves-healthz` answers that path alone, `needs-256mi` ends in OOMKilled under a lower memory limit. An
image that is no valid reference ends in InvalidImageName. Any other program runs, unless its command is `no-such-...`,
a variable of it has the value `broken`, or a container before it in the pod has taken its port.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .model import Json
from .quantities import quantity

__all__ = ["EXITS", "Fate", "Life", "fate_of", "life_of"]

Fate = Literal["run", "crash", "oom", "missing", "unready", "slow", "flaky", "killed", "unstartable", "unnamed"]
_FAILING: tuple[Fate, ...] = ("crash", "oom", "missing", "unready", "slow", "flaky")
EXITS: Mapping[Fate, tuple[int, str]] = {
    "crash": (1, "Error"), "oom": (137, "OOMKilled"), "flaky": (1, "Error"), "killed": (137, "Error"),
    "unstartable": (128, "StartError"),
}  # fmt: skip
_LISTENS, _SERVES = re.compile(r"listens-(\d+)"), re.compile(r"serves-([a-z]+)")
_NEEDS = re.compile(r"needs-(\d+[kmg]i)")
_INVALID = (
    'Failed to apply default image tag "{image}": couldn\'t parse image name "{image}": invalid reference format: '
    "repository name must be lowercase"
)
_BROKEN, _NO_SUCH = "broken", "no-such"


@dataclass(frozen=True)
class Life:
    """What a container does.

    Attributes:
        fate: What becomes of it.
        words: Its last log lines, or what the runtime or a probe says of it.
    """

    fate: Fate
    words: tuple[str, ...] = field(default_factory=tuple)


def fate_of(image: str) -> Fate:
    """What becomes of a container, by its image's name alone."""
    last = image.rsplit("/", 1)[-1]
    return next((fate for fate in _FAILING if fate in last), "run")


def life_of(spec: Json, container: Json, environment: Mapping[str, str], ip: str) -> Life:
    """What becomes of a container.

    Args:
        spec: Its pod's.
        container: The container.
        environment: Its variables, as far as they are known.
        ip: The pod's address.
    """
    if not _repository(container["image"]).islower():
        return Life("unnamed", (_INVALID.format(image=container["image"]),))
    by_image = fate_of(container["image"])
    if by_image == "crash":
        return Life("crash", ("ERROR could not connect to postgres at db:5432: connection refused", "FATAL exiting"))
    if by_image == "unready":
        return Life("unready", (_refused_or_ill(container, ip),))
    if by_image != "run":
        return Life(by_image, _WORDS.get(by_image, ()))
    return _by_its_spec(spec, container, environment, ip)


def _repository(image: str) -> str:
    """An image's reference without tag and digest."""
    name = image.partition("@")[0]
    head, _, tag = name.rpartition(":")
    return head if head and "/" not in tag else name


_WORDS: Mapping[Fate, tuple[str, ...]] = {
    "oom": ("INFO loading the whole table into memory",),
    "flaky": ("ERROR lost the connection to the broker", "FATAL exiting"),
}


def _by_its_spec(spec: Json, container: Json, environment: Mapping[str, str], ip: str) -> Life:
    program = str((container.get("command") or [""])[0])
    if program.rsplit("/", 1)[-1].startswith(_NO_SUCH):
        why = f'exec: "{program}": executable file not found in $PATH: unknown'
        start = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create"
        return Life("unstartable", (f"{start} failed: unable to start container process: {why}",))
    if _starved(container):
        return Life("oom", _WORDS["oom"])
    broken = next((name for name, value in environment.items() if value == _BROKEN), None)
    if broken is not None:
        return Life("crash", (f"FATAL {broken} has a value that is not valid", "FATAL exiting"))
    taken = _taken_port(spec, container)
    if taken is not None:
        return Life("crash", (f"FATAL listen tcp :{taken}: bind: address already in use",))
    for probe, fate in (("livenessProbe", "killed"), ("readinessProbe", "unready")):
        failure = _probe_failure(container, container.get(probe) or {}, ip)
        if failure:
            return Life(fate, (failure,))  # type: ignore[arg-type]
    return Life("run")


def _starved(container: Json) -> bool:
    needs = _NEEDS.search(container["image"])
    limit = ((container.get("resources") or {}).get("limits") or {}).get("memory")
    return bool(needs and limit and quantity(str(limit)) < quantity(needs.group(1).replace("i", "").upper() + "i"))


def _taken_port(spec: Json, container: Json) -> int | None:
    taken: set[int] = set()
    for other in spec.get("containers", []):
        ports = {int(port["containerPort"]) for port in other.get("ports") or ()}
        if other["name"] == container["name"]:
            return next(iter(sorted(ports & taken)), None)
        taken |= ports
    return None


def _probe_failure(container: Json, probe: Json, ip: str) -> str:
    """What the kubelet says of a probe that the program does not answer as it should; empty when it does."""
    asks: Any = probe.get("httpGet") or probe.get("tcpSocket")
    if not asks:
        return ""
    port = _number(container, asks.get("port"))
    listens, serves = _LISTENS.search(container["image"]), _SERVES.search(container["image"])
    path = asks.get("path") or "/"
    if listens and int(listens.group(1)) != port:
        refused = f"dial tcp {ip}:{port}: connect: connection refused"
        return f'Get "http://{ip}:{port}{path}": {refused}' if "httpGet" in probe else refused
    if serves and "httpGet" in probe and path.strip("/") != serves.group(1):
        return "HTTP probe failed with statuscode: 404"
    return ""


def _number(container: Json, port: Any) -> int:
    named = {item.get("name"): item["containerPort"] for item in container.get("ports") or ()}
    return int(named.get(port, 0) if isinstance(port, str) else port or 0)


def _refused_or_ill(container: Json, ip: str) -> str:
    probe = (container.get("readinessProbe") or {}).get("httpGet") or {}
    if probe:
        return "HTTP probe failed with statuscode: 503"
    port = (container.get("ports") or [{}])[0].get("containerPort", 8080)
    return f"dial tcp {ip}:{port}: connect: connection refused"
