"""Plays rollouts that fail and rollouts that go well, and judges what klepaas makes of each; see `__main__`."""

import json
import os
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
from fastmcp import Client
from rollouts.scenarios import FLOOR, GOOD, Scenario, base, changed

from klepaas.app import create_app
from klepaas.settings import Mode, Settings
from klepaas_plugins.kubernetes.client import Cluster, Clusters
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

__all__ = ["Result", "Stage", "on_a_cluster", "on_the_sandbox", "play", "play_all"]

AT_ONCE = 4
LIMIT_S = 240.0
_KINDS = {
    "ConfigMap": "configmaps", "Deployment": "deployments.apps", "Service": "services",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers.autoscaling",
    "PodDisruptionBudget": "poddisruptionbudgets.policy",
}  # fmt: skip
_WAITING = (
    "CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "InvalidImageName", "CreateContainerConfigError",
    "RunContainerError",
)  # fmt: skip


@dataclass
class Result:
    """What became of one scenario.

    Attributes:
        scenario: The scenario.
        text: The answer.
        missing: What the answer should have named and did not.
        decided_s: Seconds from the first decisive signal to the decision. None: it was refused at once.
        restored: What differs from before, empty where nothing does.
        least: The fewest ready endpoints.
        problem: What else is wrong; empty where nothing is.
    """

    scenario: Scenario
    text: str = ""
    missing: list[str] = field(default_factory=list)
    decided_s: float | None = None
    restored: list[str] = field(default_factory=list)
    least: int = FLOOR
    problem: str = ""

    @property
    def is_good(self) -> bool:
        """Whether everything is as it should be."""
        late = self.decided_s is not None and self.decided_s > 10
        return not (self.missing or self.restored or self.problem or late) and self.least >= FLOOR


@dataclass
class Stage:
    """Where scenarios play.

    Attributes:
        client: A session of a klepaas that may change things.
        cluster: The same cluster, to watch what happens.
        sandbox: The sandbox. None: it is a real cluster.
    """

    client: Client[Any]
    cluster: Cluster
    sandbox: Sandbox | None

    async def call(self, tool: str, progress: Any = None, **arguments: Any) -> Any:
        """Call a tool."""
        return await self.client.call_tool(tool, arguments, raise_on_error=False, progress_handler=progress)

    async def apply(self, namespace: str | None, *objects: dict[str, Any]) -> None:
        """Have objects made by klepaas' own tool."""
        where = {} if namespace is None else {"namespace": namespace}
        result = await self.call("k8s_apply", manifests=_yaml(objects), **where)
        if result.is_error:
            raise RuntimeError(result.content[0].text)


def _yaml(objects: Sequence[dict[str, Any]]) -> str:
    return "\n---\n".join(json.dumps(item) for item in objects)


@asynccontextmanager
async def on_the_sandbox() -> AsyncIterator[Stage]:
    """A stage on a sandbox whose steps take a fraction of a second."""
    timing = replace(Timing.instant(), deadline_scale=0.1, back_off_s=0.1)
    with tempfile.TemporaryDirectory() as folder:
        async with Sandbox(timing, nodes=4) as sandbox:
            os.environ["KUBECONFIG"] = str(sandbox.write_kubeconfig(Path(folder) / "kubeconfig"))
            os.environ.setdefault("KLEPAAS_ROLLOUT_UNSCHEDULABLE_GRACE_S", "0.5")
            async with _stage(Path(folder), sandbox) as stage:
                yield stage


@asynccontextmanager
async def on_a_cluster(kubeconfig: str) -> AsyncIterator[Stage]:
    """A stage on a real cluster."""
    os.environ["KUBECONFIG"] = kubeconfig
    with tempfile.TemporaryDirectory() as folder:
        async with _stage(Path(folder), None) as stage:
            yield stage


@asynccontextmanager
async def _stage(folder: Path, sandbox: Sandbox | None) -> AsyncIterator[Stage]:
    os.environ.setdefault("KLEPAAS_ROLLOUT_MIN_HEALTHY_S", "0.5")
    settings = Settings(mode=Mode.WRITES, external_plugins=False, state_dir=folder)
    app = create_app(settings)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(app.server, elicitation_handler=_yes, timeout=LIMIT_S))
        cluster = await Clusters.of(app.host).cluster()
        yield Stage(client, cluster, sandbox)


async def _yes(*_: Any) -> dict[str, bool]:
    return {"confirm": True}


