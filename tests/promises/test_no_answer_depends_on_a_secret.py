"""Two clusters that differ only in their secrets give equal answers to equal questions.

A walk over every tool that reads, compares, sorts, selects or counts, with the parameters that do. Left out of the
comparison is what differs between any two clusters: uids, times, versions and the names that controllers draw. What
cannot be equal is the hash of a pod template, which the cluster itself puts into the names of pods.
"""

import base64
import json
import random
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastmcp import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.loglines import Grep
from klepaas_plugins.kubernetes.logreading import Filter, select_lines
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

from .attack_world import definition, obj, session
from .conftest import deployment

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(75))]

# Of one length, and with everything in them that a search or a level could be after.
SECRETS = ("Zq7ERRORredacted01xK", "Ab9debugINFOwarn77yP")
_DIFFERS = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"  # uids
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z?|\d\d:\d\d:\d\d"
    r"|127\.0\.0\.1:\d+|\b\d+(?:ms|s|m)\b|\bat \d+\b|resourceVersion\D{1,4}\d+|\bop-[a-z0-9]{12}"
    r"|\bplan(?:-[a-z0-9]{5}){4}"
    r"|(?<=web-)[a-z0-9]+(?:-[a-z0-9]{5})?|(?<=kube-api-access-)[a-z0-9]{5}|pod-template-hash\D{1,4}[a-z0-9]+"
)


def plant(sandbox: Sandbox, secret: str) -> None:
    """Everything that holds the secret, and much that does not."""
    encoded = base64.b64encode(secret.encode()).decode()
    env = [{"name": "DB_PASSWORD", "value": secret}, {"name": "LOG_LEVEL", "value": "debug"}]
    config = {"url": f"postgres://app:{secret}@db/app", "app.yaml": f"host: db\npassword: {secret}\n", "plain": "x"}
    sandbox.create(deployment("web", env=env, args=["--port=1", f"--password={secret}"]))
    sandbox.create(obj("Secret", "s", data={"pin": encoded}, type="Opaque"))
    sandbox.create(obj("ConfigMap", "c", data=config))
    fields = [{"jsonPath": ".spec.password"}, {"jsonPath": ".spec.color"}]
    printed = [{"name": "Colour", "type": "string", "jsonPath": ".spec.password"}]
    sandbox.create(definition(selectableFields=fields, additionalPrinterColumns=printed))
    for name, value in (("a", secret), ("b", secret[::-1])):
        sandbox.create(obj("Vault", name, spec={"password": value, "color": "red"}))
    about = {"apiVersion": "v1", "kind": "Deployment", "name": "web", "namespace": "default"}
    times = {"firstTimestamp": "2026-11-21T00:00:00Z", "lastTimestamp": "2026-11-21T00:00:00Z"}
    message = f'web: Invalid value: {{"env":"{secret}"}}: no; password={secret}'
    sandbox.create(
        obj("Event", "e", involvedObject=about, reason="Failed", type="Warning", message=message, count=1, **times)
    )
    sandbox.set_log("default", "web", "\n".join(log(secret)) + "\n")


def log(secret: str) -> list[str]:
    """Lines of a log, with the secret in each of the forms in which programs print one."""
    body = [f"{base64.b64encode(bytes(range(60))).decode()[:44]}{secret}"] * 12
    return [
        "2026-11-30T09:00:00Z INFO ready",
        f"WARN login with password={secret} failed",
        f'{{"level":"info","token":"{secret}","message":"done"}}',
        "-----BEGIN RSA PRIVATE KEY-----", *body, "-----END RSA PRIVATE KEY-----",
        f"ERROR at postgres://app:{secret}@db:5432/app", "  at Main.java:12",
        '"api_key":', f'   "{secret}",', "password: |", f"  {secret}", f"  {secret}", "host: db",
        f'secret_key: "{secret}', f'{secret}"', f"Authorization: Bearer {secret}a1", "INFO served",
    ]  # fmt: skip


