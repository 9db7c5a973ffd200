"""k8s_get with chosen columns and sorting, over an MCP session."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from klepaas.errors import BadRequest
from klepaas.testing import time_budget
from klepaas_plugins.kubernetes.fieldpaths import columns_of
from klepaas_plugins.kubernetes.sandbox import Sandbox
from klepaas_plugins.kubernetes.sorting import in_order

pytestmark = pytest.mark.anyio
Ask = Callable[..., Any]

POD = {
    "metadata": {"name": "web-1", "labels": {"app.kubernetes.io/name": "web"}},
    "spec": {"containers": [{"name": "a", "image": "x:1", "weight": 5}, {"name": "b", "image": "y:2"}]},
    "status": {"ready": True, "conditions": [{"type": "Ready", "status": "True"}, {"type": "Old", "status": "False"}]},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".metadata.name", ["web-1"]),
        ("metadata.name", ["web-1"]),
        ("{.metadata.name}", ["web-1"]),
        ("$.metadata.name", ["web-1"]),
        ("{.items[*].metadata.name}", ["web-1"]),
        ("name", ["web-1"]),
        (".spec.containers[*].image", ["x:1", "y:2"]),
        (".spec.containers.image", ["x:1", "y:2"]),
        (".spec.containers[0].image", ["x:1"]),
        (".spec.containers[-1:].image", ["y:2"]),
        (".spec.containers[0:1].image", ["x:1"]),
        (".spec.containers[9].image", []),
        (".spec.containers[?(@.weight>3)].name", ["a"]),
        (".spec.containers[?(@.weight)].name", ["a"]),
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (".status.conditions[?(@.type!='Ready')].status", ["False"]),
        (".status[?(@==true)]", [True]),
        (".metadata.labels.app\\.kubernetes\\.io/name", ["web"]),
        (".metadata.labels['app.kubernetes.io/name']", ["web"]),
        ("..image", ["x:1", "y:2"]),
        (".nothing.here", []),
    ],
)
def test_a_path_finds_what_kubectl_would_find(path: str, found: list[Any]) -> None:
    assert columns_of(f"X:{path}")[0].find(POD) == found


@pytest.mark.parametrize(
    "path", ["", "..", ".a[", "a b", "[?(", "{", ".a[?(@.x=='y)]", "a,,b", ".a(b)", ",".join("a" * 30)]
)
def test_a_path_that_is_none_is_refused_and_shown(path: str) -> None:
    with pytest.raises(BadRequest):
        columns_of(path)


def test_a_path_that_visits_everything_many_times_is_stopped_at_once() -> None:
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"a": deep, "b": [deep]} if len(str(deep)) < 20_000 else {"a": deep}
    begun = time.perf_counter()
    with pytest.raises(BadRequest, match="too much"):
        columns_of("X:" + "..*" * 12)[0].find(deep)
    assert time.perf_counter() - begun < time_budget(1, "a path with many steps would take for ever")


@pytest.mark.parametrize(
    ("values", "ordered"),
    [
        (["5m", "3d", "2h", "10s"], ["10s", "5m", "2h", "3d"]),
        ([10, 9, 100], [9, 10, 100]),
        (["128Mi", "1Gi", "64Ki"], ["64Ki", "128Mi", "1Gi"]),
        (["3 (5m ago)", "0", "12 (1h ago)"], ["0", "3 (5m ago)", "12 (1h ago)"]),
        (["b", None, "a", []], ["a", "b", None, []]),
        (["2026-11-21T00:00:00Z", "2025-01-01T00:00:00Z"], ["2025-01-01T00:00:00Z", "2026-11-21T00:00:00Z"]),
    ],
)
def test_values_are_sorted_as_what_they_are(values: list[Any], ordered: list[Any]) -> None:
    assert [values[at] for at in in_order(values, descending=False)] == ordered


def _config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data}


async def test_columns_show_what_was_chosen(ask: Ask, text: Any, sandbox: Sandbox) -> None:
    sandbox.create(_config_map("one", host="db"))
    sandbox.create(_config_map("two", host="cache"))
    shown = text(await ask("k8s_get", kind="configmaps", columns="NAME:.metadata.name,.data.host", sort_by="HOST"))
    assert shown.splitlines()[0] == "NAME\tHOST"
    assert shown.splitlines()[1:3] == ["two\tcache", "one\tdb"]


async def test_one_object_can_be_shown_as_columns(ask: Ask, text: Any, sandbox: Sandbox) -> None:
    sandbox.create(_config_map("one", host="db"))
    assert text(await ask("k8s_get", kind="cm", name="one", columns=".data.host")) == "HOST\ndb"


async def test_columns_see_no_secret(ask: Ask, text: Any, sandbox: Sandbox) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "default"}}
    sandbox.create({**secret, "stringData": {"plain": "very-hidden-9"}})
    for columns in ("X:.data.plain", "X:$", "X:..*", "X:.data"):
        shown = text(await ask("k8s_get", kind="secrets", columns=columns))
        assert "dmVyeS1oaWRkZW4tOQ" not in shown
        assert "redacted" in shown


async def test_columns_of_all_namespaces_tell_the_namespace(ask: Ask, text: Any, sandbox: Sandbox) -> None:
    sandbox.create(_config_map("one", host="db"))
    shown = text(await ask("k8s_get", kind="cm", columns="name", all_namespaces=True))
    assert shown.splitlines()[0] == "NAMESPACE\tNAME"
    assert "default\tone" in shown


async def test_a_table_is_sorted_by_heading_and_by_path_both_ways(ask: Ask, text: Any, sandbox: Sandbox) -> None:
    for at, name in enumerate(("b", "a", "c")):
        sandbox.create(_config_map(name, **{f"key{i}": "x" for i in range(at + 1)}))
    by_count = text(await ask("k8s_get", kind="cm", sort_by="-DATA"))
    assert [line.split("\t")[0] for line in by_count.splitlines()[1:4]] == ["c", "a", "b"]
    by_path = text(await ask("k8s_get", kind="cm", sort_by=".data.key2", output="names"))
    assert by_path.splitlines()[0] == "c"


async def test_a_sorted_list_that_does_not_fit_goes_on_with_a_cursor(
    ask: Ask, text: Any, cursor: Any, sandbox: Sandbox
) -> None:
    for at in range(12):
        sandbox.create(_config_map(f"n{at:02d}"))
    first = await ask("k8s_get", kind="cm", sort_by="-NAME", limit=5, output="names")
    assert text(first).splitlines()[:5] == ["n11", "n10", "n09", "n08", "n07"]
    second = await ask("k8s_get", kind="cm", sort_by="-NAME", limit=5, output="names", cursor=cursor(first))
    assert text(second).splitlines()[:5] == ["n06", "n05", "n04", "n03", "n02"]
    other = await ask("k8s_get", kind="cm", sort_by="NAME", cursor=cursor(first))
    assert other.is_error


async def test_an_unknown_column_to_sort_by_is_answered_with_those_there_are(
    ask: Ask, text: Any, sandbox: Sandbox
) -> None:
    sandbox.create(_config_map("one"))
    answer = await ask("k8s_get", kind="cm", sort_by="restarts")
    assert answer.is_error
    assert "AGE" in text(answer)


async def test_a_wrong_path_is_one_clear_line(ask: Ask, text: Any) -> None:
    answer = await ask("k8s_get", kind="cm", columns=".metadata[")
    assert answer.is_error
    assert "near character 10" in text(answer)
    assert "\n" not in text(answer)
