"""What klepaas asks of an API server to carry one verb out: scenarios on the sandbox, and their requests.

One Deployment and one Service, in front of one klepaas over an MCP session in memory. Warm: the second call of a verb.
"""

import os
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import yaml
from fastmcp import Client
from mcp_types import TextContent

from klepaas.app import create_app
from klepaas.policy import Decision, Rule
from klepaas.settings import Mode, Settings
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing
from klepaas_plugins.kubernetes.sandbox.server import Request

APPLICATION, PORT = "web", 8080
# What tells one object from another of its kind, and is different in each run.
_DRAWN = re.compile(r"(klepaas-release|pods/web|replicasets/web)-[\w-]+")


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What one call took.

    Attributes:
        verb: The scenario's name.
        requests: The requests in the order of their arrival.
        took_s: From the call to its answer, in seconds.
        text: The answer.
    """

    verb: str
    requests: Sequence[str]
    took_s: float
    text: str


class Stage:
    """klepaas with writes open, in front of a sandbox whose steps take milliseconds.

    Args:
        sandbox: The cluster.
        client: The session.
    """

    def __init__(self, sandbox: Sandbox, client: Client[Any]) -> None:
        self.sandbox = sandbox
        self._client = client

    async def call(self, tool: str, **arguments: Any) -> str:
        """The text of a tool's answer.

        Raises:
            RuntimeError: It is an error.
        """
        result = await self._client.call_tool(tool, arguments, raise_on_error=False)
        block = result.content[0]
        text = block.text if isinstance(block, TextContent) else ""
        if result.is_error:
            raise RuntimeError(text)
        return text

    async def deploy(self, version: int) -> str:
        """Deploy a version of the application."""
        return await self.call(
            "deploy_application", app_name=APPLICATION, image=f"example/app:{version}", port=PORT, wait_s=60
        )

    async def change_by_hand(self, marker: str) -> None:
        """Change the Deployment as somebody does who knows nothing of klepaas."""
        path = f"/apis/apps/v1/namespaces/default/deployments/{APPLICATION}?fieldManager=kubectl-edit"
        env = [{"name": "MARKER", "value": marker}]
        patch = {"spec": {"template": {"spec": {"containers": [{"name": APPLICATION, "env": env}]}}}}
        kind = "application/strategic-merge-patch+json"
        async with httpx.AsyncClient(base_url=self.sandbox.url, trust_env=False) as client:
            answer = await client.patch(path, json=patch, headers={"Content-Type": kind})
            answer.raise_for_status()
        while not self._is_complete():
            await self.sandbox.changed()

    def create_config_map(self, name: str) -> None:
        """Create a ConfigMap that nothing refers to."""
        self.sandbox.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "b"}})

    def _is_complete(self) -> bool:
        live = self.sandbox.get("Deployment", APPLICATION) or {}
        status, wanted = live.get("status") or {}, live["spec"]["replicas"]
        seen = status.get("observedGeneration") == live["metadata"]["generation"]
        return bool(seen and status.get("updatedReplicas") == status.get("availableReplicas") == wanted)


@asynccontextmanager
async def on_stage(folder: Path, *, is_confirmed: bool = False) -> AsyncIterator[Stage]:
    """A stage; the environment names its kubeconfig for as long.

    Args:
        folder: For the server's state.
        is_confirmed: Whether a person, who says yes, is asked where a change destroys.
    """
    timing = replace(Timing.instant(), autoscaler_s=3600.0)
    before = {name: os.environ.get(name) for name in ("KUBECONFIG", "KLEPAAS_ROLLOUT_MIN_HEALTHY_S")}
    async with Sandbox(timing) as sandbox:
        os.environ["KUBECONFIG"] = str(sandbox.write_kubeconfig(folder / "kubeconfig"))
        os.environ["KLEPAAS_ROLLOUT_MIN_HEALTHY_S"] = "0.05"
        try:
            async with klepaas_of(folder, sandbox, is_confirmed=is_confirmed) as stage:
                yield stage
        finally:
            for name, text in before.items():
                os.environ.pop(name, None) if text is None else os.environ.update({name: text})


@asynccontextmanager
async def klepaas_of(folder: Path, sandbox: Sandbox, *, is_confirmed: bool = False) -> AsyncIterator[Stage]:
    """A klepaas, in front of the sandbox that the environment names.

    Args:
        folder: For the server's state.
        sandbox: The cluster.
        is_confirmed: Whether a person, who says yes, is asked where a change destroys.
    """
    policy = () if is_confirmed else (Rule(decision=Decision.AUTO),)
    settings = Settings(mode=Mode.WRITES, external_plugins=False, strict_plugins=True, state_dir=folder, policy=policy)

    async def confirm(*_: Any) -> dict[str, bool]:
        return {"confirm": True}

    async with Client(create_app(settings).server, elicitation_handler=confirm) as client:
        yield Stage(sandbox, client)


Play = Callable[[Stage], Awaitable[str]]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A call that is counted.

    Attributes:
        verb: Its name.
        prepare: What comes before it.
        play: The call.
        is_confirmed: Whether a person is asked where a change destroys; else it is made at once.
        is_cold: Whether it is the first call of a klepaas that was started anew on the same store.
    """

    verb: str
    prepare: Play
    play: Play
    is_confirmed: bool = False
    is_cold: bool = False


