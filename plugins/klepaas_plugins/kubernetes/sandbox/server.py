"""The sandbox as a server on loopback: started and stopped in the running event loop."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.lowlevel
import uvicorn
import yaml
from starlette.requests import Request as HttpRequest
from starlette.types import Message, Receive, Scope, Send

from .controllers.manager import ControllerManager
from .events import Recorder
from .faults import Faults
from .logs import Logs
from .model import Json, Timing, new_uid, timestamp
from .objects import DeleteOptions, Objects, Write
from .resources import Resource
from .routes import Router, answer
from .seed import seed
from .status import ApiError

_NAME = "sandbox"
_REQUESTS_KEPT = 10_000
_START_S = 10
_CLOSE_S = 0.05


@dataclass(frozen=True)
class Request:
    """A request as it arrived.

    Args:
        parsed: the body as JSON or YAML; None when it is empty or neither.
    """

    method: str
    path: str
    query: dict[str, str]
    body: bytes
    content_type: str
    parsed: Any = None


def mutating(request: Request) -> bool:
    """Whether a request would change the cluster: a write that is neither a dry run nor an access review."""
    if request.method not in ("POST", "PUT", "PATCH", "DELETE") or request.query.get("dryRun") == "All":
        return False
    if request.method == "DELETE" and isinstance(request.parsed, dict) and request.parsed.get("dryRun") == ["All"]:
        return False
    return not request.path.startswith(("/apis/authorization.k8s.io/", "/apis/authentication.k8s.io/"))


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process is not the sandbox's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def stop(self, listener: socket.socket) -> None:
        """Close everything as soon as it can be; uvicorn's own shutdown waits in steps of 100 ms."""
        for server in self.servers:
            server.close()
        connections, tasks = self.server_state.connections, self.server_state.tasks
        for connection in list(connections):
            connection.shutdown()
        with anyio.move_on_after(_CLOSE_S):
            while connections or tasks:
                await anyio.lowlevel.checkpoint()
        if connections or tasks:
            await self.shutdown(sockets=[listener])
        listener.close()
        for server in self.servers:
            await server.wait_closed()


