"""k8s_logs of several pods, searched, by level and folded, over an MCP session on the sandbox."""

from collections.abc import Callable
from typing import Any

import pytest

from klepaas.output.safe import safe_text
from klepaas_plugins.kubernetes.loglines import AtLeast, Grep, folded, level_of
from klepaas_plugins.kubernetes.sandbox import Sandbox

pytestmark = pytest.mark.anyio
Ask = Callable[..., Any]

LOG = """\
2026-01-01T00:00:00Z INFO starting
2026-01-01T00:00:01Z INFO listening on 8080
2026-01-01T00:00:02Z WARN slow query took 900 ms
2026-01-01T00:00:03Z INFO request 1 done
2026-01-01T00:00:03Z INFO request 2 done
2026-01-01T00:00:03Z INFO request 3 done
2026-01-01T00:00:03Z INFO request 4 done
2026-01-01T00:00:04Z ERROR cannot reach db: Connection Refused
Traceback (most recent call last):
  File "db.py", line 3, in connect
ConnectionRefusedError: [Errno 111]
2026-01-01T00:00:05Z INFO retrying
2026-01-01T00:00:06Z INFO retrying
"""


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ('{"time":"x","level":"error","msg":"y"}', 3),
        ('{"severity":"WARNING","message":"y"}', 2),
        ('{"level":50,"msg":"pino"}', 3),
        ('{"level":30,"msg":"pino info about an error"}', 1),
        ("time=x level=warn msg=y", 2),
        ("E0102 15:04:05.000000       1 reflector.go:1] failed", 3),
        ("W0102 15:04:05.000000       1 reflector.go:1] slow", 2),
        ("I0102 15:04:05.000000       1 reflector.go:1] no ERROR here", 1),
        ("2026-01-01 00:00:00,123 [main] ERROR com.example - boom", 3),
        ("2026/01/01 00:00:00 [error] 7#7: *1 open() failed", 3),
        ("[WARN] disk", 2),
        ("FATAL: password authentication failed", 3),
        ("panic: runtime error", 3),
        ("error: cannot open", 3),
        ("Traceback (most recent call last):", 3),
        ("INFO 0 errors found", 1),
        ("GET /error/page 200", None),
        ("plain text", None),
    ],
)
def test_levels_are_read_from_the_shapes_programs_write(line: str, level: int | None) -> None:
    assert level_of(line) == level


def test_a_stack_trace_belongs_to_its_error_and_ends_with_the_next_line() -> None:
    wanted = AtLeast("error")
    kept = [line for line in LOG.splitlines() if wanted.matches(safe_text(line))]
    assert kept == LOG.splitlines()[7:11]


@pytest.mark.parametrize(
    ("pattern", "line", "matches"),
    [
        ("refused", "Connection REFUSED", True),
        ("timeout|refused", "connection refused", True),
        ("a.*b", "x a y b", True),
        ("a.*b", "b a", False),
        (r"1\.2", "v1.2", True),
        ("(a+)+$", "aaaa", False),
        ("|", "x", False),
    ],
)
def test_patterns_are_text_with_alternatives_and_gaps(pattern: str, line: str, matches: bool) -> None:
    assert Grep(pattern).matches(safe_text(line)) is matches


def test_repeats_are_folded_and_nothing_else() -> None:
    assert folded(["a", "a", "a", "b"]) == ["a  [x 3]", "b"]
    assert folded([f"request {at} done" for at in range(57)]) == [
        "request 0 done",
        "[... 55 more like it]",
        "request 56 done",
    ]
    assert folded(["took 1 ms", "took 2 ms"]) == ["took 1 ms", "took 2 ms"]
    assert folded(["a", "b", "a"]) == ["a", "b", "a"]
    assert folded([]) == []


async def _web(sandbox: Sandbox, deployment: Any, until: Any, replicas: int = 1) -> None:
    sandbox.create(deployment("web", replicas=replicas))
    await until(
        lambda: (sandbox.get("deployments", "web") or {}).get("status", {}).get("availableReplicas") == replicas
    )


