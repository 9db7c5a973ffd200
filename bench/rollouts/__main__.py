"""Rollouts that fail and rollouts that go well, and what klepaas makes of each: one table.

    python bench/rollouts [--only TEXT]                              on a sandbox in this process
    KLEPAAS_TEST_KUBECONFIG=FILE python bench/rollouts               on a real cluster, each scenario in a namespace

For each: whether the answer names the cause, the object and the changed field; seconds from the first decisive signal
in the cluster to the decision; whether every object is again exactly as it was; and the fewest ready endpoints.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import anyio

# At the end: a file of this folder's parent has the name of the Kubernetes client.
sys.path.append(str(Path(__file__).parents[1]))

from rollouts.playing import Result, on_a_cluster, on_the_sandbox, play_all
from rollouts.scenarios import BAD, GOOD


def table(results: Sequence[Result]) -> str:
    """The table.

    Args:
        results: Its rows.
    """
    rows = [
        ("", "scenario", "named", "decided in", "restored", "endpoints", "what the answer says"),
        *map(_row, results),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    return "\n".join("  ".join([*(row[at].ljust(width) for at, width in enumerate(widths)), row[6]]) for row in rows)


def _row(one: Result) -> tuple[str, ...]:
    bad = one.scenario in BAD
    decided = "at once" if one.scenario.refused else "-" if one.decided_s is None else f"{one.decided_s:.2f} s"
    return (
        "ok" if one.is_good else "NO",
        one.scenario.name,
        "-" if not bad else "yes" if not one.missing else f"not {'; '.join(one.missing)}",
        decided,
        "-" if not bad else "exactly" if not one.restored else f"not {', '.join(one.restored)}",
        f">= {one.least}",
        (one.problem or one.text).partition("\n")[0][:150],
    )


async def main(only: str) -> int:
    """Play everything and print the table; 1 where something is not as it should be."""
    kubeconfig = os.environ.get("KLEPAAS_TEST_KUBECONFIG")
    scenarios = [one for one in (*BAD, *GOOD) if only in one.name and not (kubeconfig and one.fault)]
    async with on_a_cluster(kubeconfig) if kubeconfig else on_the_sandbox() as stage:
        results = await play_all(stage, scenarios)
    good = sum(one.is_good for one in results)
    sys.stdout.write(f"{table(results)}\n{good} of {len(results)} are as they should be\n")
    return 0 if good == len(results) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Rollouts that fail and rollouts that go well, in one table.")
    parser.add_argument("--only", default="", help="only scenarios whose name holds this")
    sys.exit(anyio.run(main, parser.parse_args().only))
