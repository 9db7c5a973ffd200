"""Nothing but the protocol ever appears on standard output, also while the server ends and after it."""

import json
import subprocess
import sys

from klepaas.testing import scale_timeout

_NOISY = """
import atexit, os, sys, threading
from klepaas.__main__ import main
from klepaas.host import Host

real = Host.aclose

async def aclose(self):
    print("printed while services close")
    os.system("echo printed by a child while services close")
    await real(self)
    threading.Thread(target=late).start()

def late():
    print("printed by a thread that outlives the server", flush=True)
    os.write(1, b"written by a thread that outlives the server\\n")

Host.aclose = aclose
atexit.register(lambda: print("printed at exit", flush=True))
atexit.register(lambda: os.write(1, b"written at exit\\n"))
sys.argv = ["klepaas", "serve"]
main()
"""


def test_what_is_printed_at_shutdown_and_by_late_threads_does_not_reach_the_client() -> None:
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    done = subprocess.run(
        [sys.executable, "-c", _NOISY],
        input=json.dumps(message) + "\n",
        capture_output=True,
        text=True,
        timeout=scale_timeout(60),
    )
    assert all(line.startswith('{"jsonrpc"') for line in done.stdout.splitlines()), done.stdout
    assert "at exit" not in done.stdout
    assert "printed at exit" in done.stderr
    assert "written at exit" in done.stderr
