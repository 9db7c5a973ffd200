"""A proxy on loopback between klepaas and PostgreSQL that cuts a connection at its COMMIT, as a network does.

before   the COMMIT never arrives
after    it arrives and is carried out; its answer is lost
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from klepaas.testing import scale_timeout

_CHUNK = 65536


@dataclass
class Cutter:
    """The proxy.

    Attributes:
        port: Where it listens.
        upstream: The port of PostgreSQL.
        cuts: What befalls the next commits of transactions that sent `marker`: "before" or "after".
        marker: What a transaction must have sent.
        is_down: Whether new connections are closed at once.
        count: How many commits were cut.
    """

    upstream: int
    port: int = 0
    cuts: list[str] = field(default_factory=list)
    marker: bytes = b"INSERT INTO operations"
    goes_down: bool = False
    is_down: bool = False
    count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def serve(self, client: socket.socket) -> None:
        """Forward one connection until it ends or is cut."""
        with contextlib.suppress(OSError), client:
            if self.is_down:
                return
            with socket.create_connection(("127.0.0.1", self.upstream), timeout=scale_timeout(10)) as server:
                server.settimeout(None)
                threading.Thread(target=_forward, args=(server, client), daemon=True).start()
                self._watch(client, server)

    def _watch(self, client: socket.socket, server: socket.socket) -> None:
        is_marked = False
        while data := client.recv(_CHUNK):
            is_marked = is_marked or self.marker in data
            cut = self._next() if is_marked and b"COMMIT" in data else None
            if cut is None:
                server.sendall(data)
                is_marked = is_marked and b"COMMIT" not in data and b"ROLLBACK" not in data
                continue
            self.is_down = self.is_down or self.goes_down
            # The client's side goes first, so that no answer reaches it.
            client.shutdown(socket.SHUT_RDWR)
            if cut == "after":
                server.sendall(data)
                # PostgreSQL carries it out and then sees that nobody listens.
                server.shutdown(socket.SHUT_WR)
                while server.recv(_CHUNK):
                    pass
            else:
                server.shutdown(socket.SHUT_RDWR)
            return

    def _next(self) -> str | None:
        with self._lock:
            if not self.cuts:
                return None
            self.count += 1
            return self.cuts.pop(0)


def _forward(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def cutting_proxy(upstream: int) -> Iterator[Cutter]:
    """A proxy that forwards while inside, and cuts as it is told."""
    cutter = Cutter(upstream)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        cutter.port = listener.getsockname()[1]

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    threading.Thread(target=cutter.serve, args=(client,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield cutter
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
