"""Messages of the cluster: what they quote is dropped, what they say stays; and every message passes there."""

import ast
from pathlib import Path

import pytest

from klepaas_plugins.kubernetes.masking.messages import message_line, message_text

ROOT = Path(__file__).parents[4]
SAYS_ITSELF = {
    # Another's message under the same name: Alertmanager's annotations, Prometheus' errors, an operation's own record.
    "plugins/klepaas_plugins/alertmanager",
    "plugins/klepaas_plugins/prometheus",
    "plugins/klepaas_plugins/deployments/asking.py",
    "plugins/klepaas_plugins/kubernetes/sandbox",
    # Compared with the beginnings of refusals, and shown to nobody.
    "plugins/klepaas_plugins/kubernetes/refusals.py",
}

# As a 1.36 server wrote them, with SECRET where a value stood.
QUOTED = {
    'Job.batch "j" is invalid: spec.template: Invalid value: {"labels":{"job-name":"j"},"Spec":{"Containers":[{"Name":'
    '"main","Command":["sh","-c","run SECRET"],"Env":[{"Name":"X","Value":"SECRET"}]}]}}: field is immutable': (
        'Job.batch "j" is invalid: spec.template: Invalid value: {‹redacted›}: field is immutable'
    ),
    'Pod "p" is invalid: spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`\n'
    '@@ -11,7 +11,7 @@\n     "run SECRET"\n    ],\n-   "WorkingDir": "",\n+   "WorkingDir": "/x",\n': (
        'Pod "p" is invalid: spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image` '
        "‹redacted›"
    ),
    "failed to create typed patch object (/t; /v1, Kind=Secret): .data.a: expected string, got "
    "&value.valueUnstructured{Value:SECRET}": (
        "failed to create typed patch object (/t; /v1, Kind=Secret): .data.a: expected string, got "
        "&value.valueUnstructured{‹redacted›}"
    ),
    'Deployment.apps "w" is invalid: [spec.selector: Invalid value: {"matchLabels":{"a":"SECRET"}}: field is '
    'immutable, spec.template.spec.containers[0].env[0].value: Invalid value: "SECRET": no]': (
        'Deployment.apps "w" is invalid: [spec.selector: Invalid value: {‹redacted›}: field is immutable, '
        'spec.template.spec.containers[0].env[0].value: Invalid value: "‹redacted›": no]'
    ),
    'Secret "s" is invalid: data[a]: Invalid value: "SECRET": a valid config key must': (
        'Secret "s" is invalid: data[a]: Invalid value: "‹redacted›": a valid config key must'
    ),
    'Readiness probe errored: command "redis-cli -a SECRET ping" timed out': (
        'Readiness probe errored: command "redis-cli ‹redacted›" timed out'
    ),
}
KEPT = (
    "0/3 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/disk-pressure: }, 2 Insufficient cpu",
    'pods "x" is forbidden: exceeded quota: small, requested: limits.cpu=1, used: limits.cpu=1, limited: limits.cpu=1',
    "back-off 5m0s restarting failed container=main pod=web-1_default(0b0d8b4c-7f5e-4f6e-8d55-5d0d3a0f7a11)",
    'Back-off pulling image "example/app:2": ErrImagePull: rpc error: code = NotFound desc = no such image',
    'MountVolume.SetUp failed for volume "keys" : secret "db-keys" not found',
    "Readiness probe failed: HTTP probe failed with statuscode: 503",
    'Deployment.apps "Bad_Name" is invalid: metadata.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain',
    'Widget.example.com "b" is invalid: spec.size: Invalid value: 99: spec.size in body should be at most 10',
    'Service "w" is invalid: spec.type: Unsupported value: "Foo": supported values: "ClusterIP", "NodePort"',
    "failed to create typed patch object (rec/ssa; apps/v1, Kind=Deployment): .spce: field not declared in schema",
    'Widget in version "v1" cannot be handled as a Widget: strict decoding error: unknown field "spec.nope"',
    "ValidatingAdmissionPolicy 'replicas' with binding 'replicas' denied request: at most 5 replicas",
    'conflict with "kubectl" using apps/v1',
)


@pytest.mark.parametrize("text", QUOTED)
def test_what_a_message_quotes_is_dropped(text: str) -> None:
    assert message_line(text.replace("SECRET", "hunter2-zq")) == QUOTED[text]


@pytest.mark.parametrize("text", KEPT)
def test_what_a_message_says_stays(text: str) -> None:
    assert message_text(text) == text


def test_a_message_is_masked_once_and_for_all() -> None:
    for text in (*QUOTED, *KEPT):
        assert message_text(message_text(text)) == message_text(text)


def test_no_message_is_no_message() -> None:
    assert message_line(None) == message_line("") == ""


def test_every_message_of_the_cluster_passes_here() -> None:
    found = []
    for folder in ("plugins/klepaas_plugins", "agents"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith(tuple(SAYS_ITSELF)):
                found += [f"{name}: {ast.unparse(node)}" for node in _unmasked(ast.parse(path.read_text()))]
    assert found == [], "give it to message_line or message_text"


def _unmasked(tree: ast.AST) -> list[ast.expr]:
    """The places that take a message out of an object and do not give it to the masking."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _is_masking(node)]
    masked = {id(inner) for call in calls for argument in call.args for inner in ast.walk(argument)}
    return [node for node in ast.walk(tree) if isinstance(node, ast.expr) and _takes(node) and id(node) not in masked]


def _is_masking(call: ast.Call) -> bool:
    name = ast.unparse(call.func).rpartition(".")[2]
    # `_line` of errors.py is message_line, loaded when something fails.
    return name in ("message_line", "message_text", "_line")


def _takes(node: ast.expr) -> bool:
    if isinstance(node, ast.Subscript):
        return isinstance(node.slice, ast.Constant) and node.slice.value == "message" and isinstance(node.ctx, ast.Load)
    is_get = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get"
    if is_get and isinstance(node, ast.Call) and node.args:
        return isinstance(node.args[0], ast.Constant) and node.args[0].value == "message"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "at":
        return any(isinstance(one, ast.Constant) and one.value == "message" for one in node.args)
    return False


@pytest.mark.parametrize(
    "text", ['event.get("message")', 'one["message"]', 'at(pod, "status", "message")', 'str(x.get("message") or "")']
)
def test_the_walk_finds_a_message_that_is_not_masked(text: str) -> None:
    assert _unmasked(ast.parse(text))
    assert not _unmasked(ast.parse(f"message_line({text}, 300)"))
