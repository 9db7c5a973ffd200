"""A cluster, an attacker's session in front of it, and a person who reads what they are asked.

The cluster is the sandbox, or a real API server that nobody needs: objects are made in its namespaces and deleted.
"""

import contextlib
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import anyio
import httpx
import pytest
from fastmcp import Client

from klepaas.app import create_app
from klepaas.settings import Mode, Settings
from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing
from klepaas_plugins.kubernetes.sandbox.server import mutating

from .attack_content import KINDS, Content
from .attack_world import real_client

S = TypeVar("S", bound="Stage")


@dataclass
class Stage(ABC):
    """A cluster, and a person who reads and declines.

    Attributes:
        http: How the owner of the cluster reaches it.
        read: The questions that the person was asked.
        made: The paths of the objects that an attack finds there.
        before_yes: What happens while the person reads each question; then they say yes.
        client: The attacker's session.
        audit: The file of the audit.
    """

    http: httpx.AsyncClient
    read: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    before_yes: list[Callable[[], Awaitable[object]]] = field(default_factory=list)
    client: Client[Any] = field(init=False)
    audit: Path = Path("none")

    @abstractmethod
    async def kind_of(self, version: str, kind: str) -> tuple[str, bool] | None:
        """The plural of a kind that is served, and whether it has namespaces. None: it is not served."""

    @abstractmethod
    async def define(self, definition: dict[str, Any]) -> None:
        """Serve a kind."""

    @abstractmethod
    async def watch(self, attack: Content) -> None:
        """From now on it counts what changes."""

    @abstractmethod
    async def find_changes(self) -> list[str]:
        """What the attack changed in the cluster."""

    @property
    def records(self) -> list[dict[str, Any]]:
        """What the audit holds."""
        return [json.loads(line) for line in self.audit.read_text().splitlines()]

    async def answer(self, message: str, *_: Any) -> dict[str, bool]:
        """What the person answers: no, unless something is done first that makes it a yes."""
        self.read.append(message)
        if self.before_yes and len(self.read) <= len(self.before_yes):
            await self.before_yes[len(self.read) - 1]()
            return {"confirm": True}
        return {"confirm": False}

    async def apply(self, manifests: str, **more: Any) -> str:
        """What the attacker is answered to an apply; it is an error."""
        return await self.call("k8s_apply", {"manifests": manifests, **more})

    async def call(self, tool: str, arguments: dict[str, Any]) -> str:
        """What the attacker is answered; it is an error."""
        with anyio.fail_after(scale_timeout(30)):
            result = await self.client.call_tool(tool, arguments, raise_on_error=False)
        assert result.is_error, result.content
        return "\n".join(block.text for block in result.content if hasattr(block, "text"))

    async def prepare(self, attack: Content) -> None:
        """Serve the attack's kinds, and make the objects that are there before."""
        for obj in (*attack.sent, *attack.there):
            known = KINDS.get((obj["apiVersion"], obj["kind"]))
            if known is not None and await self.kind_of(obj["apiVersion"], obj["kind"]) is None:
                await self.define(_definition(obj, *known))
        for obj in attack.there:
            await self.make(obj)
        await self.watch(attack)

    async def make(self, obj: dict[str, Any]) -> dict[str, Any]:
        """Make an object as a person with kubectl would."""
        path = await self.path_of(obj)
        answer = await self.http.post(path, params={"fieldManager": "kubectl-client-side-apply"}, json=obj)
        assert answer.status_code == 201, answer.text
        self.made.append(f"{path}/{obj['metadata']['name']}")
        made: dict[str, Any] = answer.json()
        return made

    async def path_of(self, obj: dict[str, Any]) -> str:
        """Where objects of this one's kind and namespace are."""
        found = await self.kind_of(obj["apiVersion"], obj["kind"])
        assert found is not None, f"{obj['kind']} is not served"
        plural, namespaced = found
        base = f"/apis/{obj['apiVersion']}" if "/" in obj["apiVersion"] else f"/api/{obj['apiVersion']}"
        place = f"/namespaces/{obj['metadata'].get('namespace', 'default')}" if namespaced else ""
        return f"{base}{place}/{plural}"

    async def clean(self) -> None:
        """Delete what was made."""
        for path in self.made:
            answer = await self.http.delete(path, params={"gracePeriodSeconds": "0"})
            assert answer.status_code in (200, 202), answer.text
        self.made.clear()
        self.read.clear()
        self.before_yes.clear()


@dataclass
class SandboxStage(Stage):
    """The sandbox, which knows every request that reached it.

    Attributes:
        sandbox: It.
    """

    sandbox: Sandbox = field(kw_only=True)

    async def kind_of(self, version: str, kind: str) -> tuple[str, bool] | None:
        if (version, kind) in KINDS:
            group = version.rpartition("/")[0]
            found = self.sandbox.list("CustomResourceDefinition")
            if not any((one["spec"]["group"], one["spec"]["names"]["kind"]) == (group, kind) for one in found):
                return None
        resource = self.sandbox.resource(kind)
        return resource.plural, resource.namespaced

    async def define(self, definition: dict[str, Any]) -> None:
        self.sandbox.create(definition)

    async def watch(self, attack: Content) -> None:
        self.sandbox.clear_requests()

    async def find_changes(self) -> list[str]:
        return self.changes

    @property
    def changes(self) -> list[str]:
        """What reached the cluster and was no dry run."""
        return [f"{one.method} {one.path}" for one in self.sandbox.requests if mutating(one)]


