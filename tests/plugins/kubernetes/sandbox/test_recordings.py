"""The sandbox answers as a real API server was recorded to answer.

Each recorded request is sent again, in order; names, uids and versions that differ from run to run are carried over.
Compared are the status code, a Status word for word, a Table's columns, and the shape of everything else: which keys
there are and of what type. What is not compared is listed below, and the lists are asserted to be exact.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

pytestmark = pytest.mark.anyio

RECORDINGS = Path(__file__).parents[3] / "fixtures" / "k8s-recordings"
FILES = {
    "rec": (
        "discovery-and-access",
        "deployment-lifecycle",
        "apply-and-patch",
        "failures",
        "locks-secrets-watch-delete",
    ),
    "ext": ("extensions-and-controllers",),
}
NOT_COVERED = {
    "log previous": "the recording's stand-in kubelet had logs of a run that never was; the sandbox answers 400",
}
# Sent, but only the status code and the kind are compared: the sandbox serves fewer groups and kinds.
DISCOVERY = {"api groups", "core resources", "apps resources", "aggregated discovery"}
# Of these documents the paths are without parameters and answers, and what the index names is more than was recorded.
OPEN_API: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "OpenAPI index": lambda answered: dict(answered["paths"]),
    "OpenAPI of its group": lambda answered: {
        name: part
        for name, part in answered["components"]["schemas"].items()
        if ".Widget" in name or ".meta.v1.Ob" in name
    },
}
# Deployments whose pods cannot run; their deadline is far off.
STUCK = {"big", "oom"}
# Recorded in the middle of a rollout: how far it has come is chance.
MID_ROLLOUT = {"restart", "apply changes image", "apply nothing new", "apply forced", "apply dry run", "after dry run",
               "merge patch", "strategic patch keeps other containers"}  # fmt: skip
CLIENTS = {"klepaas", "other", "python-httpx"}
# The pod's part of the recordings is a stand-in's, and one volume source is of a downstream build.
NOT_COMPARED = re.compile(
    r"managedFields|storageVersionHash|\.volumes|\.lastState|waiting|\.message$|status\.conditions|columnDefinitions.*description"
    r"|containerStatuses|\.annotations|serverAddress|nominatedNodeName"
)
UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TOKEN = "the-token-of-the-replay"
HASH = re.compile(r"-[bcdfghjklmnpqrstvwxz2456789]{6,10}(-[bcdfghjklmnpqrstvwxz2456789]{5})?\b")


def exchanges(namespace: str) -> Iterator[dict[str, Any]]:
    for name in FILES[namespace]:
        yield from json.loads((RECORDINGS / f"{name}.json").read_text())


def normalised(text: str) -> str:
    text = HASH.sub("-HASH", UID.sub("UID", text))
    return re.sub(r"too old resource version: 1 \(\d+\)", "too old resource version: 1 (N)", text)


def shape(value: Any, path: str = "") -> dict[str, str]:
    """Every path of a value with its type; items of lists share a path."""
    if NOT_COMPARED.search(path):
        return {}
    if isinstance(value, dict):
        found = {path: "object"}
        for name, item in value.items():
            found |= shape(item, f"{path}.{name}")
        return found
    if isinstance(value, list):
        found = {path: "array"}
        for item in value:
            found |= shape(item, f"{path}[]")
        return found
    return {path: "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__}


VARYING = re.compile(rf"{UID.pattern}|\d{{5,}}$|eyJ|[a-z]+{HASH.pattern}")


class Replay:
    """Sends recorded requests to a sandbox, with what the sandbox said in place of what was recorded."""

    def __init__(self, sandbox: Sandbox, client: httpx.AsyncClient) -> None:
        self.sandbox = sandbox
        self.client = client
        self.names: dict[str, str] = {}

    def learn(self, recorded: Any, actual: Any) -> None:
        if isinstance(recorded, dict) and isinstance(actual, dict):
            for name in recorded.keys() & actual.keys():
                self.learn(recorded[name], actual[name])
        elif isinstance(recorded, list) and isinstance(actual, list):
            for one, other in zip(recorded, actual, strict=False):
                self.learn(one, other)
        elif isinstance(recorded, str) and isinstance(actual, str) and recorded != actual and VARYING.match(recorded):
            self.names[recorded] = actual

    def translated(self, text: str) -> str:
        for known in sorted(self.names, key=len, reverse=True):
            if known.isdigit():
                text = re.sub(rf"\b{known}\b", self.names[known], text)
            else:
                text = text.replace(known, self.names[known])
        for known in re.findall(r"/pods/([a-z]+-[bcdfghjklmnpqrstvwxz2456789]{6,10}-\w{5})", text):
            if known not in self.names.values():
                self.names[known] = self.ready_pod(known.split("-", 1)[0])
                text = text.replace(known, self.names[known])
        return text

    def ready_pod(self, app: str) -> str:
        """A running pod that no recorded pod stands for yet."""
        for pod in self.sandbox.list("pods", "rec"):
            name = str(pod["metadata"]["name"])
            if (
                name.startswith(f"{app}-")
                and name not in self.names.values()
                and not pod["metadata"].get("deletionTimestamp")
            ):
                return name
        raise AssertionError(f"no pod of {app}")

    def request(self, exchange: dict[str, Any]) -> httpx.Request:
        request = exchange["request"]
        body = request.get("body")
        if body == "1.5 MB of data":
            body = {"metadata": {"name": "big"}, "data": {"blob": "QUFB" * 351_000}}
        content = self.translated(json.dumps(body)) if body is not None else None
        if body is not None and "resourceVersion" in str(content):
            content = content and re.sub(r'"resourceVersion": "18\d+"', '"resourceVersion": "2"', content)
        headers = {"user-agent": "python-httpx/1"}
        if exchange["name"] != "no credentials":
            headers["authorization"] = f"Bearer {TOKEN}"
        headers |= request.get("headers") or {}
        headers["accept"] = request.get("accept") or "application/json"
        if request.get("content_type"):
            headers["content-type"] = request["content_type"]
        path = self.translated(request["path"]).replace("timeoutSeconds=3", "timeoutSeconds=1")
        path = re.sub(r"events\?limit=5$", "events", path)
        return self.client.build_request(request["method"], path, content=content, headers=headers)

    async def looked(self, namespace: str) -> None:
        """Wait until the autoscaler has looked at its target."""
        with anyio.fail_after(scale_timeout(10)):
            while "conditions" not in self.sandbox.list("HorizontalPodAutoscaler", namespace)[0]["status"]:
                await self.sandbox.changed()

    async def settled(self, namespace: str) -> None:
        """Wait until every Deployment reports what it has observed and no pod is on its way."""
        with anyio.fail_after(scale_timeout(10)):
            while not self.is_settled(namespace):
                with anyio.move_on_after(0.05):
                    await self.sandbox.changed()

    def is_settled(self, namespace: str) -> bool:
        for deployment in self.sandbox.list("deployments", namespace):
            if is_held_back(deployment["status"]):
                continue
            progress = [c for c in deployment["status"].get("conditions", []) if c["type"] == "Progressing"]
            late = not progress or progress[0]["reason"] not in ("NewReplicaSetAvailable", "ProgressDeadlineExceeded")
            if late and deployment["metadata"]["name"] not in STUCK:
                return False
            done = bool(progress) and progress[0]["reason"] == "NewReplicaSetAvailable"
            if done and deployment["status"].get("readyReplicas", 0) != deployment["spec"]["replicas"]:
                return False
        for stateful_set in self.sandbox.list("statefulsets", namespace):
            if stateful_set["status"].get("readyReplicas") != stateful_set["spec"]["replicas"]:
                return False
        for pod in self.sandbox.list("pods", namespace):
            states = [one["state"] for one in pod["status"].get("containerStatuses", [])]
            if any(state.get("waiting", {}).get("reason") == "ContainerCreating" for state in states):
                return False
        return not any(pod["metadata"].get("deletionTimestamp") for pod in self.sandbox.list("pods", namespace))


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(Timing.instant(), token=TOKEN) as running:
        yield running


def compare(name: str, recorded: Any, actual: Any) -> None:
    """Fail when an answer has not the recorded shape."""
    if isinstance(recorded, str) or isinstance(actual, str):
        assert isinstance(recorded, str), name
        assert isinstance(actual, str), name
        return
    if recorded.get("kind") == "Status":
        assert normalised(json.dumps(actual, sort_keys=True)) == normalised(json.dumps(recorded, sort_keys=True)), name
        return
    head = ("kind", "apiVersion")
    assert [actual.get(key) for key in head] == [recorded.get(key) for key in head], name
    if recorded.get("kind") == "Table":
        columns = [
            [{key: c[key] for key in ("name", "type", "format", "priority")} for c in table["columnDefinitions"]]
            for table in (recorded, actual)
        ]
        assert columns[0] == columns[1], name
        assert [type(cell) for cell in actual["rows"][0]["cells"]] == [
            type(cell) for cell in recorded["rows"][0]["cells"]
        ], name
    if recorded.get("kind") == "EventList":
        compare_events(name, recorded["items"], actual["items"])
        return
    if name in MID_ROLLOUT:
        recorded, actual = ({**one, "status": {}} for one in (recorded, actual))
    wanted, found = shape(recorded), shape(actual)
    assert found == wanted, f"{name}: missing {wanted.items() - found.items()}, more {found.items() - wanted.items()}"
    if "metadata" in recorded:
        assert owned(actual) == owned(recorded), name


def owned(obj: dict[str, Any]) -> list[Any]:
    """What clients own of an object."""
    entries = obj["metadata"].get("managedFields") or []
    return [
        [entry["manager"], entry["operation"], entry.get("subresource"), entry["fieldsV1"]]
        for entry in entries
        if entry["manager"] in CLIENTS
    ]


def compare_events(name: str, recorded: list[dict[str, Any]], actual: list[dict[str, Any]]) -> None:
    """The control plane's events are compared; a kubelet's are the sandbox's own."""
    for event in recorded:
        if event["source"].get("component") == "kubelet":
            continue
        same = [one for one in actual if one["reason"] == event["reason"]]
        assert same, f"{name}: no {event['reason']} among {[one['reason'] for one in actual]}"
        wanted, found = shape(event), shape(same[0])
        assert found == wanted, (
            f"{name}: missing {wanted.items() - found.items()}, more {found.items() - wanted.items()}"
        )


