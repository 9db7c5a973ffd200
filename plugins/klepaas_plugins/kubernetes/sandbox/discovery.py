"""The discovery documents: groups, versions, resources, plain and aggregated.

Source: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
"""

from __future__ import annotations

import base64
import hashlib

from .model import Json
from .resources import Registry, Resource

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
# Reviews are answered and not stored, so they are no Resource of the registry.
_REVIEWS: dict[str, Json] = {
    group: {
        "name": f"{kind.lower()}s",
        "singularName": kind.lower(),
        "namespaced": False,
        "kind": kind,
        "verbs": ["create"],
    }
    for group, kind in (
        ("authentication.k8s.io", "SelfSubjectReview"),
        ("authorization.k8s.io", "SelfSubjectAccessReview"),
    )
}
_SUB_VERBS = {"log": ["get"], "eviction": ["create"]}
_SUB_KINDS = {"scale": ("autoscaling", "v1", "Scale"), "eviction": ("policy", "v1", "Eviction")}

VERSION: Json = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.2-sandbox",
    "gitCommit": "",
    "gitTreeState": "",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "none",
    "platform": "klepaas/sandbox",
}


def _storage_hash(resource: Resource) -> str:
    text = f"{resource.group}/{resource.version}/{resource.kind}"
    return base64.b64encode(hashlib.sha256(text.encode()).digest()[:8]).decode()


def _described(resource: Resource) -> list[Json]:
    main: Json = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        main["shortNames"] = list(resource.short_names)
    if resource.categories:
        main["categories"] = list(resource.categories)
    main["storageVersionHash"] = _storage_hash(resource)
    described = [main]
    for name in resource.subresources:
        group, version, kind = _SUB_KINDS.get(name, ("", "", resource.kind))
        sub: Json = {"name": f"{resource.plural}/{name}", "singularName": "", "namespaced": resource.namespaced}
        if group:
            sub |= {"group": group, "version": version}
        described.append({**sub, "kind": kind, "verbs": _SUB_VERBS.get(name, ["get", "patch", "update"])})
    return described


def resource_list(registry: Registry, group: str, version: str) -> Json | None:
    """/api/v1 or /apis/G/V; None when nothing is served there."""
    resources = [entry for resource in registry.of_group_version(group, version) for entry in _described(resource)]
    if version == "v1" and group in _REVIEWS:
        resources = [_REVIEWS[group]]
    if not resources:
        return None
    head: Json = {"kind": "APIResourceList"}
    if group:
        head["apiVersion"] = "v1"
    return {**head, "groupVersion": f"{group}/{version}" if group else version, "resources": resources}


def _groups(registry: Registry) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {name: ["v1"] for name in _REVIEWS}
    for resource in registry.all():
        versions = groups.setdefault(resource.group, [])
        if resource.version not in versions:
            versions.append(resource.version)
    return groups


def core_versions(address: str) -> Json:
    """/api."""
    addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses}


def group(registry: Registry, name: str) -> Json | None:
    """/apis/G; None for a group not served."""
    versions = _groups(registry).get(name)
    if not name or not versions:
        return None
    served = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"kind": "APIGroup", "apiVersion": "v1", "name": name, "versions": served, "preferredVersion": served[0]}


def group_list(registry: Registry) -> Json:
    """/apis."""
    groups = []
    for name in _groups(registry):
        described = group(registry, name)
        if described:
            groups.append({key: value for key, value in described.items() if key not in ("kind", "apiVersion")})
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def aggregated(registry: Registry, *, core: bool) -> Json:
    """/api or /apis as one document of everything served below it."""
    items = []
    for name, versions in _groups(registry).items():
        if (not name) is not core:
            continue
        served = [
            {"version": version, "resources": _aggregated_resources(registry, name, version), "freshness": "Current"}
            for version in versions
        ]
        items.append({"metadata": {"name": name} if name else {}, "versions": served})
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _aggregated_resources(registry: Registry, name: str, version: str) -> list[Json]:
    found: dict[str, Json] = {}
    listed = resource_list(registry, name, version) or {"resources": []}
    for entry in listed["resources"]:
        plural, _, sub = entry["name"].partition("/")
        kind = {"group": entry.get("group", ""), "version": entry.get("version", ""), "kind": entry["kind"]}
        if sub:
            described = {"subresource": sub, "responseKind": kind, "verbs": entry["verbs"]}
            found[plural].setdefault("subresources", []).append(described)
            continue
        found[plural] = {
            "resource": plural,
            "responseKind": kind,
            "scope": "Namespaced" if entry["namespaced"] else "Cluster",
            "singularResource": entry["singularName"],
            "verbs": entry["verbs"],
            **{key: entry[key] for key in ("shortNames", "categories") if key in entry},
        }
    return list(found.values())
