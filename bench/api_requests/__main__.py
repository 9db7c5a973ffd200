"""The requests at the API server that each verb takes, from the call to the end of its operation.

    python bench/api_requests [--only TEXT] [--each] [--latency-s 0.05]

It prints for each verb how many requests arrived, how long the call took, and how many of them arrived by method and
path; `--each` prints them one by one in their order. `--latency-s` lets each wait before it is answered.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import anyio

# At the end: a file of this folder's parent has the name of the Kubernetes client.
sys.path.append(str(Path(__file__).parents[1]))

from api_requests.counting import SCENARIOS, count, listing


async def main(only: str, latency_s: float, *, each: bool) -> None:
    """Play all scenarios and print their tables."""
    for scenario in SCENARIOS:
        if only in scenario.verb:
            with tempfile.TemporaryDirectory() as folder:
                counted = await count(scenario, Path(folder), latency_s=latency_s)
            sys.stdout.write(f"{listing(counted, each=each)}\n\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="", help="only verbs whose name holds this")
    parser.add_argument("--each", action="store_true", help="print each request, in order")
    parser.add_argument("--latency-s", type=float, default=0.0, help="seconds that each request waits")
    chosen = parser.parse_args()
    anyio.run(lambda: main(chosen.only, chosen.latency_s, each=chosen.each))
