"""Writes `tools.md`, the table of the tools that change and look into clusters, from their declarations.

    python docs/tools_table.py > docs/tools.md

A test compares the file with what this writes.
"""

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

HEAD = """\
# Tools

Written by `docs/tools_table.py` from the tools' declarations; a test keeps it true. `*` marks a parameter that must be
given. Every tool of clusters and applications takes `context`, one of those that `get_overview` names. A changing tool
exists only in a server with `--writes`; with `dry_run` it shows what it would do and does nothing. What is destructive
is confirmed by a person first, unless the policy says otherwise."""
TAIL = """
## How they are meant

- **Columns and paths** (`columns`, `sort_by`): kubectl's JSONPath as far as people use it: `.spec.containers[*].image`,
  `.status.conditions[?(@.type=="Ready")].status`, `..image`, `.metadata.labels.app\\.kubernetes\\.io/name`, with a
  heading (`IMAGE:.spec...`) or without. They see objects as they may be shown: masked. What does not fit has a cursor;
  a sorted list is sorted among its first 5,000 objects, and says so.
- **Applying**: every object is read and tried as a dry run before the first is changed, so that most of what can go
  wrong changes nothing. Namespaces and definitions come first, what runs after its configuration. Unknown fields are
  errors. A conflict names the owners of the fields; `take_ownership` takes them over. A text with a redaction mark is
  refused: what was read masked is never written. If a change fails in the middle, the answer says what was done.
- **Deleting**: one object by name, never a collection. It is read first, and only that object (its uid) goes. What it
  owns is counted by kind. Namespaces, custom resource definitions, volumes, claims, nodes and API services need
  `confirm_name`, the name again; `default`, `kube-system`, `kube-public` and `kube-node-lease` are never deleted.
- **Logs**: of a workload the least healthy pod, or `all_pods` merged by time. `grep` is text in any case with `|` and
  `.*`, never a regular expression that could run away; it and `level` search the last 20,000 lines. Levels are read
  from JSON, key=value, klog, brackets and words; a stack trace belongs to its line. Repeats are one line and a count.
  At most 16 MiB are read, in at most 4 seconds.
- **Events** of an object hold those of what it owns, newest first.
- **Running commands** (`k8s_exec`) exists only with `KLEPAAS_K8S_EXEC=true`. No shell reads the words. Output and time
  are bounded. It needs Kubernetes 1.30 or later.
"""
PLUGINS = ("kubernetes", "deployments", "operations", "health", "prometheus", "alertmanager")


def page() -> str:
    """The whole page."""
    os.environ["KLEPAAS_K8S_EXEC"] = "true"
    os.environ["KLEPAAS_PROMETHEUS_BASE_URL"] = os.environ["KLEPAAS_ALERTMANAGER_URL"] = "http://127.0.0.1:9"
    os.environ["KLEPAAS_ALERTMANAGER_WEBHOOK_TOKEN"] = "a-token-for-the-table"  # noqa: S105 -- only so that its tools are listed
    from klepaas.app import create_app
    from klepaas.settings import Mode, Settings

    app = create_app(Settings(mode=Mode.WRITES, external_plugins=False))
    schemas = asyncio.run(_schemas(app.server))
    lines = [HEAD]
    for plugin in PLUGINS:
        entries = sorted(
            (entry for entry in app.catalogue if entry.plugin.name == plugin), key=lambda one: one.tool.name
        )
        lines += [f"\n## {entries[0].tool.toolset.capitalize()}\n", "| tool | effect | what it does | parameters |"]
        lines.append("|---|---|---|---|")
        for entry in entries:
            schema, description = schemas[entry.tool.name]
            effect = entry.tool.effect.value if entry.tool.effect else "undeclared"
            what = " ".join(description.split()).replace("|", "\\|")
            lines.append(f"| `{entry.tool.name}` | {effect} | {what} | {', '.join(_parameters(schema))} |")
    return "\n".join(lines) + "\n" + TAIL


async def _schemas(server: Any) -> dict[str, tuple[Mapping[str, Any], str]]:
    from fastmcp import Client

    async with Client(server) as client:
        return {tool.name: (tool.input_schema, tool.description or "") for tool in await client.list_tools()}


def _parameters(schema: Mapping[str, Any]) -> Iterator[str]:
    required = schema.get("required") or ()
    for name, rule in (schema.get("properties") or {}).items():
        if name == "context":
            continue
        choices = rule.get("enum") or next((one["enum"] for one in rule.get("anyOf") or () if "enum" in one), None)
        shown = f" ({', '.join(map(str, choices))})" if choices else ""
        yield f"`{name}`{'*' if name in required else ''}{shown}"


if __name__ == "__main__":
    sys.stdout.write(page())
