import socket
from collections.abc import Callable
from typing import Any

import pytest

from klepaas.hookspecs import Finding, HealthReport, HealthStatus, Level
from klepaas_plugins.kubernetes.checks import doctor_checks, health_checks
from klepaas_plugins.kubernetes.client import Clusters
from klepaas_plugins.kubernetes.sandbox import Sandbox

pytestmark = pytest.mark.anyio
Open = Callable[..., Clusters]


async def _findings(clusters: Clusters) -> list[Finding]:
    return [finding for check in doctor_checks(clusters) for finding in await check.check()]


async def _health(clusters: Clusters) -> list[HealthReport]:
    return [await check.check() for check in health_checks(clusters)]


async def test_a_good_setup_has_only_good_findings(write_kubeconfig: Any, open_clusters: Open) -> None:
    write_kubeconfig("https://127.0.0.1:1", {"token": "canary-55"})
    findings = await _findings(open_clusters())
    assert [finding.level for finding in findings] == [Level.OK, Level.OK]
    assert not any("canary" in finding.summary for finding in findings)


async def test_every_bad_finding_has_a_repair(write_kubeconfig: Any, open_clusters: Open) -> None:
    bad: list[Clusters] = [open_clusters()]
    path = write_kubeconfig("http://198.51.100.1", {})
    path.chmod(0o644)
    bad.append(open_clusters())
    for number, user in enumerate(
        [
            {"exec": {"command": "touch"}},
            {"exec": {"command": "tsh-missing", "apiVersion": "v1"}},
            {"auth-provider": {"name": "gcp"}},
        ]
    ):
        write_kubeconfig("https://127.0.0.1:1", user, name=f"c{number}")
        bad.append(open_clusters(exec_plugins=("tsh-missing",)))
    bad.append(open_clusters(context="nowhere"))
    for clusters in bad:
        worse = [finding for finding in await _findings(clusters) if finding.level is not Level.OK]
        assert worse
        for check in doctor_checks(clusters):
            assert list(await check.check())
        assert all(finding.repair for finding in worse)


async def test_a_file_that_others_can_read_is_found(write_kubeconfig: Any, open_clusters: Open) -> None:
    path = write_kubeconfig("https://127.0.0.1:1", {})
    path.chmod(0o640)
    findings = await _findings(open_clusters())
    assert [finding.repair for finding in findings if finding.level is Level.WARNING] == [f"chmod 600 {path}"]


async def test_no_doctor_check_touches_a_network(sandbox: Sandbox, tmp_path: Any, open_clusters: Open) -> None:
    await _findings(open_clusters(kubeconfig=str(sandbox.write_kubeconfig(tmp_path / "sandbox"))))
    assert sandbox.requests == []


async def test_a_ready_cluster_is_healthy_with_its_version_and_latency(
    sandbox: Sandbox, tmp_path: Any, open_clusters: Open
) -> None:
    (report,) = await _health(open_clusters(kubeconfig=str(sandbox.write_kubeconfig(tmp_path / "sandbox"))))
    assert report.status is HealthStatus.OK
    assert "v1.36" in report.reason
    assert " ms" in report.reason


async def test_a_dead_cluster_is_unhealthy_with_the_reason(write_kubeconfig: Any, open_clusters: Open) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        write_kubeconfig(f"http://127.0.0.1:{free.getsockname()[1]}")
    (report,) = await _health(open_clusters())
    assert report.status is HealthStatus.UNHEALTHY
    assert "cannot be reached" in report.reason


def test_without_a_kubeconfig_there_is_nothing_to_ask_after(open_clusters: Open) -> None:
    assert health_checks(open_clusters()) == []
