"""The sandbox as a server on loopback: started and stopped in the running event loop."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
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
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from klepaas.portability import files
from klepaas.portability.sockets import listening_socket

from .answers import Answer, CutOffError
from .bodies import read_yaml
from .calls import answer
from .controllers.manager import ControllerManager
from .events import Recorder
from .faults import Effect, Faults
from .knobs import Knobs
from .logs import Logs
from .metrics import Metrics
from .model import Json, Timing, new_uid, timestamp
from .objects import DeleteOptions, Objects, Write
from .resources import Resource
from .routes import Router
from .schema import check_fields
from .seed import seed
from .status import ApiError
from .verbs import Verbs

_log = logging.getLogger(__name__)
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


class QuietServer(uvicorn.Server):
    """uvicorn without its signal handlers: the process is not the sandbox's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's signals alone."""
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


class Sandbox(Knobs):
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
        self._faults = Faults(token, self._objects.rights)
        self._metrics = Metrics(self._objects.store)
        self._verbs = Verbs(self._objects, self._logs, self._faults, self._metrics)
        self._router = Router(self._objects, self._verbs, self._faults)
        self._controllers = ControllerManager(self._objects, self._recorder, self._metrics)
        self._stack = AsyncExitStack()
        self._stopping = anyio.Event()
        seed(self._objects, nodes)

    async def __aenter__(self) -> Self:
        listener = listening_socket("127.0.0.1", self._port)
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
        self._server = QuietServer(config)
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
        descriptor = files.open_file(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, follow=True)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            files.make_private(descriptor)
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
        return self._objects.create(resource, namespace, check_fields(resource, obj, "Ignore")[0], Write(_NAME))

    def plant(self, obj: Json) -> Json:
        """Store an object as it is, status and all, without checks. A pod with `spec.nodeName` elsewhere stays so."""
        resource, namespace = self._place(obj)
        meta = {"uid": new_uid(), "creationTimestamp": timestamp(time.time()), **obj["metadata"]}
        if namespace:
            meta["namespace"] = namespace
        return self._objects.store.put(resource, {**obj, "metadata": meta})

    def get(self, kind: str, name: str, namespace: str = "default") -> Json | None:
        """An object by its kind (`Deployment`) or plural; None when there is none."""
        resource = self.resource(kind)
        return self._objects.store.get(resource, namespace if resource.namespaced else "", name)

    def list(self, kind: str, namespace: str | None = None) -> list[Json]:
        """The objects of a kind, of every namespace when None."""
        return self._objects.store.list(self.resource(kind), namespace)

    def delete(self, kind: str, name: str, namespace: str = "default") -> None:
        """Delete an object as a client would.

        Raises:
            ApiError: what the API server would answer.
        """
        resource = self.resource(kind)
        self._objects.delete(resource, namespace if resource.namespaced else "", name, DeleteOptions())

    async def changed(self) -> None:
        """Wait for the next write to any object."""
        await self._objects.store.changed()

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
        url = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        effect = self._faults.strike(request.method, url)
        answer_to = Answer(send, effect, self._closer(scope))
        async with anyio.create_task_group() as group:

            async def stop() -> None:
                await self._stopping.wait()
                group.cancel_scope.cancel()

            group.start_soon(stop)
            await self._answer(request, body, effect, answer_to)
            group.cancel_scope.cancel()
        await answer_to.finish()

    async def _answer(self, request: HttpRequest, body: bytes, effect: Effect, answer_to: Answer) -> None:
        await anyio.sleep(effect.delay_s)
        if effect.meanwhile is not None:
            await effect.meanwhile()
        if effect.hang:
            await _gone(request)
            return
        if effect.error is not None:
            response = answer(effect.error.body, effect.error.code)
            response.headers.update(effect.headers)
        else:
            response = await self._handled(request, body)
        try:
            await response(request.scope, request.receive, answer_to.send)
        except CutOffError:
            return

    async def _handled(self, request: HttpRequest, body: bytes) -> Response:
        """The router's answer; 500 where it fails, so that one request ends nothing else."""
        try:
            return await self._router.handle(request, body)
        except Exception as error:  # noqa: BLE001 - as an API server recovers from a panic in a handler
            _log.exception("the sandbox failed at %s %s", request.method, request.url.path)
            said = f"Internal error occurred: the sandbox failed with {type(error).__name__}: {error}"
            return answer(ApiError(500, said, "InternalError", {"causes": [{"message": str(error)}]}).body, 500)

    def _closer(self, scope: Scope) -> Callable[[], None]:
        """What ends the connection a request came by."""

        def close() -> None:
            for connection in list(self._server.server_state.connections):
                if getattr(connection, "client", None) == tuple(scope["client"] or ()):
                    connection.transport.close()

        return close

    def _record(self, request: HttpRequest, body: bytes) -> None:
        parsed: Any = None
        with contextlib.suppress(ValueError):
            parsed = read_yaml(body).value if body else None
        content_type = request.headers.get("content-type", "")
        seen = Request(request.method, request.url.path, dict(request.query_params), body, content_type, parsed)
        self.requests.append(seen)
        if len(self.requests) > _REQUESTS_KEPT:
            del self.requests[: _REQUESTS_KEPT // 2]


async def _gone(request: HttpRequest) -> None:
    """Wait until the client gives up."""
    message: Message = await request.receive()
    while message["type"] != "http.disconnect":
        message = await request.receive()
