"""What is nested deeply is refused in words or answered rightly, wherever it comes from; its secrets stay.

Python reads JSON of some 900 levels, and code that walks over such data runs out of stack: each of these texts once
ended a call by a "defect", and a kubeconfig the whole process.
"""

import ast
import contextlib
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

import klepaas
from klepaas.app import App, create_app
from klepaas.foreign_json import LEVELS_MAX, TooDeep, check_levels, parse_json
from klepaas.http.application import HttpApp
from klepaas.settings import Mode, Settings
from klepaas.testing import FakeHttp, app_with, client, scale_timeout
from klepaas.tools import Effect
from klepaas_plugins.alertmanager import plugin as alertmanager
from klepaas_plugins.kubernetes.sandbox import Sandbox
from klepaas_plugins.prometheus import plugin as prometheus

from .calls import SAMPLES, plausible
from .conftest import Platform
from .monitoring_world import SILENCE_ID, serve_deep, serving_settings

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(60))]

ROOT = Path(klepaas.__file__).parents[2]
SECRET = "Zq7hunterLongSecret01xK"
# Below the bound with what is around it, and far beyond.
SHALLOW, DEEP = 80, 900
BOTTOM = json.dumps({"password": SECRET, "host": "db"})
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
}
# What is read here was written by klepaas itself, or is a text or a list of numbers, not a document.
_OWN = {
    "audit_reading.py", "actions.py", "handing_on.py", "places.py", "quoted.py", "records.py", "http_fake.py",
    "clients.py", "carrier.py", "notifications.py", "matchers.py", "foreign_json.py", "unreadable.py",
}  # fmt: skip


def objects(levels: int) -> str:
    return '{"a":' * levels + BOTTOM + "}" * levels


def lists(levels: int) -> str:
    return "[" * levels + BOTTOM + "]" * levels


def block(levels: int) -> str:
    """The same in YAML, by indentation."""
    return "".join(f"{' ' * level}a:\n" for level in range(levels)) + f"{' ' * levels}password: {SECRET}\n"


def complaint(answer: str) -> str | None:
    """What is wrong with an answer. None: nothing."""
    if SECRET[:6] in answer:
        return "the secret came out"
    return "a defect" if re.search(r"defect|reference [0-9a-f]{12}|RecursionError", answer) else None


async def said_by(session: Any, tool: str, arguments: dict[str, Any]) -> str:
    result = await session.call_tool(tool, arguments, raise_on_error=False)
    texts = [block.text for block in result.content if hasattr(block, "text")]
    return "\n".join([*texts, str(result.structured_content), str(result.meta)])


@pytest.mark.parametrize("text", [objects(DEEP), lists(DEEP), "[" * 200_000, lists(LEVELS_MAX)])
def test_json_that_is_nested_too_deeply_is_told_from_what_is_no_json(text: str) -> None:
    with pytest.raises(TooDeep, match=f"deeper than {LEVELS_MAX} levels"):
        parse_json(text)


def test_json_at_the_bound_is_read() -> None:
    assert parse_json(lists(LEVELS_MAX - 1)) == json.loads(lists(LEVELS_MAX - 1))
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(TooDeep):
        check_levels(circle)


def test_whatever_reads_json_or_yaml_of_others_does_it_with_a_bound() -> None:
    files = [path for folder in ("server", "plugins", "providers", "agents") for path in (ROOT / folder).rglob("*.py")]
    unbounded = [
        f"{path.name}:{node.lineno}"
        for path in files
        if path.name not in _OWN and "sandbox" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in _READERS
    ]
    # Both check how deep it is before they build it.
    assert {one.partition(":")[0] for one in unbounded} == {"yaml_text.py", "kubeconfig.py"}


_READERS = {"json.loads", "json.load", "answer.json", "response.json", "yaml.load", "yaml.safe_load",
            "yaml.load_all", "yaml.compose_all"}  # fmt: skip


def _reading() -> Iterator[tuple[str, dict[str, Any]]]:
    for kind in ("deployments", "pods", "configmaps", "secrets"):
        for output in ("table", "yaml", "full", "json"):
            yield "k8s_get", {"kind": kind, "output": output}
    yield "k8s_get", {"kind": "deployments", "columns": "..*,A:.spec,..password", "sort_by": ".spec.zz"}
    yield "k8s_get", {"kind": "configmap", "name": "web", "output": "yaml"}


def _calls() -> Iterator[tuple[str, dict[str, Any]]]:
    for entry in create_app(Settings(mode=Mode.WRITES)).catalogue:
        arguments = plausible(entry.tool)
        yield entry.tool.name, {**arguments, **({"wait_s": SAMPLES["wait_s"]} if "wait_s" in arguments else {})}
    yield from _reading()


