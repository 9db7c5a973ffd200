"""`klepaas serve`, told on itself: what its event loop imports after the first list, and how long it is busy at a time.

    python observed_server.py REPORT [OPTIONS OF SERVE]

The report is written when it ends: `imports` names each module that the thread of the event loop loaded, with the line
of klepaas that asked for it; `longest_s` is the longest that the loop was busy at a stretch, in seconds of the
processor, which other programs on the machine do not lengthen.
"""

import asyncio.events
import atexit
import json
import sys
import threading
import time
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

REPORT = Path(sys.argv.pop(1))
imports: dict[str, str] = {}
busy: list[tuple[float, str]] = []


class Observer(MetaPathFinder):
    """Finds nothing, and notes who looked for it."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:
        """Note a module that is about to be loaded."""
        if threading.current_thread() is threading.main_thread():
            imports.setdefault(name, _asker(sys._getframe(1)))


def _asker(frame: FrameType | None) -> str:
    while frame is not None:
        if "klepaas" in frame.f_globals.get("__name__", "").split(".")[0]:
            return f"{frame.f_globals['__name__']}:{frame.f_lineno}"
        frame = frame.f_back
    return "nobody of klepaas"


def observe() -> None:
    """From the first list on."""
    sys.meta_path.insert(0, Observer())
    run = asyncio.events.Handle._run

    def measured(handle: Any) -> None:
        began_s = time.thread_time()
        run(handle)
        busy.append((time.thread_time() - began_s, repr(handle)[:300]))

    asyncio.events.Handle._run = measured  # type: ignore[method-assign, assignment]


def report() -> None:
    """Write down what was seen."""
    longest_s, step = max(busy, default=(0.0, ""))
    found = {name: asker for name, asker in imports.items() if name in sys.modules}
    REPORT.write_text(json.dumps({"imports": found, "longest_s": longest_s, "step": step}))


def main() -> None:
    """Serve, observed."""
    from klepaas.__main__ import main as klepaas
    from klepaas.gate.gate import Gate

    list_tools = Gate.on_list_tools

    async def listed(self: Gate, *messages: Any, **more: Any) -> Any:
        Gate.on_list_tools = list_tools  # type: ignore[method-assign]
        observe()
        return await list_tools(self, *messages, **more)

    Gate.on_list_tools = listed  # type: ignore[method-assign]
    atexit.register(report)
    sys.argv[0:1] = ["klepaas", "serve"]
    klepaas()


if __name__ == "__main__":
    main()