def questions() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every way to ask that selects, compares, sorts, counts or cuts."""
    for kind in ("secrets", "configmaps", "pods", "events", "vaults", "deployments"):
        for output in ("table", "wide", "yaml", "full", "json", "names"):
            # Controllers write their own events in any order.
            only = {"field_selector": "reason=Failed"} if kind == "events" else {}
            yield "k8s_get", {"kind": kind, "output": output, **only}
    for kind, path in (("secrets", ".data.pin"), ("configmaps", ".data.url"), ("vaults", ".spec.password")):
        yield "k8s_get", {"kind": kind, "sort_by": path}
        yield "k8s_get", {"kind": kind, "sort_by": f"-{path}", "columns": f"N:.metadata.name,P:{path}"}
    yield "k8s_get", {"kind": "vaults", "sort_by": "COLOUR"}
    yield "k8s_get", {"kind": "deployments", "columns": "..env,..args,..value"}
    for guess in (*SECRETS, "red"):
        yield "k8s_get", {"kind": "vaults", "columns": f'A:.spec[?(@=="{guess}")]'}
        for sign in ("=", "!="):
            yield "k8s_get", {"kind": "vaults", "field_selector": f"spec.password{sign}{guess}"}
        for one in manifests(guess):
            for force in (False, True):
                yield "k8s_apply", {"manifests": json.dumps(one), "dry_run": True, "take_ownership": force}
        yield "k8s_events", {"name": "web", "kind": "deployment", "types": "warning"}
        variables = {"app_name": "web", "image": "registry.example/web:1.0", "env_vars": [f"DB_PASSWORD={guess}"]}
        yield "deploy_application", {**variables, "dry_run": True, "take_ownership": True}
        yield "deploy_application", {**variables, "dry_run": True}
    yield from logs_asked()
    for tool in ("get_deployment_status", "list_releases"):
        yield tool, {"app_name": "web"}
    yield "get_overview", {}


def logs_asked() -> Iterator[tuple[str, dict[str, Any]]]:
    """Searches and tails, drawn from what could tell something."""
    draw = random.Random(7)
    wanted = ["", "redacted", "‹", "a|e|i", "password", "END", "error", "Zq7.*xK", *SECRETS]
    wanted += [secret[at : at + 4] for secret in SECRETS for at in (0, 7, 14)]
    for lines in range(1, len(log("")), 2):
        yield "k8s_logs", {"name": "web", "tail_lines": lines}
    for grep in wanted:
        more: dict[str, Any] = {"context_lines": draw.choice((0, 0, 1, 3)), "tail_lines": draw.choice((1, 5, 100))}
        more |= {"grep": grep} if grep else {}
        level = draw.choice((None, None, "warn", "error"))
        yield "k8s_logs", {"name": "web", **more, **({"level": level} if level else {})}


def manifests(guess: str) -> Iterator[dict[str, Any]]:
    """Manifests that try a value."""
    yield obj("Secret", "s", stringData={"pin": guess})
    yield obj("ConfigMap", "c", data={"url": f"postgres://app:{guess}@db/app"})
    yield obj("ConfigMap", "c", data={"app.yaml": f"host: db\npassword: {guess}\n"})
    yield obj("Vault", "a", spec={"password": guess})
    web = deployment("web", env=[{"name": "DB_PASSWORD", "value": guess}], args=["--port=1", f"--password={guess}"])
    yield web


@asynccontextmanager
async def cluster(secret: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client[Any]]:
    """A session in front of a cluster with the secret in it."""
    async with Sandbox(timing=Timing.instant()) as sandbox:
        monkeypatch.setenv("KUBECONFIG", str(sandbox.write_kubeconfig(folder / "kubeconfig")))
        monkeypatch.setenv("KLEPAAS_STATE_DIR", str(folder / "state"))
        plant(sandbox, secret)
        with anyio.fail_after(scale_timeout(10)):
            while not (sandbox.get("deployments", "web") or {}).get("status", {}).get("availableReplicas"):
                await sandbox.changed()
        async with session() as client:
            yield client


async def answers(secret: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    found = {}
    await anyio.Path(folder).mkdir()
    async with cluster(secret, folder, monkeypatch) as client:
        for tool, arguments in questions():
            result = await client.call_tool(tool, arguments, raise_on_error=False)
            text = "\n".join(block.text for block in result.content if hasattr(block, "text"))
            found[f"{tool} {json.dumps(arguments)}"] = _DIFFERS.sub("~", f"{result.is_error} {result.meta} {text}")
    return found


async def test_equal_questions_to_clusters_that_differ_in_secrets_get_equal_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLEPAAS_POLICY", '[{"decision": "auto"}]')
    one = await answers(SECRETS[0], tmp_path / "one", monkeypatch)
    other = await answers(SECRETS[1], tmp_path / "other", monkeypatch)
    assert one.keys() == other.keys()
    differing = [f"{asked}\n{text}\n{other[asked]}" for asked, text in one.items() if text != other[asked]]
    assert not differing, "\n\n".join(differing)
    told = sum("True" not in text[:4] for text in one.values())
    assert told > len(one) * 2 // 3, "most questions were answered, not refused"


def test_the_walk_asks_every_tool_that_selects_or_compares() -> None:
    from klepaas.app import create_app
    from klepaas.settings import Mode, Settings

    asked = {tool for tool, _ in questions()}
    selecting = {"grep", "level", "sort_by", "columns", "field_selector", "dry_run", "tail_lines", "types"}
    # They show or change something that holds no text of the cluster, or whose dry run compares nothing.
    others = {"k8s_create", "k8s_delete", "k8s_top", "k8s_exec", "scale_deployment", "restart_deployment",
              "rollback_deployment", "undo_release"}  # fmt: skip
    for entry in create_app(Settings(mode=Mode.WRITES)).catalogue:
        if selecting & set(entry.tool.parameters) and entry.tool.toolset in ("kubernetes", "deployments"):
            assert entry.tool.name in asked | others, f"{entry.tool.name} selects or compares: ask it here"


@settings(max_examples=150, deadline=None)
@given(
    order=st.permutations(range(12)),
    start=st.integers(0, 25),
    last=st.integers(1, 12),
    grep=st.sampled_from([None, "e", "redacted", "ERROR", "password=", "a|1", "xK", *SECRETS]),
    level=st.sampled_from([None, "warn", "error"]),
    context=st.integers(0, 2),
)
def test_which_lines_are_selected_does_not_depend_on_a_secret(
    order: list[int], start: int, last: int, grep: str | None, level: Any, context: int
) -> None:
    wanted = Filter(last, Grep(grep) if grep else None, level, context)
    shown = []
    for secret in SECRETS:
        lines = log(secret)
        blocks = [lines[:3], lines[3:17], lines[17:19], lines[19:21], lines[21:25], lines[25:27], lines[27:]]
        mixed = [line for at in order if at < len(blocks) for line in blocks[at]]
        raw = [line.encode() for line in mixed]
        read = select_lines(raw, wanted, max(1, len(raw) - start), stamped=False, is_part=False)
        shown.append(([line.text for line in read.lines], read.found, read.count))
        assert not [line for line in read.lines if secret[:6] in line.text]
    assert shown[0] == shown[1]
