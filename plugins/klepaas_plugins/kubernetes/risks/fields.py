"""Fields that matter by their name, wherever they stand: what a pod may do to its node, what stops, what is deleted.

Each row is data: names of fields, which value matters, and what it means. A row finds what was not there before; a row
of `LOST` finds what is not there any more. Where a container's safety is concerned the rows follow the Pod Security
Standards: what their level "baseline" allows is named and raises nothing.

Source: Kubernetes, Pod Security Standards; core/v1 PodSpec and SecurityContext.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from klepaas.changes import foreign
from klepaas.effects import Effect
from klepaas_plugins.kubernetes.risks.model import Found, Pair, Rule, cut_value, texts

__all__ = ["FIELD_RULES"]

Match = Callable[[Any, Mapping[str, Any]], str | None]
_BASELINE = frozenset({
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
})  # fmt: skip
_SAFE_SYSCTLS = frozenset({
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes",
})  # fmt: skip
_SAFE_SELINUX = frozenset({"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"})
_CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")


def _is_true(value: Any, _: Mapping[str, Any]) -> str | None:
    return "true" if value is True or (isinstance(value, str) and value.lower() == "true") else None


def _is_false(value: Any, _: Mapping[str, Any]) -> str | None:
    return "false" if value is False or (isinstance(value, str) and value.lower() == "false") else None


def _is_zero(value: Any, _: Mapping[str, Any]) -> str | None:
    return "0" if not isinstance(value, bool) and value in (0, "0") else None


def _is_port(value: Any, _: Mapping[str, Any]) -> str | None:
    return str(value) if value not in (0, "0", None, "") and isinstance(value, int | str) else None


def _is_set(value: Any, _: Mapping[str, Any]) -> str | None:
    return str(value) if isinstance(value, str | int) and value != "" else None


def _is_mapping(value: Any, _: Mapping[str, Any]) -> str | None:
    return "set" if isinstance(value, Mapping) else None


def _is_list(value: Any, _: Mapping[str, Any]) -> str | None:
    return f"{len(value)} items" if isinstance(value, list) and value else None


def _path(value: Any, _: Mapping[str, Any]) -> str | None:
    """A path on the node: `hostPath: {path: /}`, or short as some custom resources write it."""
    if isinstance(value, Mapping):
        return str(value["path"]) if isinstance(value.get("path"), str) else None
    return value if isinstance(value, str) and value.startswith("/") else None


def _words(*wanted: str) -> Match:
    lowered = {word.lower() for word in wanted}

    def match(value: Any, _: Mapping[str, Any]) -> str | None:
        return value if isinstance(value, str) and value.lower() in lowered else None

    return match


def _inside(name: str, match: Match) -> Match:
    """A field of the mapping that the field holds."""

    def inner(value: Any, _: Mapping[str, Any]) -> str | None:
        return match(value.get(name), value) if isinstance(value, Mapping) else None

    return inner


def _added_capabilities(value: Any, *, beyond_baseline: bool) -> str | None:
    added = [
        text.upper().removeprefix("CAP_") for text in texts(value.get("add") if isinstance(value, Mapping) else ())
    ]
    chosen = [text for text in added if (text not in _BASELINE) is beyond_baseline]
    return ", ".join(sorted(chosen)) or None


def _selinux(value: Any, _: Mapping[str, Any]) -> str | None:
    if not isinstance(value, Mapping):
        return None
    odd = [f"{key}={value[key]}" for key in ("user", "role") if value.get(key)]
    odd += [f"type={value['type']}"] if value.get("type") not in (*_SAFE_SELINUX, None) else []
    return ", ".join(odd) or None


def _sysctls(value: Any, _: Mapping[str, Any]) -> str | None:
    names = [str(one.get("name")) for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
    return ", ".join(sorted(name for name in names if name not in _SAFE_SYSCTLS)) or None


def _tolerations(value: Any, _: Mapping[str, Any]) -> str | None:
    found = []
    for one in value if isinstance(value, list) else ():
        key = one.get("key") if isinstance(one, Mapping) else "none"
        if key in _CONTROL_PLANE or (not key and one.get("operator") == "Exists"):
            found.append(str(key or "every taint"))
    return ", ".join(sorted(found)) or None


@dataclass(frozen=True, kw_only=True)
class _Row:
    """One row: a field that matters.

    Attributes:
        code: The risk's code.
        fields: Its names, for the documentation and the search.
        match: The value as a line shows it. None: it does not matter.
        meaning: What it means.
        severity: The effect for an existing object.
        created: The effect for a new object. None: the same.
        lost: Whether it matters that it is gone.
        value: The value that matters, for the documentation.
    """

    code: str
    fields: tuple[str, ...]
    match: Match
    meaning: str
    severity: Effect = Effect.DESTRUCTIVE
    created: Effect | None = None
    lost: bool = False
    value: str = ""

    def rule(self) -> Rule:
        name = "-".join(self.fields)
        gone = ", where it is not any more" if self.lost else ""
        content = f"`{'`, `'.join(self.fields)}`{f' {self.value}' if self.value else ''}{gone}: {self.meaning}"
        suffix = "-lost" if self.lost else ""
        return Rule(
            code=self.code, name=f"{name}{suffix}{'-named' if self.severity is Effect.WRITE else ''}", content=content,
            find=self._find, severity=self.severity, created=self.created,
        )  # fmt: skip

    def _find(self, pair: Pair) -> Iterator[Found]:
        old, new = self._matches(pair.old), self._matches(pair.new)
        gained = old - new if self.lost and not pair.is_new else Counter() if self.lost else new - old
        for path, value in gained:
            yield Found(f"{self.meaning} ({foreign(path)}: {cut_value(value)}{' no more' if self.lost else ''})")

    def _matches(self, index: Any) -> Counter[tuple[str, str]]:
        shown = ((one.path, self.match(one.value, one.parent)) for one in index.named(*self.fields))
        return Counter((path, value) for path, value in shown if value is not None)


_HOST, _WEAK, _STOP, _EXPIRE, _DATA = "host-access", "weaker-isolation", "stops", "deletes-by-expiry", "deletes-data"
_NAMED = Effect.WRITE
_ROWS = (
    _Row(code=_HOST, fields=("privileged", "hostProcess"), match=_is_true, value="true",
         meaning="a container that controls its node"),
    _Row(code=_HOST, fields=("hostPID", "hostIPC", "hostNetwork"), match=_is_true, value="true",
         meaning="a pod in a namespace of its node"),
    _Row(code=_HOST, fields=("hostUsers",), match=_is_false, lost=True, value="false",
         meaning="a pod whose root user is the node's"),
    _Row(code=_HOST, fields=("hostPath",), match=_path, value="with a path",
         meaning="access to the files of a node"),
    _Row(code=_HOST, fields=("hostDisk", "hostDevices", "flexVolume", "gitRepo"),
         match=lambda value, parent: _is_mapping(value, parent) or _is_list(value, parent),
         meaning="a volume or device that acts on the node"),
    _Row(code=_HOST, fields=("hostPort",), match=_is_port, value="other than 0", meaning="a port of the node"),
    _Row(code=_HOST, fields=("nodeName",), match=_is_set, meaning="a pod on a node past the scheduler and its taints"),
    _Row(code=_HOST, fields=("tolerations",), match=_tolerations, value="of the control plane or of every taint",
         meaning="a pod that may run on nodes of the control plane"),
    _Row(code=_HOST, fields=("procMount",), match=_words("Unmasked"), value="Unmasked",
         meaning="a container that sees all of /proc"),
    _Row(code=_HOST, fields=("adminAccess",), match=_is_true, value="true",
         meaning="access to devices in use by others"),
    _Row(code=_WEAK, fields=("capabilities",), match=lambda value, _: _added_capabilities(value, beyond_baseline=True),
         value="added, beyond the level baseline", meaning="more of the kernel's privileges"),
    _Row(code=_WEAK, fields=("capabilities",), match=lambda value, _: _added_capabilities(value, beyond_baseline=False),
         value="added, of the level baseline", meaning="privileges that containers have by default", severity=_NAMED),
    _Row(code=_WEAK, fields=("allowPrivilegeEscalation",), match=_is_true, value="true",
         meaning="a process may gain privileges"),
    _Row(code=_WEAK, fields=("allowPrivilegeEscalation",), match=_is_false, value="false", lost=True,
         meaning="a process may gain privileges"),
    _Row(code=_WEAK, fields=("runAsUser", "runAsGroup"), match=_is_zero, value="0", meaning="runs as root",
         created=_NAMED),
    _Row(code=_WEAK, fields=("runAsNonRoot", "readOnlyRootFilesystem"), match=_is_true, value="true", lost=True,
         meaning="a protection of the container ends"),
    _Row(code=_WEAK, fields=("seccompProfile", "appArmorProfile"), match=_inside("type", _words("Unconfined")),
         value="of type Unconfined", meaning="no filter of system calls or files"),
    _Row(code=_WEAK, fields=("seLinuxOptions",), match=_selinux, value="with a user, a role or a special type",
         meaning="another SELinux domain"),
    _Row(code=_WEAK, fields=("sysctls",), match=_sysctls, value="that are not safe", meaning="kernel parameters"),
    _Row(code=_WEAK, fields=("shareProcessNamespace",), match=_is_true, value="true", created=_NAMED,
         meaning="the containers see each other's processes"),
    _Row(code=_WEAK, fields=("runtimeClassName",), match=_is_set, lost=True,
         meaning="the pod leaves its container runtime"),
    _Row(code=_STOP, fields=("replicas", "parallelism", "maxReplicas", "maxReplicaCount"),
         match=_is_zero, value="0", created=_NAMED, meaning="stops what runs"),
    _Row(code=_STOP, fields=("minReplicas", "minReplicaCount", "idleReplicaCount"), match=_is_zero, value="0",
         created=_NAMED, meaning="an autoscaler may stop what runs"),
    _Row(code=_STOP, fields=("suspend", "paused", "suspended"), match=_is_true, value="true", created=_NAMED,
         meaning="stops what it makes, or its updates"),
    _Row(code=_STOP, fields=("running",), match=_is_true, value="true", lost=True, meaning="stops what runs"),
    _Row(code=_EXPIRE, fields=("ttlSecondsAfterFinished", "ttlStrategy", "ttlSecondsAfterCreation",
                                 "activeDeadlineSeconds"),
         match=lambda value, parent: _is_set(value, parent) or _is_mapping(value, parent), created=_NAMED,
         meaning="deleted or ended by time"),
    _Row(code=_EXPIRE, fields=("revisionHistoryLimit", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"),
         match=_is_zero, value="0", created=_NAMED, meaning="deletes the history"),
    _Row(code=_DATA, fields=("persistentVolumeReclaimPolicy", "reclaimPolicy", "deletionPolicy", "whenDeleted",
                               "whenScaled"),
         match=_words("Delete"), value="Delete", created=_NAMED, meaning="data goes with its claim or object"),
    _Row(code=_DATA, fields=("prune",), match=_is_true, value="true",
         meaning="a controller deletes what it does not find in its source"),
    _Row(code="gives-identity", fields=("automountServiceAccountToken",), match=_is_false, value="false", lost=True,
         meaning="pods get a token of their service account"),
    _Row(code="mounts-credentials", fields=("serviceAccountToken",), match=_is_mapping, value="projected",
         meaning="a volume with a token of the service account"),
)  # fmt: skip

FIELD_RULES: tuple[Rule, ...] = tuple(row.rule() for row in _ROWS)
