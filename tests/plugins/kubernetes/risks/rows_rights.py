"""Rows about rights, owners and finalizers."""

from typing import Any

from klepaas_plugins.kubernetes.risks import ABSENT, UNKNOWN

from .objects import (
    RBAC,
    account,
    at,
    binding,
    made,
    owned,
    role,
    rule,
    somebody,
)
from .row import D, Row, W

ALL = rule("*", "*", "*")
SECRETS = rule("get list", "secrets")
NONE_BOUND: dict[Any, Any] = {
    ("RoleBinding", "shop", None): [],
    ("RoleBinding", None, None): [],
    ("ClusterRoleBinding", None, None): [],
    ("ClusterRole", None, None): [],
}
COLLECTING = made(RBAC, "ClusterRole", "edit", None, rules=None, aggregationRule={"clusterRoleSelectors": []})
RIGHTS = [
    Row(
        "binding",
        None,
        binding("ClusterRole", "edit", somebody("eve")),
        "ClusterRole edit in namespace shop: nothing, and all that it collects to User eve",
        D,
        {("ClusterRole", None, "edit"): COLLECTING},
    ),
    Row(
        "role",
        role(rule("get", "pods")),
        role(rule("get", "pods"), SECRETS),
        "grants get, list on secrets to ServiceAccount shop/web",
        D,
        {("RoleBinding", "shop", None): [binding("Role", "app", account())]},
    ),
    Row(
        "role", role(rule("get", "secrets", resourceNames=["a"])), role(rule("get", "secrets")), "not known who that is"
    ),
    Row("role", None, role(SECRETS), "nobody is bound to it yet", W, NONE_BOUND),
    Row(
        "role",
        role(SECRETS, kind="ClusterRole"),
        role(SECRETS, kind="ClusterRole", labels={"rbac.authorization.k8s.io/aggregate-to-view": "true"}),
        "grants get, list on secrets to all who have ClusterRole view",
        D,
        NONE_BOUND,
    ),
    Row(
        "role",
        None,
        role(SECRETS, kind="ClusterRole", labels={"collect": "me"}),
        "to all who have ClusterRole all",
        D,
        {
            **NONE_BOUND,
            ("ClusterRole", None, None): [
                made(
                    RBAC,
                    "ClusterRole",
                    "all",
                    None,
                    aggregationRule={"clusterRoleSelectors": [{"matchLabels": {"collect": "me"}}]},
                )
            ],
        },
    ),
    Row("role", None, role(rule("impersonate", "users groups"), kind="ClusterRole"), "impersonate on users, groups"),
    Row(
        "role",
        None,
        role(rule("create", "nodes/proxy pods/exec"), kind="ClusterRole"),
        "create on nodes/proxy, pods/exec",
    ),
    Row("role", None, role({"verbs": ["get"], "nonResourceURLs": ["/*"]}, kind="ClusterRole"), "get on /*"),
    Row(
        "aggregation",
        None,
        made(RBAC, "ClusterRole", "all", None, aggregationRule={"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}),
        "every ClusterRole with a=b",
    ),
    Row(
        "binding",
        None,
        binding("ClusterRole", "cluster-admin", somebody("system:anonymous"), kind="ClusterRoleBinding"),
        "ClusterRole cluster-admin in the whole cluster: every verb on everything to User system:anonymous (everybody",
        D,
        {("ClusterRole", None, "cluster-admin"): role(ALL, kind="ClusterRole", name="cluster-admin")},
    ),
    Row(
        "binding",
        None,
        binding("Role", "later", account()),
        "grants whatever Role later will say",
        D,
        {("Role", "shop", "later"): ABSENT},
    ),
    Row(
        "binding",
        binding("Role", "app", account()),
        binding("Role", "app", account(), somebody("eve")),
        "to User eve",
        D,
        {("Role", "shop", "app"): UNKNOWN},
    ),
    Row(
        "other-rules",
        None,
        made("operators.example/v1", "Operator", spec={"permissions": [{"rules": [ALL]}]}),
        "grants every verb on everything (spec.permissions[*].rules)",
    ),
    Row(
        "other-grants",
        None,
        made("management.cattle.io/v3", "ClusterRoleTemplateBinding"),
        "gives rights outside of RBAC",
    ),
]
LIVE_OWNER = made("apps/v1", "Deployment", "owner", metadata={"uid": "u1"})
LIFECYCLE = [
    Row(
        "owner",
        None,
        owned("owner", "u1"),
        "the garbage collector deletes it: its owner Deployment owner does not exist",
        D,
        {("Deployment", "shop", "owner"): ABSENT},
    ),
    Row(
        "owner",
        owned("owner", "u0"),
        owned("owner", "u2"),
        "has another uid",
        D,
        {("Deployment", "shop", "owner"): LIVE_OWNER},
    ),
    Row("owner", None, owned("owner", "u1"), "not known whether its owner Deployment owner exists"),
    Row(
        "owner",
        None,
        owned("owner", "u1"),
        "is being deleted",
        D,
        {("Deployment", "shop", "owner"): at(LIVE_OWNER, "metadata deletionTimestamp", "now")},
    ),
    Row(
        "owner",
        made("v1", "ConfigMap"),
        owned("owner", "u1"),
        "it is deleted when its owner Deployment owner is deleted",
        D,
        {("Deployment", "shop", "owner"): LIVE_OWNER},
    ),
    Row(
        "owner",
        made("v1", "ConfigMap"),
        owned("owner", "u1", blockOwnerDeletion=True),
        "waits for it",
        D,
        {("Deployment", "shop", "owner"): LIVE_OWNER},
    ),
    Row(
        "finalizer",
        made("v1", "ConfigMap", metadata={"finalizers": ["a/b"], "deletionTimestamp": "now"}),
        made("v1", "ConfigMap"),
        "goes at once, without what should be done before: a/b",
    ),
    Row(
        "finalizer",
        made("v1", "ConfigMap"),
        made("v1", "ConfigMap", metadata={"finalizers": ["a/b"]}),
        "waits until somebody removes the finalizer a/b",
    ),
    Row("deletion", made("v1", "Namespace", "shop", None), None, "deletes everything in namespace shop"),
]
