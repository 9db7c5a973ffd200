"""What redaction costs for each 100 kB of ordinary log, beside a plain scan of the same text.

    python bench/redaction_cost.py [ROUNDS]

The scan looks for every name before "=" or ":" with one expression and is the unit, so that figures of different
machines and versions of Python compare. `BASELINE` is what redaction cost in that unit on 2026-11-30, before it knew
the public token formats; it may cost at most `LIMIT` times that.
"""

import json
import random
import re
import sys
import time
from collections.abc import Callable, Iterator

from klepaas.output.redaction import redact_text

SIZE_CHARS = 100_000
BASELINE = 7.8
LIMIT = 1.5
_SCAN = re.compile(r"(?<![A-Za-z0-9_.-])[A-Za-z0-9_.-]++(?=[\"']?[ \t]{0,16}[=:])")
_WORDS = ("request", "served", "cache", "miss", "for", "user", "order", "created", "queue", "drained", "in", "after")
_PATHS = ("/api/v1/orders", "/healthz", "/login", "/static/app.3f2a1b.js", "/api/v1/users/1742/cart?sort=price")


def main(rounds: int) -> None:
    """Print the cost, the unit and the ratio beside the baseline."""
    text = ordinary_log(SIZE_CHARS)
    unit_s, cost_s = minima(text, rounds)
    ratio = cost_s / unit_s
    print(f"scan:      {unit_s * 1000:6.2f} ms for each 100 kB")
    print(f"redaction: {cost_s * 1000:6.2f} ms for each 100 kB, {ratio:.2f} scans")
    print(f"baseline:  {BASELINE:6.2f} scans; now {ratio / BASELINE:.2f} times that (at most {LIMIT})")


def minima(text: str, rounds: int, run: Callable[[str], str] = redact_text) -> tuple[float, float]:
    """The processor time of the scan and of redaction, the least of some rounds each, one after the other.

    Args:
        text: What is read.
        rounds: How many rounds.
        run: What is measured.
    """
    unit_s = cost_s = float("inf")
    for _ in range(rounds):
        unit_s = min(unit_s, _timed(lambda: _scan(text)))
        cost_s = min(cost_s, _timed(lambda: run(text)))
    return unit_s, cost_s


def _scan(text: str) -> int:
    return sum(1 for _ in _SCAN.finditer(text))


def _timed(run: Callable[[], object]) -> float:
    begun = time.thread_time()
    run()
    return time.thread_time() - begun


def ordinary_log(size_chars: int) -> str:
    """A log as applications write it: JSON, key=value, klog, access lines, sentences and stack traces, no secrets.

    Args:
        size_chars: About how long it is.
    """
    lines: list[str] = []
    length = 0
    for line in _lines(random.Random(14)):
        lines.append(line)
        length += len(line) + 1
        if length >= size_chars:
            break
    return "\n".join(lines)


def _lines(choice: random.Random) -> Iterator[str]:
    second = 0
    while True:
        second += choice.randint(0, 3)
        at = f"2026-11-30T09:{second // 60 % 60:02d}:{second % 60:02d}"
        says = " ".join(choice.choices(_WORDS, k=6))
        path, status, size = (
            choice.choice(_PATHS),
            choice.choice((200, 200, 200, 204, 304, 404, 500)),
            choice.randint(9, 99_999),
        )
        pod = f"web-7d9c5b8f6c-{choice.randbytes(3).hex()}"
        fields = {"ts": f"{at}Z", "level": "info", "msg": says, "pod": pod, "latency_ms": size / 100, "status": status}
        yield json.dumps(fields)
        yield f'time="{at}Z" level=info msg="{says}" component=router trace_id={choice.randbytes(16).hex()} attempts=1'
        yield f'I1130 09:00:{second % 60:02d}.{size:06d}       1 controller.go:{size % 900}] {says} key="shop/{pod}"'
        yield f'10.244.1.{size % 250} - - [30/Nov/2026:09:00:01 +0000] "GET {path} HTTP/1.1" {status} {size} "-" "-"'
        yield f"{at}.123  INFO 1 --- [nio-8080-exec-{size % 10}] c.e.shop.OrderService : {says} (tokens_total={size})"
        if size % 8 == 0:
            yield f"{at} ERROR failed to connect to db.shop.svc.cluster.local:5432: connection refused"
            yield from (f"\tat com.example.shop.Order{name}.handle(Order{name}.java:{size % 400})" for name in "ABCDEF")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30)