async def _nothing(_stage: Stage) -> str:
    return ""


async def _deploy_versions(stage: Stage, versions: int = 2) -> str:
    for version in range(1, versions + 1):
        await stage.deploy(version)
    return ""


async def _deploy_and_change(stage: Stage) -> str:
    await _deploy_versions(stage)
    await stage.change_by_hand("one")
    return ""


async def _deploy_and_look(stage: Stage) -> str:
    await stage.deploy(1)
    return await _status(stage)


async def _deploy_and_see_drift(stage: Stage) -> str:
    await stage.deploy(1)
    await stage.change_by_hand("one")
    return await _status(stage)


async def _status(stage: Stage) -> str:
    return await stage.call("get_deployment_status", app_name=APPLICATION)


async def _deploy_and_roll_back(stage: Stage) -> str:
    await _deploy_versions(stage, 3)
    return await _roll_back(stage)


async def _roll_back(stage: Stage) -> str:
    return await stage.call("rollback_deployment", app_name=APPLICATION, wait_s=60)


async def _create_and_delete(stage: Stage) -> str:
    stage.create_config_map("two")
    stage.create_config_map("one")
    return await _delete(stage, "one")


async def _delete(stage: Stage, name: str = "two") -> str:
    return await stage.call("k8s_delete", kind="ConfigMap", name=name)


async def _scale(stage: Stage, replicas: int = 3) -> str:
    return await stage.call("scale_application", app_name=APPLICATION, replicas=replicas, wait_s=60)


async def _deploy_and_scale(stage: Stage) -> str:
    await stage.deploy(1)
    return await _scale(stage, 2)


async def _restart(stage: Stage) -> str:
    return await stage.call("restart_application", app_name=APPLICATION, wait_s=60)


async def _deploy_and_restart(stage: Stage) -> str:
    await stage.deploy(1)
    return await _restart(stage)


def _manifests(version: int, config_maps: int) -> str:
    """A Deployment, a Service and so many ConfigMaps, all of which differ from version to version."""
    labels = {"app": APPLICATION}
    container = {"name": APPLICATION, "image": f"example/app:{version}"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    objects: list[dict[str, Any]] = [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": APPLICATION},
         "spec": {"selector": {"matchLabels": labels}, "template": template}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": APPLICATION},
         "spec": {"selector": labels, "ports": [{"port": PORT}]}},
    ]  # fmt: skip
    for number in range(config_maps):
        metadata = {"name": f"{APPLICATION}-{number}"}
        objects.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"v": str(version)}})
    return yaml.safe_dump_all(objects)


