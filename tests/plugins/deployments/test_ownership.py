"""What klepaas wanted before, read back from the managedFields that a real cluster wrote."""

from collections.abc import Callable
from typing import Any

import pytest

from klepaas.errors import BadRequest
from klepaas.output.redaction import MARK
from klepaas_plugins.deployments.manifests import Wanted, deployment, service

Recorded = Callable[[str, str], Any]


def test_a_redeploy_on_an_existing_deployment_names_only_what_was_ours_and_what_is_asked(recorded: Recorded) -> None:
    live = recorded("apply-and-patch", "apply changes image")
    body = deployment(Wanted("ssa", "rec", "nginx:2", env_vars={"A": "1"}), live, "main")
    container = body["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "nginx:2"
    assert container["ports"] == [{"containerPort": 8080}]
    assert container["env"] == [{"name": "A", "value": "1"}]
    assert body["spec"]["replicas"] == 2
    assert body["spec"]["selector"] == {"matchLabels": {"app": "ssa"}}
    assert body["metadata"]["annotations"] == {"kubernetes.io/change-cause": "deploy nginx:2 (env A)"}


def test_a_deployment_of_somebody_else_is_touched_only_where_asked(recorded: Recorded) -> None:
    live = recorded("deployment-lifecycle", "get")
    body = deployment(Wanted("web", "rec", "nginx:2"), live, "main")
    assert body["spec"] == {"template": {"spec": {"containers": [{"name": "main", "image": "nginx:2"}]}}}


def test_a_probe_follows_the_port_and_keeps_its_path() -> None:
    first = deployment(Wanted("web", "shop", "web:1", port=8080, health_path="/healthz"), None)
    container = first["spec"]["template"]["spec"]["containers"][0]
    assert container["readinessProbe"]["httpGet"] == {"path": "/healthz", "port": 8080}
    by_socket = deployment(Wanted("web", "shop", "web:1", port=8080), None)
    assert "tcpSocket" in by_socket["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]
    without = deployment(Wanted("web", "shop", "web:1"), None)
    assert "readinessProbe" not in without["spec"]["template"]["spec"]["containers"][0]


def test_a_health_path_without_a_port_is_refused() -> None:
    with pytest.raises(BadRequest, match="needs a port"):
        deployment(Wanted("web", "shop", "web:1", health_path="/healthz"), None)


def test_a_variable_with_a_redaction_mark_is_refused() -> None:
    with pytest.raises(BadRequest, match="redaction mark"):
        Wanted("web", "shop", "web:1", env_vars={"TOKEN": MARK})


def test_a_service_selects_the_pods_of_an_existing_deployment(recorded: Recorded) -> None:
    live = recorded("deployment-lifecycle", "get")
    assert service(Wanted("web", "rec", "web:1", port=80), live)["spec"]["selector"] == {"app": "web"}
