"""Unknown fields: a modest table of what is known of the kinds most written by hand.

Covers the top level of every built-in kind listed, and Deployments, Services, ConfigMaps, Secrets and Pods down to
containers; below that, and in other kinds, any field is let through. A custom kind's OpenAPI schema is used for unknown
fields only: its types, ranges and enumerations are not checked.
"""

from __future__ import annotations

from typing import Any

from .model import Json
from .resources import CONFIG_MAPS, DEPLOYMENTS, PODS, SECRETS, SERVICES, Resource
from .status import ApiError, bad_request

_ANY: Any = None


def _known(names: str, **deeper: Any) -> dict[str, Any]:
    return {**dict.fromkeys(names.split(), _ANY), **deeper}


_HEAD = {"apiVersion": _ANY, "kind": _ANY}
_META = _known(
    "annotations creationTimestamp deletionGracePeriodSeconds deletionTimestamp finalizers generateName generation "
    "labels managedFields name namespace ownerReferences resourceVersion selfLink uid"
)
_PORTS = [_known("containerPort hostIP hostPort name protocol")]
_RESOURCES = _known("claims limits requests")
_CONTAINER = _known(
    "args command envFrom image imagePullPolicy lifecycle livenessProbe name readinessProbe resizePolicy restartPolicy "
    "restartPolicyRules securityContext startupProbe stdin stdinOnce terminationMessagePath terminationMessagePolicy "
    "tty volumeDevices workingDir",
    env=[_known("name value valueFrom")],
    ports=_PORTS,
    resources=_RESOURCES,
    volumeMounts=[_known("mountPath mountPropagation name readOnly recursiveReadOnly subPath subPathExpr")],
)
_POD = _known(
    "activeDeadlineSeconds affinity automountServiceAccountToken dnsConfig dnsPolicy enableServiceLinks "
    "ephemeralContainers hostAliases hostIPC hostNetwork hostPID hostUsers hostname hostnameOverride imagePullSecrets "
    "nodeName nodeSelector os overhead preemptionPolicy priority priorityClassName readinessGates resourceClaims "
    "resources restartPolicy runtimeClassName schedulerName schedulingGates securityContext serviceAccount "
    "serviceAccountName setHostnameAsFQDN shareProcessNamespace subdomain terminationGracePeriodSeconds tolerations "
    "topologySpreadConstraints volumes workloadRef",
    containers=[_CONTAINER],
    initContainers=[_CONTAINER],
)
_TEMPLATE = {"metadata": _META, "spec": _POD}
_KNOWN: dict[Resource, dict[str, Any]] = {
    DEPLOYMENTS: {
        **_HEAD,
        "metadata": _META,
        "spec": _known(
            "minReadySeconds paused progressDeadlineSeconds replicas revisionHistoryLimit",
            selector=_known("matchExpressions matchLabels"),
            strategy=_known("type", rollingUpdate=_known("maxSurge maxUnavailable")),
            template=_TEMPLATE,
        ),
        "status": _ANY,
    },
    PODS: {**_HEAD, "metadata": _META, "spec": _POD, "status": _ANY},
    SERVICES: {
        **_HEAD,
        "metadata": _META,
        "spec": _known(
            "allocateLoadBalancerNodePorts clusterIP clusterIPs externalIPs externalName externalTrafficPolicy "
            "healthCheckNodePort internalTrafficPolicy ipFamilies ipFamilyPolicy loadBalancerClass loadBalancerIP "
            "loadBalancerSourceRanges publishNotReadyAddresses selector sessionAffinity sessionAffinityConfig "
            "trafficDistribution type",
            ports=[_known("appProtocol name nodePort port protocol targetPort")],
        ),
        "status": _ANY,
    },
    CONFIG_MAPS: {**_HEAD, "metadata": _META, **_known("binaryData data immutable")},
    SECRETS: {**_HEAD, "metadata": _META, **_known("data immutable stringData type")},
}


def _unknown(value: Any, known: Any, path: str) -> tuple[Any, list[str]]:
    """A value without the fields nobody knows, and their paths."""
    if isinstance(known, list) and isinstance(value, list):
        pairs = [_unknown(item, known[0], f"{path}[{index}]") for index, item in enumerate(value)]
        return [item for item, _ in pairs], [name for _, names in pairs for name in names]
    if not isinstance(known, dict) or not isinstance(value, dict):
        return value, []
    kept, unknown = {}, []
    for name, item in value.items():
        where = f"{path}.{name}" if path else name
        if name not in known:
            unknown.append(where)
            continue
        kept[name], more = _unknown(item, known[name], where)
        unknown += more
    return kept, unknown


def _from_open_api(schema: Json) -> Any:
    if schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema:
        return _ANY
    if schema.get("type") == "array":
        return [_from_open_api(schema.get("items") or {})]
    if schema.get("type") == "object" and "properties" in schema:
        return {name: _from_open_api(part) for name, part in schema["properties"].items()}
    return _ANY


def _table(resource: Resource) -> Any:
    if not resource.custom:
        return _KNOWN.get(resource)
    if not resource.schema:
        return _ANY
    known = _from_open_api(resource.schema)
    return {**known, **_HEAD, "metadata": _META} if isinstance(known, dict) else known


def check_fields(resource: Resource, obj: Json, validation: str) -> tuple[Json, tuple[str, ...]]:
    """The object without unknown fields, and the warnings about them.

    `validation` is Ignore, Warn or Strict, as the client asked.

    Raises:
        ApiError: 400 when the client asked for Strict and there are some.
    """
    kept, unknown = _unknown(obj, _table(resource), "")
    said = tuple(f'unknown field "{name}"' for name in unknown)
    if said and validation == "Strict":
        raise bad_request(
            f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
            f"strict decoding error: {', '.join(said)}"
        )
    return kept, said if validation == "Warn" else ()


def check_applied(resource: Resource, config: Json, namespace: str, name: str) -> None:
    """Refuse an applied configuration that holds unknown fields, whatever validation the client asked for.

    Raises:
        ApiError: 500, as the API server answers.
    """
    unknown = _unknown(config, _table(resource), "")[1]
    if unknown:
        where = f"{namespace}/{name}" if namespace else f"/{name}"
        said = f"failed to create typed patch object ({where}; {resource.api_version}, Kind={resource.kind}): "
        found = "\n".join(f".{field}: field not declared in schema" for field in unknown)
        raise ApiError(500, said + (found if len(unknown) == 1 else f"errors:\n{found}"))