async def test_lines_are_found_with_those_around_them(
    ask: Ask, text: Any, sandbox: Sandbox, deployment: Any, until: Any
) -> None:
    await _web(sandbox, deployment, until)
    sandbox.set_log("default", "web", LOG)
    shown = text(await ask("k8s_logs", name="web", grep="slow|refused", context_lines=1))
    assert "3 of 13 lines read match" in shown
    body = shown.split("\n\n")[1].splitlines()
    assert body[0].endswith("INFO listening on 8080")
    assert "--" in body
    assert any("Connection Refused" in line for line in body)
    assert not any("starting" in line for line in body)


async def test_warnings_and_worse_are_found_with_their_stack_traces(
    ask: Ask, text: Any, sandbox: Sandbox, deployment: Any, until: Any
) -> None:
    await _web(sandbox, deployment, until)
    sandbox.set_log("default", "web", LOG)
    shown = text(await ask("k8s_logs", name="web", level="warn"))
    assert "slow query" in shown
    assert 'File "db.py"' in shown
    assert "INFO" not in shown.split("\n\n")[1]


async def test_repeated_lines_are_one_line_with_a_count(
    ask: Ask, text: Any, sandbox: Sandbox, deployment: Any, until: Any
) -> None:
    await _web(sandbox, deployment, until)
    sandbox.set_log("default", "web", "same\n" * 57)
    assert "same  [x 57]" in text(await ask("k8s_logs", name="web"))


async def test_all_pods_of_a_workload_are_merged_by_time(
    ask: Ask, text: Any, sandbox: Sandbox, deployment: Any, until: Any
) -> None:
    await _web(sandbox, deployment, until, replicas=2)
    first, second = sorted(pod["metadata"]["name"] for pod in sandbox.list("pods"))
    sandbox.set_log("default", first, "from the first\n")
    sandbox.set_log("default", second, "from the second\n")
    for arguments in ({"name": "web", "all_pods": True}, {"label_selector": "app=web"}):
        shown = text(await ask("k8s_logs", **arguments))
        assert "2 of 2 pods" in shown
        assert f"{first.rpartition('-')[2]}| from the first" in shown
        assert f"{second.rpartition('-')[2]}| from the second" in shown


async def test_a_pod_that_cannot_be_read_does_not_hide_the_others(
    ask: Ask, text: Any, sandbox: Sandbox, deployment: Any, until: Any
) -> None:
    await _web(sandbox, deployment, until, replicas=2)
    first, second = sorted(pod["metadata"]["name"] for pod in sandbox.list("pods"))
    sandbox.fail("GET", f".*/pods/{first}/log", 403, reason="Forbidden", message="not yours")
    shown = text(await ask("k8s_logs", name="deployment/web", all_pods=True))
    assert f"without a log: {first} (" in shown
    assert f"{second.rpartition('-')[2]}| " in shown


async def test_pods_are_named_in_one_way(ask: Ask) -> None:
    assert (await ask("k8s_logs")).is_error
    assert (await ask("k8s_logs", name="web", label_selector="app=web")).is_error


async def test_a_selector_that_matches_nothing_is_told(ask: Ask, text: Any) -> None:
    answer = await ask("k8s_logs", label_selector="app=nothing")
    assert (answer.meta or {})["code"] == "not_found"


async def test_what_is_not_wanted_is_not_asked_of_the_cluster(
    ask: Ask, sandbox: Sandbox, deployment: Any, until: Any
) -> None:
    await _web(sandbox, deployment, until)
    sandbox.clear_requests()
    await ask("k8s_logs", name="web", tail_lines=7, since_time="2026-01-01T00:00:00Z")
    asked = next(request for request in sandbox.requests if request.path.endswith("/log"))
    assert "tailLines" in str(asked.query)
    assert "limitBytes" in str(asked.query)
    assert "sinceTime" in str(asked.query)
