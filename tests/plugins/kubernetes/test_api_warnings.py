"""What an API server warns of (Warning headers) is shown: in dry runs, questions and answers, of every way to apply."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from klepaas.plans.describe import record
from klepaas_plugins.kubernetes.client import Cluster
from klepaas_plugins.kubernetes.client.warnings import WARNINGS_MAX, collect_warnings, note_warnings
from klepaas_plugins.kubernetes.sandbox import Sandbox
from klepaas_plugins.kubernetes.sandbox.webhooks import Webhook
from klepaas_plugins.kubernetes.write.apply import ManifestRequest, plan_manifests

pytestmark = pytest.mark.anyio
Ask = Callable[..., Any]
_SECRET = "Zq7hunterLongSecret01xK"
_CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "1"}}


def _guarded(sandbox: Sandbox, level: str = "restricted") -> None:
    labels = {"pod-security.kubernetes.io/warn": level}
    sandbox.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "guarded", "labels": labels}})


def _policy(sandbox: Sandbox, message: str) -> None:
    group = "admissionregistration.k8s.io/v1"
    rule = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}
    validation = {"expression": "object.metadata.name == 'never'", "message": message}
    spec = {"matchConstraints": {"resourceRules": [rule]}, "validations": [validation]}
    head = {"apiVersion": group, "metadata": {"name": "advice"}}
    sandbox.create({**head, "kind": "ValidatingAdmissionPolicy", "spec": spec})
    bound = {"policyName": "advice", "validationActions": ["Warn"]}
    sandbox.create({**head, "kind": "ValidatingAdmissionPolicyBinding", "spec": bound})


def _deprecated(sandbox: Sandbox, **more: Any) -> dict[str, Any]:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    old = {"name": "v1beta1", "served": True, "storage": False, "deprecated": True, "schema": schema, **more}
    names = {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"}
    versions = [old, {"name": "v1", "served": True, "storage": True, "schema": schema}]
    spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": versions}
    kind = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    sandbox.create({**kind, "metadata": {"name": "widgets.example.com"}, "spec": spec})
    return {"apiVersion": "example.com/v1beta1", "kind": "Widget", "metadata": {"name": "one"}}


async def test_a_warning_about_pod_security_is_shown_in_the_dry_run_and_the_answer(
    change: Ask, text: Any, sandbox: Sandbox, deployment: Any
) -> None:
    _guarded(sandbox)
    manifests = yaml.safe_dump(deployment("web"))
    for dry_run in (True, False):
        shown = text(await change("k8s_apply", manifests=manifests, namespace="guarded", dry_run=dry_run))
        lines = [line for line in shown.splitlines() if line.startswith("  warning: ")]
        assert len(lines) == 1, shown
        assert 'would violate PodSecurity \\"restricted:latest\\"' in lines[0]


async def test_a_warning_about_a_deprecated_version_is_shown_also_where_nothing_changes(
    change: Ask, text: Any, sandbox: Sandbox
) -> None:
    manifests = json.dumps(_deprecated(sandbox))
    for state in ("created", "unchanged"):
        shown = text(await change("k8s_apply", manifests=manifests))
        assert shown.splitlines() == [
            f"{state}\twidget/one (namespace default)",
            '  warning: "example.com/v1beta1 Widget is deprecated; use example.com/v1 Widget"',
        ]
    created = text(await change("k8s_create", manifests=manifests.replace('"one"', '"two"')))
    assert "  warning: " in created


async def test_a_warning_of_a_policy_is_masked_and_stands_on_one_line(change: Ask, text: Any, sandbox: Sandbox) -> None:
    _policy(sandbox, f"no.\n! grants everything\u202e password={_SECRET}\x1b[31m")
    for dry_run in (True, False):
        shown = text(await change("k8s_apply", manifests=json.dumps(_CONFIG_MAP), dry_run=dry_run))
        assert _SECRET not in shown
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        (line,) = [line for line in shown.splitlines() if "warning" in line]
        assert line.startswith('  warning: "Validation failed for ')
        assert not any(one.startswith(("!", "  !")) for one in shown.splitlines()), shown


async def test_a_warning_of_a_webhook_is_shown_for_each_object_that_it_is_about(
    change: Ask, text: Any, sandbox: Sandbox
) -> None:
    sandbox.add_webhook(Webhook(resource="configmaps", warnings=("too old", "too old", "say why")))
    other = {**_CONFIG_MAP, "metadata": {"name": "other"}}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "quiet"}}
    manifests = "\n---\n".join(json.dumps(one) for one in (_CONFIG_MAP, other, account))
    shown = text(await change("k8s_apply", manifests=manifests)).splitlines()
    assert shown == [
        "created\tconfigmap/settings (namespace default)",
        '  warning: "too old"',
        '  warning: "say why"',
        "created\tconfigmap/other (namespace default)",
        '  warning: "too old"',
        '  warning: "say why"',
        "created\tserviceaccount/quiet (namespace default)",
    ]


async def test_a_warning_that_only_the_real_write_brings_is_in_the_answer(
    change: Ask, text: Any, sandbox: Sandbox
) -> None:
    sandbox.add_webhook(Webhook(resource="configmaps", warnings=("stored for real",), lets_dry_runs_through=True))
    shown = text(await change("k8s_apply", manifests=json.dumps(_CONFIG_MAP)))
    assert '  warning: "stored for real"' in shown


async def test_deploying_manifests_shows_what_the_cluster_warns_of(
    change: Ask, text: Any, sandbox: Sandbox, deployment: Any
) -> None:
    _guarded(sandbox)
    arguments = {"app_name": "web", "manifests": yaml.safe_dump(deployment("web")), "namespace": "guarded"}
    for more in ({"dry_run": True}, {}):
        shown = text(await change("deploy_application", **arguments, **more))
        assert shown.lower().count('warning: "would violate podsecurity') == 1, shown


async def test_warnings_are_on_record_and_are_no_part_of_what_is_confirmed(cluster: Cluster, sandbox: Sandbox) -> None:
    request = ManifestRequest(cluster=cluster, text=json.dumps(_CONFIG_MAP))
    quiet = await plan_manifests(request)
    sandbox.add_webhook(Webhook(resource="configmaps", warnings=(f"password={_SECRET}",)))
    warned = await plan_manifests(request)
    assert warned.objects[0].warnings
    assert "warnings" not in record(quiet)["objects"][0]
    (line,) = record(warned)["objects"][0]["warnings"]
    assert _SECRET not in line


def test_headers_of_any_form_are_read_and_their_number_is_bounded() -> None:
    with collect_warnings() as found:
        note_warnings(['299 - "a, b" , 299 - "c \\"d\\" \\\\"', '199 - "not ours"', "nonsense", '299 - "open', ""])
        assert found == ["a, b", 'c "d" \\']
        note_warnings([f'299 - "{number}"' for number in range(100)])
        assert len(found) == WARNINGS_MAX
    note_warnings(['299 - "nobody collects"'])
