"""A cluster, an attacker's session in front of it, and a person who reads what they are asked."""

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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


@dataclass
class Stage:
    """A sandbox, and a person who reads and declines.

    Attributes:
        sandbox: The cluster.
        http: How the owner of the cluster reaches it.
        read: The questions that the person was asked.
        made: The paths of the objects that an attack finds there.
        before_yes: What happens while the person reads each question; then they say yes.
        client: The attacker's session.
        audit: The file of the audit.
    """

    sandbox: Sandbox
    http: httpx.AsyncClient
    read: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    before_yes: list[Callable[[], Awaitable[object]]] = field(default_factory=list)
    client: Client[Any] = field(init=False)
    audit: Path = Path("none")

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
            if known is not None and not self._is_served(obj["apiVersion"], obj["kind"]):
                self.sandbox.create(_definition(obj, *known))
        for obj in attack.there:
            await self.make(obj)
        self.sandbox.clear_requests()

    async def make(self, obj: dict[str, Any]) -> dict[str, Any]:
        """Make an object as a person with kubectl would."""
        resource = self.sandbox.resource(obj["kind"])
        base = f"/apis/{obj['apiVersion']}" if "/" in obj["apiVersion"] else f"/api/{obj['apiVersion']}"
        place = f"/namespaces/{obj['metadata'].get('namespace', 'default')}" if resource.namespaced else ""
        path = f"{base}{place}/{resource.plural}"
        answer = await self.http.post(path, params={"fieldManager": "kubectl-client-side-apply"}, json=obj)
        assert answer.status_code == 201, answer.text
        self.made.append(f"{path}/{obj['metadata']['name']}")
        made: dict[str, Any] = answer.json()
        return made

    async def clean(self) -> None:
        """Delete what was made."""
        for path in self.made:
            answer = await self.http.delete(path, params={"gracePeriodSeconds": "0"})
            assert answer.status_code in (200, 202), answer.text
        self.made.clear()
        self.read.clear()
        self.before_yes.clear()

    def _is_served(self, version: str, kind: str) -> bool:
        group = version.rpartition("/")[0]
        found = self.sandbox.list("CustomResourceDefinition")
        return any((one["spec"]["group"], one["spec"]["names"]["kind"]) == (group, kind) for one in found)

    @property
    def changes(self) -> list[str]:
        """What reached the cluster and was no dry run."""
        return [f"{one.method} {one.path}" for one in self.sandbox.requests if mutating(one)]


def _definition(obj: dict[str, Any], plural: str, namespaced: bool) -> dict[str, Any]:
    group, _, version = obj["apiVersion"].rpartition("/")
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced" if namespaced else "Cluster",
            "names": {"kind": obj["kind"], "plural": plural, "singular": obj["kind"].lower()},
            "versions": [{"name": version, "served": True, "storage": True, "schema": schema}],
        },
    }


@contextlib.asynccontextmanager
async def open_stage(folder: Path) -> AsyncIterator[Stage]:
    """A cluster, and the attacker's session in front of it.

    Args:
        folder: Where kubeconfig and state can be put.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KLEPAAS_STATE_DIR", str(folder / "state"))
        async with Sandbox(timing=Timing.instant()) as sandbox:
            patch.setenv("KUBECONFIG", str(sandbox.write_kubeconfig(folder / "kubeconfig")))
            http = httpx.AsyncClient(base_url=sandbox.url, timeout=scale_timeout(20), trust_env=False)
            stage = Stage(sandbox, http, audit=folder / "state" / "audit.jsonl")
            app = create_app(Settings(mode=Mode.WRITES))
            async with http, Client(app.server, elicitation_handler=stage.answer) as stage.client:
                yield stage