async def play(stage: Stage, scenario: Scenario) -> Result:
    """Play one scenario from the beginning to the end.

    Args:
        stage: Where.
        scenario: Which.
    """
    namespace = "rollout-" + "".join(letter if letter.isalnum() else "-" for letter in scenario.name.lower())
    result = Result(scenario)
    head = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    await stage.apply(None, head)
    try:
        with anyio.fail_after(LIMIT_S):
            await _in(stage, namespace, result)
    except (TimeoutError, RuntimeError) as exc:
        result.problem = f"{type(exc).__name__}: {exc}"
    finally:
        with anyio.move_on_after(30, shield=True):
            for item in scenario.setup:
                if item["kind"].startswith("Validating"):
                    await stage.call("k8s_delete", kind=item["kind"], name=item["metadata"]["name"])
            await _remove(stage.cluster, namespace)
    return result


async def _remove(cluster: Cluster, namespace: str) -> None:
    """Not by the tool, which would first count all that goes with it."""
    resource = await cluster.resource("namespaces")
    there = await cluster.get(resource, namespace, None)
    await cluster.delete(resource, namespace, None, uid=there["metadata"]["uid"])


async def _in(stage: Stage, namespace: str, result: Result) -> None:
    scenario = result.scenario
    deploy = {"app_name": "web", "namespace": namespace, "wait_s": 200}
    first = await stage.call("deploy_application", manifests=_yaml(list(base().values())), **deploy)
    if first.is_error:
        raise RuntimeError(f"the good release failed: {first.content[0].text}")
    await _until_scaled(stage, namespace)
    local = [item for item in scenario.setup if not item["kind"].startswith("Validating")]
    if local:
        await stage.apply(namespace, *local)
    policies = [item for item in scenario.setup if item not in local]
    for item in policies:
        await stage.apply(None, item)
    if policies:
        await _until_refused(stage, manifests=_yaml(list(changed(scenario).values())), **deploy)
    if scenario.fault and stage.sandbox:
        path = scenario.fault.replace("/services", f"/{namespace}/services")
        stage.sandbox.fail("PATCH", path, 422, reason="Invalid", message="no more ports for this tenant", times=1)
    before = await _objects(stage.cluster, namespace)
    witness = _Witness(stage.cluster, namespace)
    async with anyio.create_task_group() as group:
        await group.start(witness.watch)
        answer = await stage.call(
            "deploy_application", witness.hear, manifests=_yaml(list(changed(scenario).values())), **deploy
        )  # fmt: skip
        group.cancel_scope.cancel()
    result.text = answer.content[0].text
    result.least = witness.least
    if scenario in GOOD:
        result.problem = result.text if answer.is_error else ""
        return
    result.decided_s = witness.decided_s
    _judge(result, answer)
    result.restored = _differences(before, await _objects(stage.cluster, namespace))


async def _until_scaled(stage: Stage, namespace: str) -> None:
    """Wait for the pods of the autoscaler, which a new workload leaves the number to: a real one looks every 15 s."""
    resource = await stage.cluster.resource("deployments.apps")
    while not _is_scaled(await stage.cluster.get(resource, "web", namespace)):  # noqa: ASYNC110 -- nobody tells
        await anyio.sleep(0.2)


def _is_scaled(live: dict[str, Any]) -> bool:
    return bool(live["spec"]["replicas"] == FLOOR == (live.get("status") or {}).get("availableReplicas"))


async def _until_refused(stage: Stage, **change: Any) -> None:
    """Wait until admission policies are in force: a real API server takes seconds to see them."""
    while not (await stage.call("deploy_application", dry_run=True, **change)).is_error:  # noqa: ASYNC110 -- nobody tells
        await anyio.sleep(0.2)


def _judge(result: Result, answer: Any) -> None:
    scenario, text = result.scenario, result.text
    wanted = [*scenario.cause, scenario.subject, *(() if scenario.refused else scenario.changed)]
    result.missing = [one for one in wanted if one not in text]
    if not answer.is_error:
        result.problem = "it should have failed"
    elif not scenario.refused and "rolled back to release 1" not in text:
        result.problem = "it was not rolled back"


