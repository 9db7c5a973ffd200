"""Objects without what the server and its controllers keep in them, so that two moments can be compared and restored.

What is left is what somebody wanted, the server's defaults included. Pure.

Source: Kubernetes API conventions, "Metadata" and "Typical status properties".
"""

import copy
import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from klepaas_plugins.deployments.objects import CHANGE_CAUSE, REVISION, Object, at, name_of
from klepaas_plugins.deployments.revisions import RESTARTED_AT

__all__ = ["LAST_APPLIED", "canonical", "content_digest", "digest", "essence", "exact_digest", "normal"]

_KEPT_METADATA = ("name", "namespace", "labels", "annotations")
# Annotations that controllers keep up to date: nobody's wish, and never restored.
_OF_CONTROLLERS = re.compile(
    rf"{re.escape(REVISION)}|deprecated\.daemonset\.template\.generation|autoscaling\.alpha\.kubernetes\.io/.*"
    r"|endpoints\.kubernetes\.io/.*|pv\.kubernetes\.io/.*|volume(\.beta)?\.kubernetes\.io/.*"
    r"|ingress\.kubernetes\.io/(backends|forwarding-rule|target-proxy|url-map|https-.*|ssl-cert)"
    r"|cloud\.google\.com/neg-status|field\.cattle\.io/publicEndpoints|control-plane\.alpha\.kubernetes\.io/.*"
)
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def normal(item: Object, kind: str, api_version: str) -> dict[str, Any]:
    """A copy of an object with what somebody wanted of it, and nothing else.

    Owner references and finalizers go too: those of a deleted owner would delete a recreated object at once.

    Args:
        item: The object as the API gave it.
        kind: Its kind, which the items of a list do not say.
        api_version: Its version.
    """
    plain = copy.deepcopy({key: value for key, value in item.items() if key not in ("status", "metadata")})
    metadata = {key: copy.deepcopy(at(item, "metadata", key)) for key in _KEPT_METADATA if at(item, "metadata", key)}
    annotations = metadata.get("annotations")
    if annotations is not None:
        metadata["annotations"] = {k: text for k, text in annotations.items() if not _OF_CONTROLLERS.fullmatch(k)}
        if not metadata["annotations"]:
            del metadata["annotations"]
    _forget_what_is_allotted(plain, kind)
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **_without(plain, ("apiVersion", "kind"))}


def _without(item: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key not in keys}


def _forget_what_is_allotted(plain: dict[str, Any], kind: str) -> None:
    """What the cluster allots to an object of its own accord, and what cannot be asked for again."""
    spec = plain.get("spec")
    if kind == "Service" and isinstance(spec, dict) and spec.get("clusterIP") != "None":
        for key in ("clusterIP", "clusterIPs", "healthCheckNodePort"):
            spec.pop(key, None)
    elif kind == "PersistentVolumeClaim" and isinstance(spec, dict):
        spec.pop("volumeName", None)
    elif kind == "ServiceAccount":
        plain.pop("secrets", None)
    _forget_creation(plain)


def _forget_creation(plain: dict[str, Any]) -> None:
    metadata = at(plain, "spec", "template", "metadata")
    if isinstance(metadata, dict) and metadata.get("creationTimestamp", "") is None:
        del metadata["creationTimestamp"]


def canonical(value: Any) -> bytes:
    """The one JSON text of a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def digest(value: Any) -> str:
    """The SHA-256 of a value, as hexadecimal digits."""
    return hashlib.sha256(canonical(value)).hexdigest()


def essence(item: Object) -> dict[str, Any]:
    """What an object runs: without notes, restarts, and the number of pods."""
    plain = copy.deepcopy(dict(item))
    _drop(plain, ("metadata", "annotations"), (CHANGE_CAUSE, LAST_APPLIED))
    _drop(plain, ("spec", "template", "metadata", "annotations"), (RESTARTED_AT,))
    if plain.get("kind") in ("Deployment", "StatefulSet") and isinstance(plain.get("spec"), dict):
        plain["spec"].pop("replicas", None)
    return plain


def exact_digest(objects: Iterable[Object], autoscaled: Collection[tuple[str, str]]) -> str:
    """The digest by which two moments are the same, but for change causes and what autoscalers decide."""
    return digest([_settled(item, autoscaled) for item in objects])[:32]


def _settled(item: Object, autoscaled: Collection[tuple[str, str]]) -> dict[str, Any]:
    plain = copy.deepcopy(dict(item))
    _drop(plain, ("metadata", "annotations"), (CHANGE_CAUSE,))
    if (str(plain.get("kind")), name_of(plain)) in autoscaled and isinstance(plain.get("spec"), dict):
        plain["spec"].pop("replicas", None)
    return plain


def _drop(plain: dict[str, Any], path: tuple[str, ...], keys: Iterable[str]) -> None:
    """Remove keys of a mapping deep inside, and the mapping when nothing is left."""
    holder = at(plain, *path[:-1])
    inner = holder.get(path[-1]) if isinstance(holder, dict) else None
    if not isinstance(inner, dict):
        return
    left = _without(inner, keys)
    if left:
        holder[path[-1]] = left
    else:
        del holder[path[-1]]


def content_digest(objects: Iterable[Object]) -> str:
    """The digest by which two releases run the same thing; short enough for a label."""
    return digest([essence(item) for item in objects])[:32]