class Sandbox:
    """A Kubernetes API server in this process, on loopback, without a cluster.

    Args:
        timing: how long the simulated cluster takes.
        token: bearer token clients must present; None lets everyone in.
        port: to listen on; 0 for any free one.
        nodes: how many nodes the cluster has.
    """

    def __init__(
        self, timing: Timing | None = None, token: str | None = None, port: int = 0, *, nodes: int = 2
    ) -> None:
        self.timing = timing or Timing()
        self.token = token
        self.requests: list[Request] = []
        self._port = port
        self._objects = Objects(self.timing)
        self._recorder = Recorder(self._objects)
        self._logs = Logs(self._objects)
        self._faults = Faults(token)
        self._router = Router(self._objects, self._logs, self._faults)
        self._controllers = ControllerManager(self._objects, self._recorder)
        self._stack = AsyncExitStack()
        self._stopping = anyio.Event()
        seed(self._objects, nodes)

    async def __aenter__(self) -> Self:
        # asyncio sends small answers at once (TCP_NODELAY) only where the protocol is named.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", self._port))
        except OSError:
            listener.close()
            raise
        self._port = listener.getsockname()[1]
        self._group = await self._stack.enter_async_context(anyio.create_task_group())
        self._group.start_soon(self._controllers.run)
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            lifespan="off",
            log_config=None,
            access_log=False,
            ws="none",
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        )
        config.load()
        self._server = _Server(config)
        self._server.lifespan = config.lifespan_class(config)
        with anyio.fail_after(_START_S):
            await self._server.startup(sockets=[listener])
        self._listener = listener
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._stopping.set()
        with anyio.CancelScope(shield=True):
            await self._server.stop(self._listener)
        self._group.cancel_scope.cancel()
        return await self._stack.__aexit__(kind, error, trace)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    def kubeconfig(self) -> Json:
        """A kubeconfig whose only context, `sandbox`, is this server."""
        user: Json = {"token": self.token} if self.token else {}
        context = {"cluster": _NAME, "user": _NAME, "namespace": "default"}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": _NAME, "cluster": {"server": self.url}}],
            "users": [{"name": _NAME, "user": user}],
            "contexts": [{"name": _NAME, "context": context}],
            "current-context": _NAME,
        }

    def write_kubeconfig(self, path: Path) -> Path:
        """Write the kubeconfig to a file only its owner can read."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(descriptor, 0o600)
            yaml.safe_dump(self.kubeconfig(), file)
        return path

    def clear_requests(self) -> None:
        """Forget the requests so far."""
        self.requests.clear()

    def create(self, obj: Json) -> Json:
        """Create an object as a client would; namespaced ones in `default` unless they say otherwise.

        Raises:
            ApiError: what the API server would answer.
        """
        resource, namespace = self._place(obj)
        return self._objects.create(resource, namespace, obj, Write(_NAME))

    def plant(self, obj: Json) -> Json:
        """Store an object as it is, status and all, without checks. A pod with `spec.nodeName` elsewhere stays so."""
        resource, namespace = self._place(obj)
        meta = {"uid": new_uid(), "creationTimestamp": timestamp(time.time()), **obj["metadata"]}
        if namespace:
            meta["namespace"] = namespace
        return self._objects.store.put(resource, {**obj, "metadata": meta})

    def get(self, kind: str, name: str, namespace: str = "default") -> Json | None:
        """An object by its kind (`Deployment`) or plural; None when there is none."""
        resource = self._resource(kind)
        return self._objects.store.get(resource, namespace if resource.namespaced else "", name)

    def list(self, kind: str, namespace: str | None = None) -> list[Json]:
        """The objects of a kind, of every namespace when None."""
        return self._objects.store.list(self._resource(kind), namespace)

    def delete(self, kind: str, name: str, namespace: str = "default") -> None:
        """Delete an object as a client would.

        Raises:
            ApiError: what the API server would answer.
        """
        resource = self._resource(kind)
        self._objects.delete(resource, namespace if resource.namespaced else "", name, DeleteOptions())

    async def changed(self) -> None:
        """Wait for the next write to any object."""
        await self._objects.store.changed()

    def set_log(self, namespace: str, pod_or_prefix: str, text: str) -> None:
        """Plant what pods of this name, or whose name begins so, have logged."""
        self._logs.plant(namespace, pod_or_prefix, text)

    def deny(self, verb: str, resource: str, namespace: str | None = None) -> None:
        """Refuse a verb on a resource (`pods`, `pods/log`, `*`) as RBAC does; everywhere when the namespace is None."""
        self._faults.deny(verb, resource, namespace)

    def fail(
        self,
        method: str,
        path_regex: str,
        status: int,
        *,
        reason: str = "",
        message: str = "",
        times: int | None = None,
    ) -> None:
        """Answer requests with an error; `method` is `*` for any, `times` None for always."""
        said = message or f"the sandbox was told to fail with {status}"
        self._faults.fail(method, path_regex, ApiError(status, said, reason), times)

    def hang(self, path_regex: str) -> None:
        """Never answer requests to these paths."""
        self._faults.hang(path_regex)

    def unauthorized_after(self, requests: int) -> None:
        """Accept so many requests more, then answer 401 to all."""
        self._faults.unauthorized_after(requests)

    def clear_faults(self) -> None:
        """Take back every deny, fail, hang and unauthorized_after."""
        self._faults.clear()

    def allow_user(self, user: str) -> None:
        """Let a user that clients impersonate do what they themselves may; any other may do nothing."""
        self._faults.users.add(user)

    def _resource(self, kind: str) -> Resource:
        for resource in self._objects.registry.all():
            if kind in (resource.kind, resource.plural):
                return resource
        raise LookupError(f"the sandbox has no kind {kind}")

    def _place(self, obj: Json) -> tuple[Resource, str]:
        resource = self._objects.registry.of_kind(obj["apiVersion"], obj["kind"])
        if resource is None:
            raise LookupError(f"the sandbox has no {obj['kind']} in {obj['apiVersion']}")
        return resource, obj["metadata"].get("namespace", "default") if resource.namespaced else ""

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request, and give up on it when the sandbox stops."""
        request = HttpRequest(scope, receive)
        body = await request.body()
        self._record(request, body)
        answer_to = _Answer(send)
        async with anyio.create_task_group() as group:

            async def stop() -> None:
                await self._stopping.wait()
                group.cancel_scope.cancel()

            group.start_soon(stop)
            await self._answer(request, body, answer_to.send)
            group.cancel_scope.cancel()
        await answer_to.finish()

    async def _answer(self, request: HttpRequest, body: bytes, send: Send) -> None:
        try:
            if self._faults.strike(request.method, request.url.path):
                await _gone(request)
                return
        except ApiError as error:
            response = answer(error.body, error.code)
        else:
            response = await self._router.handle(request, body)
        await response(request.scope, request.receive, send)

    def _record(self, request: HttpRequest, body: bytes) -> None:
        parsed: Any = None
        with contextlib.suppress(ValueError, yaml.YAMLError):
            parsed = (json.loads(body) if body[:1] in b"{[" else yaml.safe_load(body)) if body else None
        content_type = request.headers.get("content-type", "")
        seen = Request(request.method, request.url.path, dict(request.query_params), body, content_type, parsed)
        self.requests.append(seen)
        if len(self.requests) > _REQUESTS_KEPT:
            del self.requests[: _REQUESTS_KEPT // 2]


class _Answer:
    """An answer under way, which can be ended early without breaking the protocol."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._begun = self._ended = False

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on."""
        self._begun = True
        self._ended = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._send(message)

    async def finish(self) -> None:
        """End what was cut short; a request without any answer gets 503."""
        if self._ended:
            return
        if not self._begun:
            await self._send({"type": "http.response.start", "status": 503, "headers": [(b"connection", b"close")]})
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(request: HttpRequest) -> None:
    """Wait until the client gives up."""
    message: Message = await request.receive()
    while message["type"] != "http.disconnect":
        message = await request.receive()