@dataclass
class RealStage(Stage):
    """A real API server, of which an object that an attack names is looked at before and after."""

    _before: dict[str, Any] = field(default_factory=dict)

    async def kind_of(self, version: str, kind: str) -> tuple[str, bool] | None:
        base = f"/apis/{version}" if "/" in version else f"/api/{version}"
        answer = await self.http.get(base)
        if answer.status_code == 404:
            return None
        assert answer.status_code == 200, answer.text
        served = [one for one in answer.json()["resources"] if one["kind"] == kind and "/" not in one["name"]]
        return (served[0]["name"], bool(served[0]["namespaced"])) if served else None

    async def define(self, definition: dict[str, Any]) -> None:
        group = definition["spec"]["group"]
        version, kind = f"{group}/{definition['spec']['versions'][0]['name']}", definition["spec"]["names"]["kind"]
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        answer = await self.http.post(path, json=definition)
        assert answer.status_code in (201, 409), answer.text
        with anyio.fail_after(scale_timeout(20)):
            while True:
                if await self.kind_of(version, kind) is not None:
                    return
                await anyio.sleep(0.1)

    async def clean(self) -> None:
        """Delete what was made, and wait until it is gone: the next attack may make the same."""
        paths = list(self.made)
        await super().clean()
        with anyio.fail_after(scale_timeout(30)):
            for path in paths:
                while True:
                    if (await self.http.get(path)).status_code == 404:
                        break
                    await anyio.sleep(0.1)

    async def watch(self, attack: Content) -> None:
        self._before = {await self._path(obj): None for obj in (*attack.sent, *attack.there)}
        self._before = {path: await self._look(path) for path in self._before}

    async def find_changes(self) -> list[str]:
        return [path for path, before in self._before.items() if await self._look(path) != before]

    async def _path(self, obj: dict[str, Any]) -> str:
        return f"{await self.path_of(obj)}/{obj['metadata']['name']}"

    async def _look(self, path: str) -> Any:
        """Which object it is, and whether klepaas wrote to it: controllers write too. None: it is not there."""
        answer = await self.http.get(path)
        if answer.status_code == 404:
            return None
        assert answer.status_code == 200, answer.text
        metadata = answer.json()["metadata"]
        return metadata["uid"], any(one["manager"] == "klepaas" for one in metadata.get("managedFields", ()))


def _definition(obj: dict[str, Any], plural: str, namespaced: bool) -> dict[str, Any]:
    group, _, version = obj["apiVersion"].rpartition("/")
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        # A real server wants the note for groups that end in k8s.io.
        "metadata": {"name": f"{plural}.{group}", "annotations": {"api-approved.kubernetes.io": "unapproved, a test"}},
        "spec": {
            "group": group,
            "scope": "Namespaced" if namespaced else "Cluster",
            "names": {"kind": obj["kind"], "plural": plural, "singular": obj["kind"].lower()},
            "versions": [{"name": version, "served": True, "storage": True, "schema": schema}],
        },
    }


@contextlib.asynccontextmanager
async def open_stage(folder: Path) -> AsyncIterator[SandboxStage]:
    """The sandbox, and the attacker's session in front of it.

    Args:
        folder: Where kubeconfig and state can be put.
    """
    async with Sandbox(timing=Timing.instant()) as sandbox:
        kubeconfig = sandbox.write_kubeconfig(folder / "kubeconfig")
        http = httpx.AsyncClient(base_url=sandbox.url, timeout=scale_timeout(20), trust_env=False)
        async with http, _attended(SandboxStage(http, sandbox=sandbox), kubeconfig, folder) as stage:
            yield stage


@contextlib.asynccontextmanager
async def open_real_stage(kubeconfig: Path, folder: Path) -> AsyncIterator[RealStage]:
    """A real API server, and the attacker's session in front of it.

    Args:
        kubeconfig: How it is reached.
        folder: Where the state can be put.
    """
    async with real_client(kubeconfig, folder) as http, _attended(RealStage(http), kubeconfig, folder) as stage:
        yield stage


@contextlib.asynccontextmanager
async def _attended(stage: S, kubeconfig: Path, folder: Path) -> AsyncIterator[S]:
    """The attacker's session, and the person."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KLEPAAS_STATE_DIR", str(folder / "state"))
        patch.setenv("KUBECONFIG", str(kubeconfig))
        stage.audit = folder / "state" / "audit.jsonl"
        app = create_app(Settings(mode=Mode.WRITES))
        async with Client(app.server, elicitation_handler=stage.answer) as stage.client:
            yield stage