async def replay_watch(replay: Replay, exchange: dict[str, Any]) -> None:
    """Read a watch until what was recorded last has been said."""

    def reason(event: dict[str, Any]) -> str:
        conditions = event["object"].get("status", {}).get("conditions", [])
        return next((one["reason"] for one in conditions if one["type"] == "Progressing"), "")

    recorded = list(dict.fromkeys(reason(event) for event in exchange["stream"]))
    request = replay.request(exchange)
    request.url = httpx.URL(re.sub(r"resourceVersion=\d+", "resourceVersion=0", str(request.url)))
    seen: list[str] = []
    with anyio.fail_after(scale_timeout(10)):
        response = await replay.client.send(request, stream=True)
        assert response.status_code == exchange["status"]
        async for line in response.aiter_lines():
            event = json.loads(line)
            assert event["type"] in ("ADDED", "MODIFIED")
            seen.append(reason(event))
            if recorded and seen[-1] == recorded[-1]:
                break
        await response.aclose()
    if recorded:
        # The sandbox may have gone further than the first recorded event by the time the watch begins.
        assert [one for one in recorded if one in seen][-1] == recorded[-1]


@pytest.mark.parametrize("namespace", list(FILES))
async def test_recorded_requests_are_answered_as_recorded(sandbox: Sandbox, namespace: str) -> None:
    failures: list[str] = []
    async with httpx.AsyncClient(base_url=sandbox.url, timeout=scale_timeout(10), trust_env=False) as client:
        replay = Replay(sandbox, client)
        body = {"metadata": {"name": namespace}}
        made = {"method": "POST", "path": "/api/v1/namespaces", "body": body, "content_type": "application/json"}
        await client.send(replay.request({"name": "", "request": made}))
        for exchange in exchanges(namespace):
            name = exchange["name"]
            if name in NOT_COVERED:
                continue
            try:
                await replay_one(replay, namespace, exchange)
            except AssertionError as error:
                failures.append(f"{name}: {str(error)[:1500]}")
    assert not failures, "\n\n".join(failures)


