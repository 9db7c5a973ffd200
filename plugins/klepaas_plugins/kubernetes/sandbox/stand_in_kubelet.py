"""Kubelets for a real control plane that has no nodes: pods behave there as they do in the sandbox.

`python -m klepaas_plugins.kubernetes.sandbox.stand_in_kubelet --kubeconfig FILE [--nodes N] [--cert FILE --key FILE]`
registers nodes, keeps their leases fresh, moves the pods bound to them as `pod_behaviour.observe` says, and, given a
certificate, answers the API server's log requests over TLS on loopback, at port 10250 and on.

Not done: exec, metrics.
"""

from __future__ import annotations

import argparse
import base64
import json
import logging
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
import httpx
import uvicorn
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from .controllers.kubelet import keep_times
from .logs import log_text
from .model import Json, Timing, micro_timestamp, seconds_of, timestamp
from .pod_behaviour import Pod, PodEvent, log_lines, observe
from .pods import is_finished
from .references import environments, missing, referred
from .seed import node_status
from .server import QuietServer
from .status import ApiError

_log = logging.getLogger(__name__)
_FIRST_PORT = 10250
_LEASE_S = 10.0
_RETRY_S = 1.0
_REQUEST_S = 10.0
_MERGE = {"content-type": "application/merge-patch+json"}
_APPLY = {"content-type": "application/apply-patch+yaml"}


@dataclass
class _Life:
    """A pod this process moves: what it was last, and a signal that it has changed."""

    object: Json
    pod: Pod
    changed: anyio.Event = field(default_factory=anyio.Event)
    emitted: dict[tuple[str, str], int] = field(default_factory=dict)
    looked: bool = False


