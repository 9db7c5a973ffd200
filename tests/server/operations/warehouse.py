"""A provider to work against: a real HTTP server on loopback that counts every effect it has, and breaks as it is told.

    POST /things/{operation}/{step}   makes a thing; the same thing twice is counted twice
    GET  /things/{operation}/{step}   whether it is there
    DELETE /things/{operation}/{step} takes it away

It runs in a thread of its own, so that processes which are killed can be its clients too.
"""

import contextlib
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from klepaas.testing import scale_timeout

# What can befall a POST, and whether the thing is made.
FAULTS = ("fail", "fail_after", "hang", "hang_before", "late", "die", "die_before", "invisible", "busy")
LATE_S, INVISIBLE_S = 0.5, 0.4
# From when on a thing that was made late or invisibly is surely to be seen.
VISIBLE_AFTER_S = 1.0


@dataclass
class Warehouse:
    """The provider.

    Attributes:
        made: How often each thing was made.
        taken: How often each thing was taken away.
        asked: How often each thing was asked for.
        faults: What befalls the next requests that make a thing, by the thing.
        refuses: Things that it will not make.
        blind: How many of the next questions after a thing fail.
    """

    made: Counter[str] = field(default_factory=Counter)
    taken: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    faults: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    refuses: set[str] = field(default_factory=set)
    blind: Counter[str] = field(default_factory=Counter)
    url: str = ""
    stopped: threading.Event = field(default_factory=threading.Event)
    _visible_at: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def duplicates(self) -> dict[str, int]:
        """Things that were made more than once without being taken away in between."""
        return {thing: count for thing, count in self.made.items() if count - self.taken[thing] > 1}

    def has(self, thing: str) -> bool:
        """Whether a thing is there."""
        return self.made[thing] > self.taken[thing]

    def answer(self, method: str, thing: str) -> int | None:
        """What a request gets: a status, or None where the connection is to be cut."""
        if method == "POST":
            return self._make(thing)
        with self._lock:
            if method == "DELETE":
                self.taken[thing] += self.has(thing)
                return 200
            self.asked[thing] += 1
            if self.blind[thing] > 0:
                self.blind[thing] -= 1
                return 503
            return 200 if self.has(thing) and time.monotonic() >= self._visible_at.get(thing, 0.0) else 404

    def _make(self, thing: str) -> int | None:
        with self._lock:
            step = thing.split("/")[1]
            if thing in self.refuses or step in self.refuses:
                return 403
            waiting = self.faults[thing] or self.faults[step]
            fault = waiting.pop(0) if waiting else ""
        if fault == "late":
            self.stopped.wait(LATE_S)
        if fault not in ("fail", "hang_before", "die_before", "busy"):
            with self._lock:
                self.made[thing] += 1
                self._visible_at[thing] = time.monotonic() + (INVISIBLE_S if fault == "invisible" else 0.0)
        if fault in ("hang", "hang_before"):
            self.stopped.wait(scale_timeout(30))
        if fault in ("die", "die_before"):
            return None
        return {"fail": 500, "fail_after": 500, "invisible": 500, "busy": 429}.get(fault, 200)


@contextlib.contextmanager
def open_warehouse() -> Iterator[Warehouse]:
    """A warehouse that answers while inside."""
    warehouse = Warehouse()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = warehouse.answer(self.command, self.path.removeprefix("/things/"))
            if status is None:
                self.close_connection = True
                return
            with contextlib.suppress(OSError):
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

        do_POST = do_DELETE = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 256
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    warehouse.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield warehouse
    finally:
        warehouse.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()