def deepen(sandbox: Sandbox, levels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each object in each answer of the cluster hold something deep, as only custom resources can."""
    handle = sandbox._handled
    deep = objects(levels).encode()

    async def handled(request: HttpRequest, body: bytes) -> Response:
        response = await handle(request, body)
        content = bytes(response.body)
        if content.startswith(b"{"):
            for field in (b'"metadata":{', b'"spec":{', b'"status":{'):
                content = content.replace(field, field + b'"zz":' + deep + b",").replace(b",}", b"}")
            response.body = content
            response.headers["content-length"] = str(len(content))
        return response

    monkeypatch.setattr(sandbox, "_handled", handled)


@pytest.mark.parametrize("levels", [SHALLOW, DEEP])
async def test_every_tool_answers_where_each_object_of_the_cluster_is_nested_deeply(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, levels: int
) -> None:
    deepen(platform.sandbox, levels, monkeypatch)
    answers = {}
    async with platform.client("memory, 2026-07-28", Mode.WRITES) as session:
        for tool, arguments in _calls():
            answers[f"{tool} {arguments}"] = await said_by(session, tool, arguments)
    wrong = {asked: text[:300] for asked, text in answers.items() if complaint(text)}
    assert wrong == {}
    refused = sum("nested deeper than" in text for text in answers.values())
    assert (refused == 0) is (levels == SHALLOW), f"{refused} of {len(answers)} were refused"
    shut = [asked for asked, text in answers.items() if "failed 5 times" in text]
    assert shut == [], "a deep object does not open the breaker"


async def test_every_tool_answers_where_texts_of_the_cluster_are_nested_deeply(platform: Platform) -> None:
    texts = [make(levels) for make in (objects, lists) for levels in (SHALLOW, DEEP, 5_000)]
    texts += [block(SHALLOW), block(DEEP)]
    values = {f"v{at}": text for at, text in enumerate(texts)}
    about = {"apiVersion": "v1", "kind": "Deployment", "name": "web", "namespace": "default"}
    times = {"firstTimestamp": "2026-11-21T00:00:00Z", "lastTimestamp": "2026-11-21T00:00:00Z"}
    at_default = {"namespace": "default", "annotations": {"example.com/deep": texts[1], "note": texts[4]}}
    sandbox = platform.sandbox
    head = {"apiVersion": "v1", "metadata": {"name": "deep", **at_default}}
    sandbox.create({**head, "kind": "ConfigMap", "data": values})
    sandbox.create({**head, "kind": "Secret", "stringData": values})
    event = {"involvedObject": about, "reason": "Failed", "type": "Warning", "message": texts[1], "count": 1, **times}
    sandbox.create({**head, "kind": "Event", **event})
    sandbox.set_log("default", "web", "\n".join(text for text in texts if "\n" not in text) + "\n")
    async with platform.client("memory, 2026-07-28", Mode.WRITES) as session:
        for tool, arguments in (*_over_texts(), *_calls()):
            answer = await said_by(session, tool, arguments)
            assert complaint(answer) is None, f"{tool} {arguments}: {answer[:300]}"


def _over_texts() -> Iterator[tuple[str, dict[str, Any]]]:
    yield "k8s_get", {"kind": "configmap", "name": "deep", "output": "yaml"}
    yield "k8s_get", {"kind": "configmap", "name": "deep", "columns": "D:.data,A:.metadata.annotations"}
    yield "k8s_get", {"kind": "events", "output": "yaml"}
    yield "k8s_logs", {"name": "web", "grep": "a", "context_lines": 2}
    yield "k8s_logs", {"name": "web", "level": "warn"}
    for make in (objects, lists, block):
        data = {"v0": make(DEEP)}
        one = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "deep"}, "data": data}
        yield "k8s_apply", {"manifests": json.dumps(one), "dry_run": True, "take_ownership": True}
        yield "k8s_apply", {"manifests": make(DEEP), "dry_run": True}
        yield "k8s_create", {"manifests": json.dumps(one).replace('"data": ', f'"data": {make(DEEP)}, "x": ')}


async def test_every_parameter_of_every_tool_refuses_what_is_nested_deeply(platform: Platform) -> None:
    app = create_app(Settings(mode=Mode.WRITES))
    texts = (objects(DEEP), "[" * DEEP, block(DEEP))
    async with _posting(app) as post:
        for entry in app.catalogue:
            # A tool that waits for the cluster is asked with nothing that it would wait for.
            arguments = {name: value for name, value in plausible(entry.tool).items() if name != "wait_s"}
            for name in entry.tool.parameters:
                values = [json.loads(objects(SHALLOW)), *texts] if entry.tool.effect is Effect.READ else [texts[0]]
                bodies = [objects(DEEP), lists(DEEP), f'{{"A":{lists(DEEP)}}}', *map(json.dumps, values)]
                for body in bodies:
                    answer = await post(entry.tool.name, {**arguments, name: "@@"}, body)
                    # A text of the caller's own may be quoted to it.
                    found = complaint(answer.replace(SECRET, ""))
                    assert found is None, f"{entry.tool.name} {name}={body[:40]}: {answer[:300]}"
                    assert '"content"' in answer, f"{entry.tool.name} {name}={body[:40]}: {answer[:300]}"


@contextlib.asynccontextmanager
async def _posting(app: App) -> AsyncIterator[Any]:
    """Call tools over HTTP, in the version of the protocol whose messages may be nested most deeply."""
    web = HttpApp(app)
    async with (
        web.running(),
        httpx.AsyncClient(transport=httpx.ASGITransport(web), base_url="http://127.0.0.1", timeout=30) as http,
    ):

        async def post(tool: str, arguments: dict[str, Any], value: str) -> str:
            params = {"name": tool, "arguments": arguments, "_meta": META}
            request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
            headers = {
                "Accept": "application/json, text/event-stream",
                "Content-Type": "application/json",
                "MCP-Protocol-Version": "2026-07-28",
                "Mcp-Method": "tools/call",
                "Mcp-Name": tool,
            }
            return (await http.post("/mcp", content=json.dumps(request).replace('"@@"', value), headers=headers)).text

        yield post


@pytest.mark.parametrize("levels", [SHALLOW, DEEP])
async def test_every_tool_answers_where_monitoring_servers_answer_deeply(
    monkeypatch: pytest.MonkeyPatch, levels: int
) -> None:
    matchers = {"matchers": ["alertname=X"], "duration_min": 5, "comment": "x"}
    async with FakeHttp() as fake:
        serve_deep(fake, levels, SECRET)
        for name, value in serving_settings(fake).items():
            monkeypatch.setenv(name, value)
        asked = [
            *(("query_metrics", {"query": "up", **more}) for more in ({}, {"range_s": 600})),
            ("query_metrics", {"query": "up", "range_s": 600, "points": True}),
            ("query_metrics", {"question": "cpu", "app_name": "web", "namespace": "default"}),
            *(("list_metrics", one) for one in ({}, {"search": "a"}, {"metric": "up"}, {"label": "job"})),
            *(("inspect_prometheus", {"what": what}) for what in ("alerts", "rules", "targets")),
            *(("list_alerts", {"what": what}) for what in ("alerts", "groups", "silences")),
            ("silence_alerts", matchers),
            ("expire_silence", {"silence_id": SILENCE_ID}),
        ]
        settings = {"mode": "writes", "policy": ({"decision": "auto"},)}
        async with app_with(prometheus, alertmanager, settings=settings) as app, client(app) as session:
            for tool, arguments in asked:
                answer = await said_by(session.raw, tool, dict(arguments))  # type: ignore[call-overload]
                assert complaint(answer) is None, f"{tool} {arguments}: {answer[:300]}"


def test_a_kubeconfig_that_is_nested_deeply_is_refused_and_does_not_end_the_process(tmp_path: Path) -> None:
    from klepaas.errors import BadRequest
    from klepaas_plugins.kubernetes.client.kubeconfig import _is_filled

    for text in ("[" * 200_000, "- " * 100_000 + "x", block(DEEP), objects(DEEP)):
        path = tmp_path / "kubeconfig"
        path.write_text(text)
        with pytest.raises(BadRequest, match="it is not YAML"):
            _is_filled(path)


async def test_a_request_over_stdio_that_cannot_be_read_gets_an_error_of_its_own() -> None:
    from .test_answers_are_valid_json import _Input, _Output

    call = {"jsonrpc": "2.0", "id": 0, "method": "tools/call", "params": {"name": "x", "arguments": {"a": "@@"}}}
    # These say not which request they are, or are none.
    lines = ['{"id": 92, "result": ' + objects(DEEP) + "}", "garbage", '{"a": {"id": 93, "method": "x"', "[1]"]
    for number, value in enumerate((objects(DEEP), lists(5_000), "[" * 200_000, '"half \\ud83d of a pair"')):
        text = json.dumps({**call, "id": number}).replace('"@@"', value)
        lines += [text, text.replace(f'"id": {number}', f'"id": "text-{number}"')]
    lines += ['{"jsonrpc": "2.0", "id": 90, "method": 5}', '{"method": "id", "params": [1], "jsonrpc": "2.0", "id":91}']
    wanted = {*(number for number in range(4)), *(f"text-{number}" for number in range(4)), 90, 91}
    async with app_with() as app:
        answers = await _over_stdio(app, _Input, _Output(len(wanted)), lines)
    assert {answer["id"] for answer in answers} == wanted
    assert {answer["error"]["code"] for answer in answers} <= {-32700, -32600}


async def _over_stdio(app: App, given: Any, output: Any, lines: list[str]) -> list[dict[str, Any]]:
    from mcp.server.stdio import stdio_server

    from klepaas.protocol.versions import serve_each_version

    end = anyio.Event()
    with anyio.fail_after(scale_timeout(20)):
        async with (
            app.server._lifespan_manager(),
            stdio_server(given([line + "\n" for line in lines], end), output) as (incoming, outgoing),
            anyio.create_task_group() as group,
        ):
            group.start_soon(serve_each_version, app.server, incoming, outgoing)
            await output.all_there.wait()
            end.set()
            group.cancel_scope.cancel()
    return [json.loads(line) for line in output.data.splitlines()]
