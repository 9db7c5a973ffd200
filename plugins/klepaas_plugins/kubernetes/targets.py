"""What a changing call would change, told before it runs: for the policy, the person who confirms, and the audit."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from klepaas.errors import NotFound
from klepaas.offload import offload
from klepaas.tools import Target
from klepaas_plugins.kubernetes.client import Cluster, Clusters
from klepaas_plugins.kubernetes.manifests import Manifest, read_manifests

__all__ = ["manifest_targets", "object_target", "pod_target"]


async def manifest_targets(clusters: Clusters, arguments: Mapping[str, Any]) -> Sequence[Target]:
    """Every object in the manifests of a call.

    Args:
        clusters: The clusters there are.
        arguments: The call's arguments.

    Raises:
        BadRequest: The manifests cannot be read.
    """
    cluster = await clusters.cluster(arguments.get("context"))
    text = arguments["manifests"]
    manifests = await offload(partial(read_manifests, text, names_required=False), size_chars=len(text))
    return [await _of_manifest(cluster, one, arguments.get("namespace")) for one in manifests]


async def object_target(clusters: Clusters, arguments: Mapping[str, Any]) -> Sequence[Target]:
    """The one object of a call with a kind and a name.

    Args:
        clusters: The clusters there are.
        arguments: The call's arguments.

    Raises:
        NotFound: The cluster serves no such kind.
    """
    cluster = await clusters.cluster(arguments.get("context"))
    resource = await cluster.resource(arguments["kind"])
    namespace = (arguments.get("namespace") or cluster.default_namespace) if resource.namespaced else None
    return [_target(cluster, resource.kind, arguments["name"], namespace)]


async def pod_target(clusters: Clusters, arguments: Mapping[str, Any]) -> Sequence[Target]:
    """The pod of a call that names one.

    Args:
        clusters: The clusters there are.
        arguments: The call's arguments.
    """
    cluster = await clusters.cluster(arguments.get("context"))
    return [_target(cluster, "Pod", arguments["pod"], arguments.get("namespace") or cluster.default_namespace)]


async def _of_manifest(cluster: Cluster, manifest: Manifest, namespace: str | None) -> Target:
    place: str | None = manifest.namespace or namespace or cluster.default_namespace
    try:
        resource = await cluster.resource(f"{manifest.api_version}/{manifest.kind}")
    except NotFound:
        # Defined by another of the manifests, or the call fails.
        resource = None
    if resource is not None and not resource.namespaced:
        place = None
    return _target(cluster, manifest.kind, manifest.name, place)


def _target(cluster: Cluster, kind: str, name: str | None, namespace: str | None) -> Target:
    # Rules about a namespace are about the namespace itself, too.
    return Target(cluster.context, name if kind == "Namespace" else namespace, kind, name)