def is_held_back(status: dict[str, Any]) -> bool:
    """Whether a Deployment has the pods that a quota lets it have: it will have no more."""
    conditions = [one["type"] for one in status.get("conditions", ()) if one["status"] == "True"]
    return "ReplicaFailure" in conditions and status.get("readyReplicas") == status.get("replicas")


async def prepare(replay: Replay, namespace: str, name: str) -> None:
    """What the recorder did between two recorded requests."""
    if not name.startswith(("create", "apply", "json", "merge", "strategic", "scale", "restart", "more pods")):
        with anyio.move_on_after(scale_timeout(5)):
            await replay.settled(namespace)
    if name == "quota exceeded":
        quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q", "namespace": namespace}}
        replay.sandbox.create({**quota, "spec": {"hard": {"services": "1"}}})
    if name == "autoscaler without metrics":
        await replay.looked(namespace)
    if name == "more pods than the quota":
        # The autoscaler's next look, at which it would take back what is beyond its bound, came after the recording.
        replay.sandbox.delete("HorizontalPodAutoscaler", "web", namespace)
    if name == "evict blocked by budget":
        budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget"}
        spec = {"minAvailable": "100%", "selector": {"matchLabels": {"app": "web"}}}
        replay.sandbox.create({**budget, "metadata": {"name": "web", "namespace": namespace}, "spec": spec})


