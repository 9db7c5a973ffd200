"""Plays one case from an application that is well to the end of the change, and tells what it saw."""

import re
from dataclasses import dataclass, field
from typing import Any

from klepaas.operations import Operation

from .cases import Case, Stage
from .world import SLOW, Answer, Watcher, World

__all__ = ["Home", "Played", "play"]

_STEPS_MAX = 60
_QUICK_STEPS = 20
_LONG_STEP_S = 60.0
READS = ("get_deployment_status", "list_releases", "k8s_get", "get_operation")
State = dict[str, Any]


@dataclass
class Home:
    """An application that is well, in a namespace of its own; what a case leaves there is where the next one begins.

    Attributes:
        namespace: The namespace.
        slow: What its images have in their names where its pods take their time.
        versions: How many versions of it there were.
        is_well: Whether the next case may begin there.
    """

    namespace: str
    slow: str = ""
    versions: int = 0
    is_well: bool = False


@dataclass
class Played:
    """What was seen.

    Attributes:
        case: What was played.
        said: What the change's tool answered.
        met: Whether the change came to the moment at which the fault begins.
        wrote: Whether it had written something by its end.
        ended: The operation at the end. None: there is none.
        before: How the application was before.
        wanted: What of it was to be changed, and to what.
        after: How it is at the end.
        meanwhile: What klepaas said of the operation while the fault lasted.
        first_calls: What the first call of each tool said after it.
    """

    case: Case
    said: Answer
    met: bool
    wrote: bool
    ended: Operation | None
    before: State
    wanted: State
    after: State
    meanwhile: str = ""
    first_calls: dict[str, Answer] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """What a person reads in the end."""
        outcome = self.ended.outcome if self.ended is not None else None
        return outcome.text if outcome is not None else self.said.text


@dataclass(frozen=True)
class _Change:
    """A call, and what of the application it changes to what."""

    arguments: dict[str, Any]
    wanted: State


async def play(world: World, case: Case, home: Home) -> Played:
    """Play a case.

    Args:
        world: Where.
        case: Which.
        home: The application.
    """
    await _prepare(world, case, home)
    before = look(world, home.namespace)
    change = _plan(case, home, before)
    watcher = Watcher(home.namespace, case.stage, case.verb.writes, lambda: world.begin_fault(case, home.namespace))
    world.watcher = watcher
    if case.stage is Stage.PLAN:
        watcher.start()
    said = await world.call(case.verb.tool, **change.arguments)
    operation_id = str(said.meta.get("operation_id") or "")
    await _reach(world, case, watcher, operation_id)
    await world.last(case)
    meanwhile = await _asked(world, case, operation_id)
    await world.end_fault()
    first = {tool: await world.call(tool, **_arguments(tool, home.namespace, operation_id)) for tool in READS}
    ended = await _end(world, operation_id)
    world.watcher = None
    await world.settle()
    after = look(world, home.namespace)
    return Played(
        case, said, watcher.has_begun, bool(watcher.written), ended, before, change.wanted, after, meanwhile, first
    )


async def _asked(world: World, case: Case, operation_id: str) -> str:
    if not operation_id or case.fault.kind == "killed":
        return ""
    return (await world.call("get_operation", operation_id=operation_id)).text


def _arguments(tool: str, namespace: str, operation_id: str) -> dict[str, Any]:
    if tool == "k8s_get":
        return {"kind": "deployments", "namespace": namespace}
    if tool == "get_operation":
        return {"operation_id": operation_id} if operation_id else {}
    return {"app_name": "web", "namespace": namespace}


async def _prepare(world: World, case: Case, home: Home) -> None:
    """The application, as a first deployment and a second one make it."""
    if not home.is_well:
        world.sandbox.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": home.namespace}})
        home.slow = SLOW if case.stage is Stage.ROLLOUT else ""
        await _deploy(world, home)
        home.is_well = True
    if case.verb.name == "rollback":
        await _deploy(world, home)


