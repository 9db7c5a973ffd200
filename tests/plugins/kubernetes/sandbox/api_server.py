"""An API server that tests of its facts speak to, whichever it is, and the bodies that they send."""

from __future__ import annotations

import json
import secrets
import ssl
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import yaml

from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

Json = dict[str, Any]
APPLY = "application/apply-patch+yaml"
MERGE, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
LIMIT_S = scale_timeout(15)
MAIN, SCALE = ("klepaas", "Apply", ""), ("klepaas", "Apply", "scale")
MANAGED = "kube-controller-manager"
RBAC = "rbac.authorization.k8s.io"


@dataclass
class Server:
    """An API server, and a namespace in it that a test has for itself.

    Attributes:
        http: Its client.
        namespace: The namespace.
        sandbox: The sandbox; None for a real server.
        user: Whom the requests impersonate; empty for nobody.
        cleanup: Paths that are deleted after the test, of what lies in no namespace.
        trusted: What verifies its certificate, without credentials.
    """

    http: httpx.AsyncClient
    namespace: str
    sandbox: Sandbox | None = None
    user: str = ""
    cleanup: list[str] = field(default_factory=list)
    trusted: ssl.SSLContext | bool = True

    def impersonate(self, user: str) -> Server:
        """The same server, for another user."""
        return replace(self, user=user)

    @property
    def is_real(self) -> bool:
        """Whether it is no sandbox."""
        return self.sandbox is None

    @property
    def headers(self) -> dict[str, str]:
        return {"impersonate-user": self.user} if self.user else {}

    def path(self, plural: str, name: str = "", group: str = "", namespace: str = "") -> str:
        head = f"/apis/{group}" if group else "/api/v1"
        return f"{head}/namespaces/{namespace or self.namespace}/{plural}" + (f"/{name}" if name else "")

    async def apply(
        self, path: str, body: Json, manager: str = "klepaas", *, force: bool = False, dry_run: bool = False
    ) -> httpx.Response:
        query = {"fieldManager": manager, "force": str(force).lower()} | ({"dryRun": "All"} if dry_run else {})
        headers = {"content-type": APPLY, **self.headers}
        return await self.http.patch(path, params=query, content=json.dumps(body), headers=headers)

    async def patch(self, path: str, body: Any, kind: str = MERGE, manager: str = "kubectl") -> httpx.Response:
        headers = {"content-type": kind, **self.headers}
        return await self.http.patch(path, params={"fieldManager": manager}, content=json.dumps(body), headers=headers)

    async def post(self, path: str, body: Json, manager: str = "kubectl", **query: str) -> httpx.Response:
        return await self.http.post(path, params={"fieldManager": manager, **query}, json=body, headers=self.headers)

    async def read(self, path: str) -> httpx.Response:
        return await self.http.get(path, headers=self.headers)

    async def get(self, path: str) -> Json:
        answer = await self.read(path)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    def deployment(self, name: str = "web") -> str:
        return self.path("deployments", name, "apps/v1")

    async def until(self, path: str, holds: Callable[[Json], Any], limit_s: float = LIMIT_S) -> Json:
        """An object once something holds of it; a real cluster says so to nobody, so it is asked again and again."""
        with anyio.fail_after(limit_s):
            while not holds(found := await self.get(path)):
                await self._pause()
        return found

    async def answers(
        self, send: Callable[[], Awaitable[httpx.Response]], accept: Callable[[httpx.Response], bool]
    ) -> httpx.Response:
        """The answer to a request once it is an expected one: admission changes some time after it was told to."""
        with anyio.fail_after(LIMIT_S):
            while not accept(answer := await send()):
                await self._pause()
        return answer

    async def _pause(self) -> None:
        with anyio.move_on_after(0.05):
            await (self.sandbox.changed() if self.sandbox else anyio.sleep_forever())


@asynccontextmanager
async def sandbox_server() -> AsyncIterator[Server]:
    """A sandbox as a server."""
    async with (
        Sandbox(Timing.instant()) as sandbox,
        httpx.AsyncClient(base_url=sandbox.url, timeout=LIMIT_S, trust_env=False) as http,
    ):
        sandbox.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "applied"}})
        yield Server(http, "applied", sandbox)


@asynccontextmanager
async def real_server(kubeconfig: Path, folder: Path) -> AsyncIterator[Server]:
    """A real server, with a namespace that is deleted in the end."""
    trusted, http = _clients_of(kubeconfig, folder)
    async with http:
        namespace = f"klepaas-apply-{secrets.token_hex(4)}"
        made = await http.post("/api/v1/namespaces", json={"metadata": {"name": namespace}})
        assert made.status_code == 201, made.text
        server = Server(http, namespace, trusted=trusted)
        try:
            yield server
        finally:
            for path in (*server.cleanup, f"/api/v1/namespaces/{namespace}"):
                await http.delete(path)


def _clients_of(kubeconfig: Path, folder: Path) -> tuple[ssl.SSLContext, httpx.AsyncClient]:
    """What verifies a server, and a bare client with the certificate of the current context's user."""
    content = yaml.safe_load(kubeconfig.read_text())
    cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
    for name in ("client-certificate-data", "client-key-data"):
        (folder / name).write_bytes(b64decode(user[name]))
    authority = b64decode(cluster["certificate-authority-data"]).decode()
    trusted, known = (ssl.create_default_context(cadata=authority) for _ in range(2))
    known.load_cert_chain(folder / "client-certificate-data", folder / "client-key-data")
    return trusted, httpx.AsyncClient(base_url=cluster["server"], verify=known, timeout=LIMIT_S, trust_env=False)


def deployment(**spec: Any) -> Json:
    labels = {"app": "web"}
    pod = {"containers": [{"name": "main", "image": "example/app:1"}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }


def containers(*found: Json) -> Json:
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": list(found)}}


def config_map(data: Json, name: str = "settings", **metadata: Any) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": data}


def entries(obj: Json) -> dict[tuple[str, str, str], Json]:
    """What each manager owns, by manager, operation and subresource."""
    found = obj["metadata"].get("managedFields") or []
    return {(one["manager"], one["operation"], one.get("subresource", "")): one["fieldsV1"] for one in found}
