"""The real Prometheus and Alertmanager, of Debian's packages, each in a process and a folder of its own on loopback.

    with prometheus(tmp_path, scrape_configs=[scrape("shop", port)]) as server:
        ...  # ask server.url; server.reload() after its files were changed

A test says `needs("prometheus")` first: without the program it is skipped, loudly, and fails where
`KLEPAAS_TEST_PROMETHEUS=required` says that it must be there, as in `.ci/run`. Files are
written as JSON, which is YAML.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest

from klepaas.testing import scale_timeout

__all__ = ["MonitoringServer", "alertmanager", "backfill", "needs", "prometheus", "scrape"]

START_LIMIT_S, END_LIMIT_S = scale_timeout(20), scale_timeout(10)
_LISTENS = re.compile(r'msg="Listening on" address=127\.0\.0\.1:(\d+)')


def needs(*programs: str) -> None:
    """Skip the test, or fail it where they are required, if one of these programs is not installed."""
    missing = [program for program in programs if shutil.which(program) is None]
    if not missing:
        return
    reason = f"{', '.join(missing)} is not installed: apt-get install prometheus prometheus-alertmanager"
    if os.environ.get("KLEPAAS_TEST_PROMETHEUS") == "required":
        pytest.fail(reason)
    pytest.skip(reason)


@dataclass(frozen=True)
class MonitoringServer:
    """A server that runs.

    Attributes:
        url: Its address, without a final slash.
        folder: Where its configuration lies.
        process: Its process.
        log: What it says.
    """

    url: str
    folder: Path
    process: subprocess.Popen[bytes]
    log: Path

    def reload(self) -> None:
        """Let it read its configuration again."""
        self.process.send_signal(signal.SIGHUP)


def scrape(job: str, port: int, labels: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A scrape configuration: one page of metrics on loopback.

    Args:
        job: Its name.
        port: Where the page is served, under /metrics.
        labels: What each of its series carries besides. None: nothing.
    """
    target = {"targets": [f"127.0.0.1:{port}"], "labels": dict(labels or {})}
    return {"job_name": job, "static_configs": [target]}


@contextmanager
def prometheus(
    folder: Path,
    *,
    scrape_configs: Sequence[Mapping[str, Any]] = (),
    rule_groups: Sequence[Mapping[str, Any]] = (),
    alertmanager_url: str | None = None,
    interval: str = "1s",
    options: Sequence[str] = (),
) -> Iterator[MonitoringServer]:
    """A Prometheus that is ready; its data lies in `folder/data`, where `backfill` may have put some.

    Args:
        folder: An empty folder, or one with data.
        scrape_configs: What it scrapes, every `interval`.
        rule_groups: Its rules, evaluated every `interval`.
        alertmanager_url: Where its alerts go. None: nowhere.
        interval: Between two scrapes and two evaluations.
        options: More of its command line.
    """
    config: dict[str, Any] = {
        "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
        "scrape_configs": list(scrape_configs),
        "rule_files": ["rules.yml"],
    }
    if alertmanager_url is not None:
        address = alertmanager_url.removeprefix("http://")
        config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [address]}], "api_version": "v2"}]}
    (folder / "prometheus.yml").write_text(json.dumps(config))
    (folder / "rules.yml").write_text(json.dumps({"groups": list(rule_groups)}))
    command = ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    command += ["--storage.tsdb.retention.time=10y", "--web.listen-address=127.0.0.1:0", *options]
    with _running(command, folder) as server:
        yield server


@contextmanager
def alertmanager(
    folder: Path, config: Mapping[str, Any] | None = None, *, options: Sequence[str] = ()
) -> Iterator[MonitoringServer]:
    """An Alertmanager that is ready, and alone.

    Args:
        folder: An empty folder.
        config: Its configuration. None: it keeps alerts and tells nobody.
        options: More of its command line.
    """
    silent = {"route": {"receiver": "nobody", "group_by": ["alertname"]}, "receivers": [{"name": "nobody"}]}
    (folder / "alertmanager.yml").write_text(json.dumps(config or silent))
    command = ["prometheus-alertmanager", "--config.file=alertmanager.yml", "--storage.path=data"]
    command += ["--web.listen-address=127.0.0.1:0", "--cluster.listen-address=", *options]
    with _running(command, folder) as server:
        yield server


def backfill(folder: Path, openmetrics: str) -> None:
    """Put samples of the past into the data of a Prometheus that does not run yet.

    Args:
        folder: Its folder.
        openmetrics: The samples, each with its time in seconds.
    """
    page = folder / "backfill.om"
    page.write_text(openmetrics if openmetrics.endswith("# EOF\n") else f"{openmetrics}# EOF\n")
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "-q", page.name, "data"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=START_LIMIT_S)


@contextmanager
def _running(command: Sequence[str], folder: Path) -> Iterator[MonitoringServer]:
    log = folder / f"{command[0]}.log"
    with log.open("wb") as said:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    try:
        yield MonitoringServer(_ready(log, process), folder, process, log)
    finally:
        process.terminate()
        try:
            process.wait(END_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(END_LIMIT_S)


def _ready(log: Path, process: subprocess.Popen[bytes]) -> str:
    """Its address, once it says that it is ready."""
    give_up_at = time.monotonic() + START_LIMIT_S
    while time.monotonic() < give_up_at and process.poll() is None:
        found = _LISTENS.search(log.read_text())
        if found and _answers(f"http://127.0.0.1:{found[1]}/-/ready"):
            return f"http://127.0.0.1:{found[1]}"
        time.sleep(0.05)
    raise AssertionError(f"it did not get ready:\n{log.read_text()}")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=scale_timeout(2)) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
