"""What a pod template refers to by name: the ConfigMaps and Secrets without which its pods do not start. Pure.

Source: Kubernetes API, core/v1 PodSpec, EnvVarSource, EnvFromSource, Volume, ProjectedVolumeSource.
"""

from collections.abc import Iterator
from typing import Any

from klepaas_plugins.deployments.objects import Object, at

__all__ = ["config_maps", "ingress_secrets", "secrets"]


def config_maps(workload: Object) -> dict[str, bool]:
    """The ConfigMaps that a workload's pods use, and whether each is optional."""
    return _merged(_references(workload, "configMap"))


def secrets(workload: Object) -> dict[str, bool]:
    """The Secrets that a workload's pods use, and whether each is optional; those for pulling images always are."""
    pod = at(workload, "spec", "template", "spec") or {}
    pulling = ((str(item.get("name") or ""), True) for item in pod.get("imagePullSecrets") or ())
    return _merged([*_references(workload, "secret"), *pulling])


def ingress_secrets(ingress: Object) -> dict[str, bool]:
    """The Secrets with an Ingress' certificates; an Ingress serves without them, only worse."""
    return {str(item["secretName"]): True for item in at(ingress, "spec", "tls") or () if item.get("secretName")}


def _merged(found: Any) -> dict[str, bool]:
    result: dict[str, bool] = {}
    for name, optional in found:
        if name:
            result[name] = result.get(name, True) and optional
    return result


def _references(workload: Object, what: str) -> Iterator[tuple[str, bool]]:
    """Names and optionality; `what` is "configMap" or "secret"."""
    pod = at(workload, "spec", "template", "spec") or {}
    for container in (*(pod.get("initContainers") or ()), *(pod.get("containers") or ())):
        for item in container.get("env") or ():
            yield from _one(at(item, "valueFrom", f"{what}KeyRef"), "name")
        for item in container.get("envFrom") or ():
            yield from _one(item.get(f"{what}Ref"), "name")
    for volume in pod.get("volumes") or ():
        yield from _one(volume.get(what), "secretName" if what == "secret" else "name")
        for source in at(volume, "projected", "sources") or ():
            yield from _one(source.get(what), "name")


def _one(reference: Any, key: str) -> Iterator[tuple[str, bool]]:
    if isinstance(reference, dict) and reference.get(key):
        yield str(reference[key]), bool(reference.get("optional"))