async def _deploy_manifests(stage: Stage, version: int, config_maps: int) -> str:
    manifests = _manifests(version, config_maps)
    return await stage.call("deploy_application", app_name=APPLICATION, manifests=manifests, wait_s=60)


async def _manifests_deployed(stage: Stage, config_maps: int) -> str:
    for version in (1, 2):
        await _deploy_manifests(stage, version, config_maps)
    return ""


SCENARIOS = (
    Scenario(verb="deploy, the first of all", prepare=_nothing, play=lambda stage: stage.deploy(1)),
    Scenario(verb="deploy", prepare=_deploy_versions, play=lambda stage: stage.deploy(3)),
    Scenario(verb="deploy over a foreign change", prepare=_deploy_and_change, play=lambda stage: stage.deploy(3)),
    Scenario(verb="deploy, cold", prepare=_deploy_versions, play=lambda stage: stage.deploy(3), is_cold=True),
    Scenario(
        verb="deploy manifests",
        prepare=lambda stage: _manifests_deployed(stage, 0),
        play=lambda stage: _deploy_manifests(stage, 3, 0),
    ),
    Scenario(
        verb="deploy manifests, one object more",
        prepare=lambda stage: _manifests_deployed(stage, 1),
        play=lambda stage: _deploy_manifests(stage, 3, 1),
    ),
    Scenario(verb="status", prepare=_deploy_and_look, play=_status),
    Scenario(verb="status with drift", prepare=_deploy_and_see_drift, play=_status),
    Scenario(verb="rollback", prepare=_deploy_and_roll_back, play=_roll_back),
    Scenario(verb="scale", prepare=_deploy_and_scale, play=_scale),
    Scenario(verb="restart", prepare=_deploy_and_restart, play=_restart),
    Scenario(verb="delete a ConfigMap", prepare=_create_and_delete, play=_delete),
    Scenario(verb="delete a ConfigMap, confirmed", prepare=_create_and_delete, play=_delete, is_confirmed=True),
)


async def count(scenario: Scenario, folder: Path, *, latency_s: float = 0.0) -> Counted:
    """Play a scenario on a stage of its own.

    Args:
        scenario: The call.
        folder: For the server's state.
        latency_s: What each request waits at the API server before it is answered, in seconds.
    """
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(on_stage(folder, is_confirmed=scenario.is_confirmed))
        await scenario.prepare(stage)
        if scenario.is_cold:
            stage = await stack.enter_async_context(klepaas_of(folder, stage.sandbox))
        stage.sandbox.clear_requests()
        if latency_s:
            stage.sandbox.slow("", latency_s)
        began_s = anyio.current_time()
        text = await scenario.play(stage)
        took_s = anyio.current_time() - began_s
        requests = [line_of(request) for request in stage.sandbox.requests]
    return Counted(verb=scenario.verb, requests=requests, took_s=took_s, text=text)


def line_of(request: Request) -> str:
    """A request in one line: what it does, where, and what selects."""
    path = _DRAWN.sub(r"\1-*", request.path)
    query = "&".join(f"{name}={text}" for name, text in sorted(request.query.items()) if name in _TELLING)
    verb = "WATCH" if request.query.get("watch") else request.method
    return f"{verb} {path}{f'?{query}' if query else ''}"


_TELLING = ("dryRun", "force", "fieldSelector", "labelSelector")


def listing(counted: Counted, *, each: bool) -> str:
    """A count for people: one line, then the requests by what they ask, or each of them."""
    lines = [f"{counted.verb}: {len(counted.requests)} requests in {counted.took_s:.2f} s"]
    if each:
        lines += [f"  {number:3} {line}" for number, line in enumerate(counted.requests, 1)]
    else:
        lines += [f"  {number:3} x {line}" for line, number in Counter(counted.requests).most_common()]
    return "\n".join(lines)