async def _objects(cluster: Cluster, namespace: str) -> dict[str, Any]:
    """The application's objects, without what the server, its controllers and klepaas' releases keep."""
    found: dict[str, Any] = {}
    for kind, plural in _KINDS.items():
        listed = await cluster.list(await cluster.resource(plural), namespace)
        for item in listed.get("items") or ():
            name = item["metadata"]["name"]
            if name != "kube-root-ca.crt" and not name.startswith("klepaas.release."):
                found[f"{kind} {name}"] = _plain(item)
    return found


def _plain(item: dict[str, Any]) -> dict[str, Any]:
    own = ("managedFields", "resourceVersion", "generation", "creationTimestamp")
    metadata = {key: value for key, value in item["metadata"].items() if key not in own}
    annotations = dict(metadata.get("annotations") or {})
    annotations.pop("deployment.kubernetes.io/revision", None)
    rest = {key: value for key, value in item.items() if key not in ("metadata", "status", "kind", "apiVersion")}
    return {**rest, "metadata": {**metadata, "annotations": annotations}}


def _differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]


class _Witness:
    """Watches what the cluster itself shows: the first decisive signal, and the ready endpoints."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._slices: dict[str, int] = {}
        self._old: set[str] = set()
        self.signal_at_s: float | None = None
        self.decided_at_s: float | None = None
        self.least = FLOOR

    @property
    def decided_s(self) -> float | None:
        """Seconds from the signal to the decision. None: there was no signal."""
        if self.signal_at_s is None or self.decided_at_s is None:
            return None
        return max(0.0, self.decided_at_s - self.signal_at_s)

    async def hear(self, _done: float, _total: float | None, message: str | None) -> None:
        """Progress of the call: going back begins with the decision."""
        if (message or "").startswith("rolling back") and self.decided_at_s is None:
            self.decided_at_s = time.monotonic()

    async def watch(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Watch until cancelled."""
        kinds = ("endpointslices.discovery.k8s.io", "pods", "replicasets.apps", "deployments.apps", "events")
        async with anyio.create_task_group() as group:
            for kind in kinds:
                await group.start(self._one, kind)
            task_status.started()

    async def _one(self, kind: str, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        resource = await self._cluster.resource(kind)
        listed = await self._cluster.list(resource, self._namespace)
        for item in listed.get("items") or ():
            self._old.add(item["metadata"]["uid"])
            self._see(kind, item)
        task_status.started()
        version = listed["metadata"]["resourceVersion"]
        async with self._cluster.watch(resource, self._namespace, resource_version=version) as events:
            async for event in events:
                self._see(kind, event.object)

    def _see(self, kind: str, item: Mapping[str, Any]) -> None:
        if kind.startswith("endpointslices"):
            ready = sum(len(one["addresses"]) for one in item.get("endpoints") or () if one["conditions"].get("ready"))
            self._slices[item["metadata"]["name"]] = ready
            self.least = min(self.least, sum(self._slices.values()))
        elif self.signal_at_s is None and self._is_decisive(kind, item):
            self.signal_at_s = time.monotonic()

    def _is_decisive(self, kind: str, item: Mapping[str, Any]) -> bool:
        status = item.get("status") or {}
        conditions = {one["type"]: one for one in status.get("conditions") or ()} if kind != "events" else {}
        if kind == "events":
            return item["metadata"]["uid"] not in self._old and item.get("reason") == "FailedMount"
        if kind == "pods":
            return _is_ill(status) or conditions.get("PodScheduled", {}).get("reason") == "Unschedulable"
        late: bool = conditions.get("Progressing", {}).get("reason") == "ProgressDeadlineExceeded"
        return late or bool(conditions.get("ReplicaFailure", {}).get("status") == "True")


def _is_ill(status: dict[str, Any]) -> bool:
    found = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    for one in found:
        if (one["state"].get("waiting") or {}).get("reason") in _WAITING:
            return True
        ended = one["state"].get("terminated") or one.get("lastState", {}).get("terminated") or {}
        if ended.get("reason") == "OOMKilled":
            return True
    return False


async def play_all(stage: Stage, scenarios: Sequence[Scenario]) -> list[Result]:
    """Play scenarios, a few at once.

    Args:
        stage: Where.
        scenarios: Which.
    """
    results: dict[str, Result] = {}
    room = anyio.CapacityLimiter(AT_ONCE)

    async def one(scenario: Scenario) -> None:
        async with room:
            results[scenario.name] = await play(stage, scenario)

    async with anyio.create_task_group() as group:
        for scenario in scenarios:
            group.start_soon(one, scenario)
    return [results[scenario.name] for scenario in scenarios]
