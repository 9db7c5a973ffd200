"""Applies public sets of manifests: dry run, apply, apply again, read back, delete; beside kubectl where it is at hand.

    python -m bench.manifests FOLDER [--only NAME] [--kubeconfig FILE] [--kubectl PROGRAM] [--json FILE]

FOLDER holds one folder a set, named as in sets.toml, which lists repositories, commits and files; nothing is fetched
here. Without `--kubeconfig` the sandbox is the cluster. With `--kubectl` each set is also tried by
`kubectl apply --server-side --dry-run=server`, and a set whose verdict differs is printed with its reason, one of
`reasons`.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from fastmcp import Client

from klepaas.app import create_app
from klepaas.output.audience import at_terminal
from klepaas.policy import Decision, Rule
from klepaas.settings import Mode, Settings
from klepaas_plugins.kubernetes.manifest_files import read_files
from klepaas_plugins.kubernetes.manifests import in_safe_order, read_manifests
from klepaas_plugins.kubernetes.sandbox import Sandbox

from .reasons import Verdict, explain
from .sets import found_sets, try_kubectl

LIMIT_S = 900.0
GONE_LIMIT_S = 90.0
PAUSE_S = 0.5
Call = Callable[..., Any]


async def play(call: Call, text: str) -> dict[str, str]:
    """Play one set; what each step said in one line, "ok" where it is as it should be.

    Args:
        call: Calls a tool; gives whether it failed, and its text.
        text: The set.
    """
    steps: dict[str, str] = {}
    failed, said = await call("k8s_apply", manifests=text, dry_run=True)
    steps["dry run"] = said if failed else "ok"
    if failed:
        return steps
    failed, said = await call("k8s_apply", manifests=text)
    steps["apply"] = said if failed else "ok"
    if not failed:
        failed, said = await call("k8s_apply", manifests=text)
        changed = [line for line in said.splitlines() if line.startswith(("changed", "created"))]
        steps["again"] = said if failed else f"{len(changed)} changed: {changed[0]}" if changed else "ok"
    steps |= await _read_and_delete(call, text)
    return steps


async def _read_and_delete(call: Call, text: str) -> dict[str, str]:
    missing, left = [], []
    for one in reversed(in_safe_order(read_manifests(text, names_required=False))):
        kind, group = one.kind.lower(), one.group
        where = {"kind": f"{kind}.{group}" if group else kind, "name": str(one.name)}
        if one.namespace:
            where["namespace"] = one.namespace
        failed, said = await call("k8s_get", **where)
        if failed:
            missing.append(f"{one.title}: {said}")
            continue
        failed, said = await call("k8s_delete", **where, confirm_name=one.name)
        left += [f"{one.title}: {said}"] if failed else []
        if not failed and one.kind in ("Namespace", "CustomResourceDefinition"):
            await _await_end(call, where)
    return {"read back": _first(missing), "delete": _first(left)}


async def _await_end(call: Call, where: dict[str, str]) -> None:
    """Wait until an object that ends is gone: the next set may have one of its name."""
    with anyio.move_on_after(GONE_LIMIT_S):
        while not (await call("k8s_get", **where))[0]:  # noqa: ASYNC110 - the cluster says nothing by itself
            await anyio.sleep(PAUSE_S)


def _first(found: Sequence[str]) -> str:
    return f"{len(found)}: {found[0]}" if found else "ok"


async def _run(options: argparse.Namespace) -> int:
    sets = found_sets(options.folder, options.only)
    rows = []
    async with AsyncExitStack() as stack:
        kubeconfig = options.kubeconfig
        state = stack.enter_context(tempfile.TemporaryDirectory())
        for name, files in sets:
            async with AsyncExitStack() as own:
                if options.kubeconfig is None:
                    sandbox = await own.enter_async_context(Sandbox())
                    kubeconfig = sandbox.write_kubeconfig(Path(state) / "kubeconfig")
                rows.append(await _play_set(own, name, files, options, Path(kubeconfig), Path(state)))
                print("\t".join((name, *(f"{step}: {said[:300]}" for step, said in rows[-1]["steps"].items()))))
                sys.stdout.flush()
    wrong = [row for row in rows if row["reason"] == "unexplained"]
    print(f"{len(rows)} sets, {sum(row['reason'] == 'equal' for row in rows)} as expected, {len(wrong)} unexplained")
    for row in rows:
        if row["reason"] != "equal":
            print(f"{row['name']}\t{row['reason']}")
    if options.json:
        await anyio.Path(options.json).write_text(json.dumps(rows, indent=1))
    return 1 if wrong else 0


async def _play_set(
    stack: AsyncExitStack, name: str, files: Path, options: argparse.Namespace, kubeconfig: Path, state: Path
) -> dict[str, Any]:
    peer = await anyio.to_thread.run_sync(try_kubectl, options.kubectl, kubeconfig, files) if options.kubectl else None
    os.environ["KUBECONFIG"] = str(kubeconfig)
    settings = Settings(mode=Mode.WRITES, state_dir=state, policy=(Rule(decision=Decision.AUTO),))
    stack.enter_context(at_terminal())
    client = await stack.enter_async_context(Client(create_app(settings).server))

    async def call(tool: str, **arguments: Any) -> tuple[bool, str]:
        with anyio.fail_after(LIMIT_S):
            result = await client.call_tool(tool, arguments, raise_on_error=False)
        return result.is_error, " ".join(block.text for block in result.content if hasattr(block, "text"))

    steps = await play(call, read_files([str(files)], recursive=True))
    reason = explain(Verdict(steps=steps, peer=peer))
    return {"name": name, "steps": steps, "kubectl": peer, "reason": reason}


def main() -> int:
    """Run the suite."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only")
    parser.add_argument("--kubeconfig")
    parser.add_argument("--kubectl")
    parser.add_argument("--json")
    return anyio.run(_run, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
