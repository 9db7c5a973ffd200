"""`klepaas demo`: a newcomer's first real deployment, without a cluster.

It starts the sandbox in this process and `klepaas serve` in another, connects to it over stdio with an MCP client as
Claude Desktop or an IDE would, and walks one story: deploy, look, break, read why it went back by itself, compare,
scale, go back a release. Nothing is staged: every line is what a tool answered. A rollout must stay healthy for one
second here, in place of ten. It says nothing about the tools' insides and imports none of them.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

from klepaas.output.foreign_text import clean
from klepaas.output.verdict import Claim, term
from klepaas.portability import processes, signals
from klepaas_plugins.kubernetes.sandbox import Sandbox

__all__ = ["run"]

LIMIT_S = 60.0
_APP = "shop"
_GOOD, _BETTER, _BROKEN = (f"registry.example/shop/web:{tag}" for tag in ("1.0", "1.1", "1.2-crash"))


@dataclass(frozen=True)
class Step:
    """One wish of a person, the call that fulfils it, and how its answer must look.

    Attributes:
        wish: What a person would say.
        wish_ko: The same in Korean.
        tool: The tool a client would choose.
        arguments: Its arguments.
        expect: Texts that the answer must hold.
        fails: Whether the call is meant to fail.
        read_only: Whether the step goes to the server without `--writes`.
    """

    wish: str
    wish_ko: str
    tool: str
    arguments: Mapping[str, Any]
    expect: tuple[str, ...]
    fails: bool = False
    read_only: bool = False


STORY = (
    Step(
        "Deploy my shop, two copies, on port 8080.",
        "쇼핑몰을 8080 포트로 두 개 띄워 줘.",
        "deploy_application",
        {"app_name": _APP, "image": _GOOD, "replicas": 2, "port": 8080},
        (_APP, "2"),
    ),
    Step(
        f"Is it {term(Claim.HEALTHY)}?",
        "잘 돌아가?",
        "get_deployment_status",
        {"app_name": _APP},
        (term(Claim.HEALTHY), _GOOD),
    ),
    Step("Show me its pods.", "파드 보여 줘.", "k8s_get", {"kind": "pods"}, ("NAME", "Running")),
    Step(
        "Roll out version 1.1.",
        "1.1 버전으로 올려 줘.",
        "deploy_application",
        {"app_name": _APP, "image": _BETTER},
        (_BETTER,),
    ),
    Step(
        "Now 1.2. (This image is broken.)",
        "이제 1.2로. (고장 난 이미지)",
        "deploy_application",
        {"app_name": _APP, "image": _BROKEN},
        ("rolled back to release", _BETTER, "exit code 1", "FATAL"),
        fails=True,
    ),
    Step(
        "Did customers notice?",
        "고객들은 괜찮아?",
        "get_deployment_status",
        {"app_name": _APP},
        (term(Claim.HEALTHY), _BETTER),
    ),
    Step(
        "Which releases were there?",
        "지금까지 어떤 릴리스가 있었어?",
        "list_releases",
        {"app_name": _APP},
        ("failed", _BROKEN),
    ),
    Step(
        "Back to the version before.", "그 전 버전으로 되돌려 줘.", "rollback_deployment", {"app_name": _APP}, (_GOOD,)
    ),
    Step("Scale it to four.", "네 개로 늘려 줘.", "scale_application", {"app_name": _APP, "replicas": 4}, ("4",)),
    Step("How is everything?", "전체 상황은?", "get_overview", {}, (_APP,)),
    Step(
        "And an assistant that may only read tries to scale it to zero.",
        "읽기만 허용된 비서가 0개로 줄이려 하면?",
        "scale_application",
        {"app_name": _APP, "replicas": 0},
        ("read-only",),
        fails=True,
        read_only=True,
    ),
)


@dataclass
class Outcome:
    """What a step's call answered, and what is wrong with the answer."""

    step: Step
    text: str
    is_error: bool
    duration_ms: int
    problems: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The outcome for a program."""
        return {
            "wish": self.step.wish,
            "tool": self.step.tool,
            "arguments": dict(self.step.arguments),
            "answer": self.text,
            "is_error": self.is_error,
            "duration_ms": self.duration_ms,
            "ok": not self.problems,
            "problems": self.problems,
        }


Tell = Callable[[str], None]
Finished = Callable[[Outcome], None]


def run(arguments: argparse.Namespace) -> int:
    """Run the demo.

    Args:
        arguments: `json`: print one JSON document instead of the story. `serve`: keep the sandbox up afterwards.

    Returns:
        0 when every step did what it should, else 1; 128 and the signal's number when it was asked to end.
    """
    try:
        return anyio.run(_until_signal, arguments.json, arguments.serve)
    except TimeoutError:
        sys.stderr.write(f"klepaas demo: not done within {LIMIT_S:g} s\n")
        return 1


async def _until_signal(as_json: bool, serve: bool) -> int:
    """Run the demo to its end or to a signal; either way the sandbox, its folder and its processes are gone then."""
    code = 0

    async def leave(received: AsyncIterator[signal.Signals]) -> None:
        nonlocal code
        code = 128 + await anext(received)
        group.cancel_scope.cancel()

    with signals.receive(*signals.END_SIGNALS) as received:
        async with anyio.create_task_group() as group:
            group.start_soon(leave, received)
            code = await _demo(as_json, serve)
            group.cancel_scope.cancel()
    return code


async def _demo(as_json: bool, serve: bool) -> int:
    tell: Tell = _quiet if as_json else _say
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="klepaas-demo-") as folder:
        async with Sandbox() as sandbox:
            kubeconfig = sandbox.write_kubeconfig(Path(folder) / "kubeconfig")
            tell("A sandbox Kubernetes API is up, and klepaas serves it over stdio to a real MCP client session.\n")
            with anyio.fail_after(LIMIT_S):
                outcomes = await _walk(kubeconfig, tell, _quiet_outcome if as_json else _show)
            good = sum(not outcome.problems for outcome in outcomes)
            duration_s = time.monotonic() - started
            if as_json:
                steps = [outcome.as_json() for outcome in outcomes]
                _say(
                    json.dumps({"ok": good == len(STORY), "duration_s": round(duration_s, 2), "steps": steps}, indent=2)
                )
            tell(f"{good} of {len(STORY)} steps did what they should, in {duration_s:.1f} s.")
            if serve:
                await _keep_up(kubeconfig)
            elif good == len(STORY):
                tell("Next: `klepaas demo --serve` keeps this sandbox up for your own client; the README says more.")
    return 0 if good == len(STORY) else 1


async def _walk(kubeconfig: Path, tell: Tell, finished: Finished) -> list[Outcome]:
    outcomes: list[Outcome] = []
    async with AsyncExitStack() as stack:
        writer = await stack.enter_async_context(_client(kubeconfig, "--writes"))
        reader = await stack.enter_async_context(_client(kubeconfig))
        tell(
            f"Connected: {len(await writer.list_tools())} tools, {len(await reader.list_tools())} of them read-only.\n"
        )
        for step in STORY:
            outcome = await _take(step, reader if step.read_only else writer, tell)
            finished(outcome)
            outcomes.append(outcome)
            if outcome.problems:
                break
    return outcomes


def _client(kubeconfig: Path, *options: str) -> Client[StdioTransport]:
    """A client of a klepaas of its own, as an MCP client would start it."""
    environment = processes.base_environment()
    environment |= _settings(kubeconfig)
    log_file = kubeconfig.with_name(f"serve{''.join(options)}.log")
    command = ["-m", "klepaas", "serve", *options]
    transport = StdioTransport(sys.executable, command, env=environment, keep_alive=False, log_file=log_file)
    return Client(transport, timeout=LIMIT_S)


def _settings(kubeconfig: Path) -> dict[str, str]:
    """What a klepaas in front of the sandbox is given: the cluster, a state of its own, and a short wait."""
    return {
        "KUBECONFIG": str(kubeconfig),
        "KLEPAAS_STATE_DIR": str(kubeconfig.with_name("state")),
        "KLEPAAS_ROLLOUT_MIN_HEALTHY_S": "1",
    }


async def _take(step: Step, client: Client[StdioTransport], tell: Tell) -> Outcome:
    tell(f"> {step.wish}  {step.wish_ko}")
    tell(f"  {step.tool} {json.dumps(dict(step.arguments), ensure_ascii=False)}")
    started = time.monotonic()
    result = await client.call_tool(
        step.tool, dict(step.arguments), raise_on_error=False, progress_handler=_Progress(tell)
    )
    duration_ms = round((time.monotonic() - started) * 1000)
    text = "\n".join(block.text for block in result.content if hasattr(block, "text"))
    outcome = Outcome(step, text, result.is_error, duration_ms)
    if result.is_error is not step.fails:
        outcome.problems.append("the call should have failed" if step.fails else "the call failed")
    outcome.problems += [f"the answer does not hold {wanted!r}" for wanted in step.expect if wanted not in text]
    return outcome


class _Progress:
    """Tells a call's progress as it comes."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        if message:
            self._tell(f"  ... {message}")