async def replay_one(replay: Replay, namespace: str, exchange: dict[str, Any]) -> None:
    name = exchange["name"]
    await prepare(replay, namespace, name)
    if "stream" in exchange:
        await replay_watch(replay, exchange)
        return
    with anyio.fail_after(scale_timeout(10)):
        response = await replay.client.send(replay.request(exchange))
    assert response.status_code == exchange["status"], response.text
    wanted = exchange["headers"]["content-type"].replace(" ", "")
    assert response.headers["content-type"].replace(" ", "") == wanted
    assert response.headers.get("warning") == exchange["headers"].get("warning")
    json_like = response.headers["content-type"].startswith("application/json")
    actual = response.json() if json_like or isinstance(exchange["response"], dict) else response.text
    replay.learn(exchange["response"], actual)
    if name in OPEN_API:
        recorded = OPEN_API[name](exchange["response"])
        assert isinstance(actual, dict)
        found = OPEN_API[name](actual)
        compare(name, recorded, {key: found.get(key) for key in recorded})
    elif name not in DISCOVERY:
        compare(name, exchange["response"], actual)


def test_every_recorded_exchange_is_covered_or_listed() -> None:
    names = [exchange["name"] for namespace in FILES for exchange in exchanges(namespace)]
    assert {path.stem for path in RECORDINGS.glob("*.json")} == {file for files in FILES.values() for file in files}
    assert set(NOT_COVERED) | DISCOVERY | set(OPEN_API) | MID_ROLLOUT <= set(names)
    assert (len(names), sum(name in NOT_COVERED for name in names)) == (137, 1)