async def _deploy(world: World, home: Home) -> None:
    """Another version, by another port."""
    home.versions += 1
    image = f"example/app{home.slow}:{home.versions}"
    live = world.sandbox.get("Service", "web", home.namespace)
    port = 16161 - (live["spec"]["ports"][0]["port"] if live else 8081)
    said = await world.call("deploy_application", app_name="web", namespace=home.namespace, image=image, port=port)
    assert not said.is_error, said.text


def _plan(case: Case, home: Home, before: State) -> _Change:
    home.versions += 1
    place = {"app_name": "web", "namespace": home.namespace, "wait_s": 0}
    image, port = f"example/app{home.slow}:{home.versions}", 16161 - before["port"]
    if case.verb.name == "deploy":
        return _Change({**place, "image": image, "port": port}, {"image": image, "port": port})
    if case.verb.name == "deploy-broken":
        return _Change({**place, "image": f"example/crash:{home.versions}"}, {})
    if case.verb.name == "scale":
        return _Change({**place, "replicas": 3 - before["replicas"]}, {"replicas": 3 - before["replicas"]})
    if case.verb.name == "restart":
        return _Change(place, {})
    if case.verb.name == "rollback":
        return _Change({**place, "steps": 1}, {})
    manifest = _MANIFEST.format(namespace=home.namespace, image=image, color=f"c{home.versions}")
    return _Change({"manifests": manifest}, {"image": image, "color": f"c{home.versions}"})


_MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, namespace: {namespace}}}
spec: {{template: {{spec: {{containers: [{{name: web, image: "{image}"}}]}}}}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: extra, namespace: {namespace}}}
data: {{color: {color}}}
"""


async def _reach(world: World, case: Case, watcher: Watcher, operation_id: str) -> None:
    """Go on until the fault's moment, or until there is none any more."""
    if not operation_id:
        return
    for _ in range(_STEPS_MAX):
        if not watcher.has_begun and case.stage in (Stage.ROLLOUT, Stage.HOLD) and _is_there(world, case, watcher):
            watcher.start()
        if watcher.has_begun or (await world.operation(operation_id)).ended:
            return
        await world.turn(1.0)


def _is_there(world: World, case: Case, watcher: Watcher) -> bool:
    """Whether all is written and its pods come, or are there."""
    if len(watcher.written) < case.verb.writes:
        return False
    return bool(look(world, watcher.namespace)["ready"]) is (case.stage is Stage.HOLD)


async def _end(world: World, operation_id: str) -> Operation | None:
    if not operation_id:
        return None
    for number in range(_STEPS_MAX):
        operation = await world.operation(operation_id)
        if operation.ended:
            return operation
        await world.turn(1.0 if number < _QUICK_STEPS else _LONG_STEP_S)
    return await world.operation(operation_id)


def look(world: World, namespace: str) -> State:
    """How the application is, as the cluster itself knows."""
    sandbox = world.sandbox
    live = sandbox.get("Deployment", "web", namespace)
    service = sandbox.get("Service", "web", namespace)
    extra = sandbox.get("ConfigMap", "extra", namespace)
    assert live is not None
    assert service is not None
    spec, status = live["spec"], live.get("status") or {}
    counts = {status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")}
    is_observed = status.get("observedGeneration") == live["metadata"]["generation"]
    return {
        "image": spec["template"]["spec"]["containers"][0]["image"],
        "replicas": spec["replicas"],
        "port": service["spec"]["ports"][0]["port"],
        "restarted": _restarted(spec["template"]),
        "color": extra["data"]["color"] if extra else None,
        "generation": live["metadata"]["generation"],
        "ready": is_observed and counts == {spec["replicas"]},
        "release": _newest_release(world, namespace),
    }


def _restarted(template: dict[str, Any]) -> str | None:
    found = (template["metadata"].get("annotations") or {}).items()
    return next((str(value) for name, value in found if name.endswith("restartedAt")), None)


def _newest_release(world: World, namespace: str) -> int:
    records = [*world.sandbox.list("Secret", namespace), *world.sandbox.list("ConfigMap", namespace)]
    found = (re.search(r"^klepaas\.release\.?.*?\.(?:v|r)?(\d+)", one["metadata"]["name"]) for one in records)
    return max((int(one[1]) for one in found if one), default=0)