def _show(outcome: Outcome) -> None:
    for line in outcome.text.splitlines():
        _say(f"  | {line.expandtabs(4)}")
    for problem in outcome.problems:
        _say(f"  NOT AS IT SHOULD BE: {problem}")
    meant = "refused, as it should be" if outcome.step.read_only else "failed, and said why"
    verdict = "no" if outcome.problems else meant if outcome.step.fails else "done"
    _say(f"  = {verdict} ({outcome.duration_ms} ms)\n")


async def _keep_up(kubeconfig: Path) -> None:
    """Tell how to connect a client of one's own, and wait for Ctrl-C."""
    server = {
        "command": sys.executable,
        "args": ["-m", "klepaas", "serve", "--writes"],
        "env": _settings(kubeconfig),
    }
    ide = {"servers": {"klepaas": {"type": "stdio", **server}}}
    _say("The sandbox stays up until you press Ctrl-C.\n")
    _say("Claude Desktop (claude_desktop_config.json), Cursor (.cursor/mcp.json), Claude Code (.mcp.json):")
    _say(json.dumps({"mcpServers": {"klepaas": server}}, indent=2))
    _say("\nVS Code (.vscode/mcp.json):")
    _say(json.dumps(ide, indent=2))
    await anyio.sleep_forever()


def _say(line: str) -> None:
    sys.stdout.write(clean(line) + "\n")
    sys.stdout.flush()


def _quiet(_line: str) -> None:
    """Say nothing: the JSON document is the only output."""


def _quiet_outcome(_outcome: Outcome) -> None:
    """Say nothing: the JSON document is the only output."""
