"""Whose fields are taken over, and whose are refused."""

from typing import Any

import pytest

from klepaas_plugins.kubernetes.client import judge_manager, reconcilers_of
from klepaas_plugins.kubernetes.write.managers import Side


@pytest.mark.parametrize(
    "name",
    [
        "kubectl", "kubectl-client-side-apply", "kubectl-create", "kubectl-edit", "kubectl-patch", "kubectl-replace",
        "kubectl-set", "kubectl-label", "kubectl-annotate", "kubectl-scale", "kubectl-rollout", "kubectl-run",
        "kubectl-expose", "k9s", "node-fetch", "Mozilla", "headlamp-server", "dashboard", "oc", "oc-edit",
        "before-first-apply",
    ],
)  # fmt: skip
def test_commands_of_people_are_taken_over(name: str) -> None:
    assert judge_manager(name).side is Side.PERSON


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("argocd-controller", "Argo CD"),
        ("argocd-application-controller", "Argo CD"),
        ("my-argocd", "Argo CD"),
        ("kustomize-controller", "Flux"),
        ("helm-controller", "Flux"),
        ("helm", "Helm"),
        ("kube-controller-manager", "a controller of Kubernetes, such as an autoscaler"),
        ("Go-http-client", "a program"),
        ("postgres-operator", "postgres-operator"),
        ("unknown", "unknown"),
        ("", ""),
        ("kubectl-but-not-really", "kubectl-but-not-really"),
        ("klepaas2", "klepaas2"),
        ("KUBECTL", "KUBECTL"),
    ],
)
def test_controllers_and_every_name_that_is_not_known_are_refused(name: str, title: str) -> None:
    found = judge_manager(name)
    assert (found.side, found.title) == (Side.CONTROLLER, title)


def test_what_argo_cd_tracks_is_argo_cds_also_under_the_name_of_kubectl() -> None:
    tracked = {"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/web"}}}
    assert judge_manager("kubectl-client-side-apply", tracked).side is Side.CONTROLLER
    assert judge_manager("kubectl-edit", tracked).side is Side.PERSON


@pytest.mark.parametrize(
    ("metadata", "titles"),
    [
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}}, ["Flux"]),
        ({"annotations": {"meta.helm.sh/release-name": "shop"}}, ["Helm"]),
        ({"annotations": {"argocd.argoproj.io/tracking-id": "x"}}, ["Argo CD"]),
        ({"managedFields": [_entry := {"manager": "some-operator", "operation": "Update",
                                       "fieldsV1": {"f:spec": {"f:replicas": {}}}}]}, ["some-operator"]),
        ({"managedFields": [{**_entry, "manager": "kubectl-edit"}]}, []),
        ({"managedFields": [{**_entry, "fieldsV1": {"f:status": {}, "f:metadata": {"f:annotations": {}}}}]}, []),
        ({}, []),
    ],
)  # fmt: skip
def test_who_reconciles_an_object_is_read_from_its_marks_and_its_owners(
    metadata: dict[str, Any], titles: list[str]
) -> None:
    assert [one.title for one in reconcilers_of({"metadata": metadata})] == titles
