"""Pod security standards, as far as people break them most: a namespace's label refuses pods and warns of templates.

Done: levels baseline and restricted, always of the latest version; privileged, host namespaces, hostPath volumes, added
capabilities, host ports; privilege escalation, dropped capabilities, types of volumes, root, seccomp. Of what a level
forbids beside these, nothing is refused.

Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from __future__ import annotations

from collections.abc import Iterator

from .model import Json
from .policies import Change
from .resources import CRON_JOBS, DAEMON_SETS, DEPLOYMENTS, JOBS, NAMESPACES, PODS, REPLICA_SETS, STATEFUL_SETS
from .status import forbidden
from .store import Store

_LABEL = "pod-security.kubernetes.io/"
_TEMPLATES = (DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS, DAEMON_SETS, JOBS)
_HOST = ("hostNetwork", "hostPID", "hostIPC")
_DEFAULT_CAPABILITIES = {
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
}  # fmt: skip
_VOLUMES = {
    "name", "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip
_SECCOMP = ("RuntimeDefault", "Localhost")


def check_pod_security(store: Store, change: Change, warnings: list[str]) -> None:
    """Refuse a pod that its namespace's level forbids, and warn of a template for such pods.

    Raises:
        ApiError: 403.
    """
    namespace = store.get(NAMESPACES, "", change.object["metadata"].get("namespace", "")) or {"metadata": {}}
    labels = namespace["metadata"].get("labels") or {}
    spec = _pod_spec(change)
    if spec is None:
        return
    enforced, warned = labels.get(f"{_LABEL}enforce", ""), labels.get(f"{_LABEL}warn", "")
    if change.resource is PODS:
        if not change.old and (said := violations(spec, enforced)):
            why = f'violates PodSecurity "{enforced}:latest": {said}'
            raise forbidden(PODS, change.object["metadata"].get("name", ""), why)
    else:
        warned = warned or enforced
    if said := violations(spec, warned):
        warnings.append(f'would violate PodSecurity "{warned}:latest": {said}')


def _pod_spec(change: Change) -> Json | None:
    obj: Json = change.object
    if change.resource is CRON_JOBS:
        obj = obj["spec"]["jobTemplate"]
    if change.resource in _TEMPLATES or change.resource is CRON_JOBS:
        obj = obj["spec"]["template"]
    elif change.resource is not PODS:
        return None
    spec: Json = obj.get("spec") or {}
    return spec


def violations(spec: Json, level: str) -> str:
    """What a level forbids of a pod, in the API server's words; empty for nothing."""
    checks = {"baseline": (_host_checks, _baseline), "restricted": (_host_checks, _restricted)}.get(level, ())
    return ", ".join(said for check in checks for said in check(spec))


def _containers(spec: Json) -> list[Json]:
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def _security(container: Json) -> Json:
    return container.get("securityContext") or {}


def _host_checks(spec: Json) -> Iterator[str]:
    named = [f"{name}=true" for name in _HOST if spec.get(name)]
    if named:
        yield f"host namespaces ({', '.join(named)})"
    for one in _containers(spec):
        ports = [str(port["hostPort"]) for port in one.get("ports") or () if port.get("hostPort")]
        if ports:
            yield f"hostPort ({_whose([one])} uses hostPort{'s'[: len(ports) - 1]} {', '.join(ports)})"
    privileged = [one for one in _containers(spec) if _security(one).get("privileged")]
    if privileged:
        yield f"privileged ({_whose(privileged)} must not set securityContext.privileged=true)"


def _baseline(spec: Json) -> Iterator[str]:
    for one in _containers(spec):
        more = sorted(set((_security(one).get("capabilities") or {}).get("add") or ()) - _DEFAULT_CAPABILITIES)
        if more:
            names = ", ".join(f'"{name}"' for name in more)
            where = "in securityContext.capabilities.add"
            yield f"non-default capabilities ({_whose([one])} must not include {names} {where})"
    volumes = [f'"{one["name"]}"' for one in spec.get("volumes") or () if one.get("hostPath") is not None]
    if volumes:
        yield f"hostPath volumes ({'volumes' if len(volumes) > 1 else 'volume'} {', '.join(volumes)})"


def _restricted(spec: Json) -> Iterator[str]:
    containers = _containers(spec)
    risen = [one for one in containers if _security(one).get("allowPrivilegeEscalation") is not False]
    if risen:
        says = "must set securityContext.allowPrivilegeEscalation=false"
        yield f"allowPrivilegeEscalation != false ({_whose(risen)} {says})"
    if said := list(_capabilities(containers)):
        yield f"unrestricted capabilities ({'; '.join(said)})"
    for volume in spec.get("volumes") or ():
        for kind in sorted(set(volume) - _VOLUMES):
            yield f'restricted volume types (volume "{volume["name"]}" uses restricted volume type "{kind}")'
    pod = spec.get("securityContext") or {}
    if rooted := [one for one in containers if {**pod, **_security(one)}.get("runAsNonRoot") is not True]:
        yield f"runAsNonRoot != true (pod or {_whose(rooted)} must set securityContext.runAsNonRoot=true)"
    open_to = [one for one in containers if ({**pod, **_security(one)}.get("seccompProfile") or {}).get("type")
               not in _SECCOMP]  # fmt: skip
    if open_to:
        says = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
        yield f"seccompProfile (pod or {_whose(open_to)} {says})"


def _capabilities(containers: list[Json]) -> Iterator[str]:
    found = [(one, _security(one).get("capabilities") or {}) for one in containers]
    if keeping := [one for one, held in found if "ALL" not in (held.get("drop") or ())]:
        yield f'{_whose(keeping)} must set securityContext.capabilities.drop=["ALL"]'
    for one, held in found:
        if more := sorted(set(held.get("add") or ()) - {"NET_BIND_SERVICE"}):
            names = ", ".join(f'"{name}"' for name in more)
            yield f"{_whose([one])} must not include {names} in securityContext.capabilities.add"


def _whose(containers: list[Json]) -> str:
    names = ", ".join(f'"{one["name"]}"' for one in containers)
    return f"container{'s' if len(containers) > 1 else ''} {names}"
