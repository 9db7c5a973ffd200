"""What an attack needs: a cluster with a secret in it, the sandbox or a real one, and a klepaas in front of it."""

import base64
import contextlib
import json
import re
import secrets
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml
from fastmcp import Client

from klepaas.app import create_app
from klepaas.settings import Mode, Settings
from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.sandbox import Sandbox

Json = dict[str, Any]
# The shortest part of a secret that counts as having come out.
PART_CHARS = 6
PLURALS = {
    "Secret": "api/v1/namespaces/{}/secrets",
    "ConfigMap": "api/v1/namespaces/{}/configmaps",
    "Pod": "api/v1/namespaces/{}/pods",
    "Event": "api/v1/namespaces/{}/events",
    "Service": "api/v1/namespaces/{}/services",
    "Deployment": "apis/apps/v1/namespaces/{}/deployments",
    "Job": "apis/batch/v1/namespaces/{}/jobs",
    "Vault": "apis/attack.klepaas.dev/v1/namespaces/{}/vaults",
}


@dataclass
class World:
    """A namespace of a cluster, and a client session in front of it.

    Attributes:
        http: A bare way to the API server, as the victim has it.
        client: The attacker's session.
        namespace: Where all of it happens.
        sandbox: The cluster, where it is one. None: it is a real one.
        secret: What must not come out, and is not to be guessed.
    """

    http: httpx.AsyncClient
    client: Client[Any]
    namespace: str
    sandbox: Sandbox | None
    secret: str = field(default_factory=lambda: f"Zq7{secrets.token_hex(10)}xK")

    @property
    def fake(self) -> Sandbox:
        """The sandbox, for an attack that a real server cannot be made to play."""
        assert self.sandbox is not None
        return self.sandbox

    @property
    def wrong(self) -> str:
        """A guess as long as the secret that is not it."""
        return self.secret[::-1]

    async def plant(self, obj: Json, manager: str = "kubectl-client-side-apply") -> Json:
        """Make an object as its owner would."""
        metadata = {"namespace": self.namespace, **obj["metadata"]}
        if obj["kind"] == "Event":
            obj = {**obj, "involvedObject": {**obj["involvedObject"], "namespace": self.namespace}}
        path = PLURALS[obj["kind"]].format(self.namespace)
        answer = await self.http.post(f"/{path}", params={"fieldManager": manager}, json={**obj, "metadata": metadata})
        assert answer.status_code == 201, answer.text
        made: Json = answer.json()
        return made

    async def ask(self, tool: str, **arguments: Any) -> str:
        """What a call answers: all of it that a client gets."""
        place = {} if tool == "get_operation" else {"namespace": self.namespace}
        result = await self.client.call_tool(
            tool, {**place, **arguments}, raise_on_error=False, timeout=scale_timeout(20)
        )
        texts = [block.text for block in result.content if hasattr(block, "text")]
        return "\n".join([*texts, json.dumps(result.structured_content), json.dumps(result.meta)])

    async def dry_run(self, obj: Json, **more: Any) -> str:
        """What a dry run of a manifest answers."""
        return await self.ask("k8s_apply", manifests=json.dumps(obj), dry_run=True, **more)

    def leaks(self, answer: str) -> list[str]:
        """The parts of the secret that stand in an answer, as they are, in base64 or in hexadecimal."""
        forms = [self.secret, base64.b64encode(self.secret.encode()).decode().rstrip("="), self.secret.encode().hex()]
        parts = {form[at : at + PART_CHARS] for form in forms for at in range(len(form) - PART_CHARS + 1)}
        return sorted(part for part in parts if part in answer)

    def anonymous(self, answer: str, guess: str) -> str:
        """An answer without the caller's own guess, ages and the plan's handle, so that two answers can be compared."""
        answer = re.sub(r"\bplan(?:-[a-z0-9]{5}){4}\b", "PLAN", answer)
        answer = re.sub(r"\b\d+(?:ms|s|m)\b", "~", answer)
        return answer.replace(guess, "GUESS").replace(base64.b64encode(guess.encode()).decode(), "GUESS")


def obj(kind: str, name: str, **fields: Any) -> Json:
    """An object."""
    group = PLURALS[kind].split("/namespaces")[0].removeprefix("apis/").removeprefix("api/")
    return {"apiVersion": group, "kind": kind, "metadata": {"name": name}, **fields}


def definition(**version: Any) -> Json:
    """The definition of a kind of one's own, with a password, a colour, and what else the schema may hold."""
    text = {"type": "string"}
    spec = {"type": "object", "properties": {"password": text, "color": text, "slots": {"type": "array", "items": {
        "type": "object", "properties": {"name": text, "value": text}}}}}  # fmt: skip
    schema = {"type": "object", "properties": {"spec": spec}}
    one = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, **version}
    names = {"kind": "Vault", "plural": "vaults", "singular": "vault", "listKind": "VaultList"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "vaults.attack.klepaas.dev"},
        "spec": {"group": "attack.klepaas.dev", "scope": "Namespaced", "names": names, "versions": [one]},
    }


@contextlib.asynccontextmanager
async def session() -> AsyncIterator[Client[Any]]:
    """A client of a klepaas that may write."""
    async with Client(create_app(Settings(mode=Mode.WRITES)).server) as client:
        yield client


def real_client(kubeconfig: Path, folder: Path) -> httpx.AsyncClient:
    """A bare client with the certificate of the kubeconfig's first user.

    Args:
        kubeconfig: The kubeconfig.
        folder: Where the certificate can be put.
    """
    content = yaml.safe_load(kubeconfig.read_text())
    cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
    for name in ("client-certificate-data", "client-key-data"):
        (folder / name).write_bytes(base64.b64decode(user[name]))
    trusted = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    trusted.load_cert_chain(folder / "client-certificate-data", folder / "client-key-data")
    return httpx.AsyncClient(base_url=cluster["server"], verify=trusted, timeout=scale_timeout(20), trust_env=False)
