"""What a configured Prometheus costs before anybody asks it: no HTTP client, and no word to the server."""

import os
import subprocess
import sys

from klepaas.testing import scale_timeout

LOOK = """
import sys
from klepaas.host import Host
from klepaas.settings import Settings
from klepaas_plugins.prometheus import plugin
host = Host(Settings())
names = [tool.name for tool in plugin.klepaas_tools(host)]
checks = [check.component for check in plugin.klepaas_health_checks(host)]
sources = list(plugin.klepaas_alert_evidence(host))
print(names, checks, len(sources), "httpx" in sys.modules)
"""


def test_a_start_loads_no_http_client() -> None:
    environment = {**os.environ, "KLEPAAS_PROMETHEUS_BASE_URL": "http://127.0.0.1:1", "KLEPAAS_CONFIG": os.devnull}
    said = subprocess.run(
        [sys.executable, "-c", LOOK],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=scale_timeout(50),
    )
    tools = ["query_metrics", "list_metrics", "inspect_prometheus"]
    assert said.stdout.split("\n")[0] == f"{tools} ['prometheus/default'] 1 False"