class StandInKubelet:
    """Kubelets of some nodes.

    Args:
        api: a client of the API server, allowed to do everything.
        nodes: how many nodes.
        timing: how long pods take.
        first_port: where the first node's log requests are answered.
    """

    def __init__(
        self, api: httpx.AsyncClient, nodes: int, timing: Timing | None = None, first_port: int = _FIRST_PORT
    ) -> None:
        self._api = api
        self._nodes = [f"node-{index}" for index in range(nodes)]
        self._timing = timing or Timing()
        self._first_port = first_port
        self._lives: dict[str, _Life] = {}
        self._addresses = 0

    async def run(self) -> None:
        """Work until cancelled."""
        async with anyio.create_task_group() as group:
            for index, node in enumerate(self._nodes):
                group.start_soon(self._register, node, self._first_port + index)
            while True:
                try:
                    await self._follow(group)
                except (httpx.HTTPError, ValueError) as error:
                    _log.warning("the watch of pods ended: %r", error)
                    await anyio.sleep(_RETRY_S)

    async def _register(self, node: str, port: int) -> None:
        labels = {"kubernetes.io/hostname": node, "kubernetes.io/os": "linux"}
        lease = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{node}?fieldManager=kubelet&force=true"
        meta = {"name": node, "namespace": "kube-node-lease"}
        await self._ask("POST", "/api/v1/nodes", {"metadata": {"name": node, "labels": labels}})
        status = {**node_status(node), "daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}
        await self._ask("PATCH", f"/api/v1/nodes/{node}/status", {"status": status}, _MERGE)
        while True:
            spec = {"holderIdentity": node, "leaseDurationSeconds": 40, "renewTime": micro_timestamp(time.time())}
            body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": spec}
            await self._ask("PATCH", lease, body, _APPLY)
            await anyio.sleep(_LEASE_S)

    async def _ask(self, method: str, path: str, body: Json, headers: Mapping[str, str] | None = None) -> int:
        """Send a request; what fails is tried again by whoever asks next."""
        try:
            answer = await self._api.request(method, path, json=body, headers=headers)
        except httpx.HTTPError as error:
            _log.warning("%s %s: %r", method, path, error)
            return 0
        if answer.status_code >= 400 and answer.status_code not in (403, 404, 409):
            _log.warning("%s %s: %s %s", method, path, answer.status_code, answer.text[:300])
        return answer.status_code

    async def _follow(self, group: anyio.abc.TaskGroup) -> None:
        listed = (await self._api.get("/api/v1/pods")).raise_for_status().json()
        for pod in listed["items"]:
            self._see(group, pod)
        query = f"watch=1&resourceVersion={listed['metadata']['resourceVersion']}"
        limit = httpx.Timeout(_REQUEST_S, read=None)
        async with self._api.stream("GET", f"/api/v1/pods?{query}", timeout=limit) as answer:
            async for line in answer.aiter_lines():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                if event["type"] == "DELETED":
                    self._forget(event["object"]["metadata"]["uid"])
                elif event["type"] in ("ADDED", "MODIFIED"):
                    self._see(group, event["object"])

    def _see(self, group: anyio.abc.TaskGroup, pod: Json) -> None:
        uid = pod["metadata"]["uid"]
        known = self._lives.get(uid)
        if known is not None:
            known.object = pod
            if pod["metadata"].get("deletionTimestamp"):
                known.changed.set()
        elif pod["spec"].get("nodeName") in self._nodes:
            life = self._lives[uid] = _Life(pod, self._pod(pod))
            group.start_soon(self._live, uid, life)

    def _forget(self, uid: str) -> None:
        life = self._lives.pop(uid, None)
        if life is not None:
            life.changed.set()

    def _pod(self, pod: Json) -> Pod:
        meta, status = pod["metadata"], pod.get("status") or {}
        self._addresses += 1
        address = status.get("podIP") or f"10.1.{self._addresses // 250 % 250}.{self._addresses % 250 + 1}"
        started_s = seconds_of(status["startTime"]) if status.get("startTime") else time.time()
        return Pod(meta["namespace"], meta["name"], meta["uid"], pod["spec"], address, "127.0.0.1", started_s)

    async def _live(self, uid: str, life: _Life) -> None:
        """Move one pod until it is gone."""
        while uid in self._lives:
            if life.object["metadata"].get("deletionTimestamp"):
                await anyio.sleep(self._timing.stop_s)
                path = f"/api/v1/namespaces/{life.pod.namespace}/pods/{life.pod.name}"
                body = {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
                if await self._ask("DELETE", path, body) in (200, 404, 409):
                    self._forget(uid)
                    return
                continue
            next_s = None if is_finished(life.object) else await self._step(life)
            with anyio.move_on_after(None if next_s is None else max(next_s - time.time(), 0.01)):
                await life.changed.wait()

    async def _look_up(self, life: _Life) -> None:
        """See what the pod takes from ConfigMaps and Secrets, until all of it is there."""
        if life.looked and not life.pod.blocked:
            return
        found: dict[tuple[str, str], Json | None] = {}
        for kind, name in referred(life.pod.spec):
            path = f"/api/v1/namespaces/{life.pod.namespace}/{kind.lower()}s/{name}"
            answer = await self._api.get(path)
            found[kind, name] = answer.json() if answer.status_code == 200 else None
        spec, find = life.pod.spec, lambda kind, name: found.get((kind, name))
        held, known = missing(life.pod.namespace, spec, find), environments(spec, find)
        life.pod, life.looked = replace(life.pod, blocked=held, environments=known), True

    async def _step(self, life: _Life) -> float | None:
        now_s = time.time()
        try:
            await self._look_up(life)
        except httpx.HTTPError as error:
            _log.warning("what %s refers to cannot be read: %r", life.pod.name, error)
            return now_s + _RETRY_S
        seen = observe(life.pod, now_s, self._timing)
        status = keep_times(life.object.get("status") or {}, seen.status)
        status.pop("qosClass", None)
        path = f"/api/v1/namespaces/{life.pod.namespace}/pods/{life.pod.name}/status"
        body = {"metadata": {"uid": life.pod.uid}, "status": status}
        if await self._ask("PATCH", path, body, _MERGE) not in (200, 404):
            return now_s + _RETRY_S
        for event in seen.events:
            await self._report(life, event)
        return now_s + _RETRY_S if life.pod.blocked else seen.next_s

    async def _report(self, life: _Life, event: PodEvent) -> None:
        key = event.reason, event.message
        if life.emitted.get(key, 0) >= event.count:
            return
        life.emitted[key] = event.count
        meta = life.object["metadata"]
        name = f"{meta['name']}.{abs(hash((meta['uid'], key))):016x}"
        where = {"kind": "Pod", "apiVersion": "v1", **{part: meta[part] for part in ("namespace", "name", "uid")}}
        if event.container:
            where["fieldPath"] = f"spec.containers{{{event.container}}}"
        latest = {"count": event.count, "lastTimestamp": timestamp(event.at_s)}
        path, node = f"/api/v1/namespaces/{meta['namespace']}/events", life.object["spec"]["nodeName"]
        body = {
            "metadata": {"name": name}, "involvedObject": where, "type": event.type, "reason": event.reason,
            "message": event.message, "firstTimestamp": timestamp(event.at_s), **latest,
            "source": {"component": "kubelet", "host": node}, "reportingComponent": "kubelet",
            "reportingInstance": node,
        }  # fmt: skip
        if await self._ask("POST", path, body) == 409:
            await self._ask("PATCH", f"{path}/{name}", latest, _MERGE)

    async def log(self, request: Request) -> Response:
        """Answer the API server's request for a container's log."""
        wanted = request.path_params
        for life in self._lives.values():
            if (life.pod.namespace, life.pod.name) == (wanted["namespace"], wanted["pod"]):
                return self._log_of(life, wanted["container"], request.query_params)
        return PlainTextResponse("no such pod", 404)

    def _log_of(self, life: _Life, name: str, query: Mapping[str, str]) -> Response:
        every = [*life.pod.spec["containers"], *(life.pod.spec.get("initContainers") or ())]
        container = next((one for one in every if one["name"] == name), None)
        if container is None:
            return PlainTextResponse("no such container", 404)
        now_s = time.time()
        started_s = life.pod.started_s + self._timing.pull_s + self._timing.start_s
        try:
            lines = log_lines(container, started_s, now_s, life.pod.life(container))
            return PlainTextResponse(log_text(lines, query, now_s))
        except ApiError as error:
            return PlainTextResponse(str(error), error.code)


def _file(directory: Path, entry: Json, name: str) -> str:
    """The path of a part of a kubeconfig that is given in it or in a file beside it."""
    if entry.get(name):
        return str(entry[name])
    path = directory / name
    path.touch(mode=0o600)
    path.write_bytes(base64.b64decode(entry[f"{name}-data"]))
    return str(path)


@asynccontextmanager
async def client_of(kubeconfig: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a kubeconfig's first cluster as its first user: by certificate or token."""
    content = yaml.safe_load(await anyio.Path(kubeconfig).read_text())
    cluster, user = content["clusters"][0]["cluster"], content["users"][0].get("user") or {}
    verify: ssl.SSLContext | bool = True
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        if cluster["server"].startswith("https:"):
            verify = ssl.create_default_context(cafile=_file(directory, cluster, "certificate-authority"))
            if "client-certificate" in user or "client-certificate-data" in user:
                verify.load_cert_chain(
                    _file(directory, user, "client-certificate"), _file(directory, user, "client-key")
                )
    headers = {"authorization": f"Bearer {user['token']}"} if user.get("token") else {}
    limits = httpx.Limits(max_connections=32)
    async with httpx.AsyncClient(
        base_url=cluster["server"], verify=verify, headers=headers, timeout=_REQUEST_S, limits=limits, trust_env=False
    ) as client:
        yield client


async def serve(arguments: argparse.Namespace) -> None:
    """Be the kubelets until stopped."""
    async with client_of(arguments.kubeconfig) as api, anyio.create_task_group() as group:
        kubelet = StandInKubelet(api, arguments.nodes, first_port=arguments.port)
        app = Starlette(routes=[Route("/containerLogs/{namespace}/{pod}/{container}", kubelet.log)])
        for index in range(arguments.nodes if arguments.cert else 0):
            config = uvicorn.Config(
                app, host="127.0.0.1", port=arguments.port + index, ssl_certfile=arguments.cert,
                ssl_keyfile=arguments.key, log_config=None, access_log=False, lifespan="off",
            )  # fmt: skip
            group.start_soon(QuietServer(config).serve)
        group.start_soon(kubelet.run)


def main(words: list[str] | None = None) -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="stand_in_kubelet", description="Kubelets for a control plane without nodes.")
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--port", type=int, default=_FIRST_PORT, help="of the first node; the others follow")
    parser.add_argument("--cert", help="certificate to answer log requests with; none without")
    parser.add_argument("--key", help="its key")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    try:
        anyio.run(serve, parser.parse_args(words))
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
