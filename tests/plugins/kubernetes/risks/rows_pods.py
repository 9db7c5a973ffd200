"""Rows about pod templates."""

from klepaas_plugins.kubernetes.risks import ABSENT

from .objects import (
    CONTAINER,
    POD,
    account,
    at,
    binding,
    deployment,
    made,
)
from .row import D, Row, W, changed, lost

CTX, VOLUMES = f"{CONTAINER} securityContext", f"{POD} volumes"
FIELDS = [
    changed(
        "privileged-hostProcess", f"{CTX} privileged", True, "controls its node (spec.template.spec.containers[web]."
    ),
    changed("hostPID-hostIPC-hostNetwork", f"{POD} hostPID", True, "spec.template.spec.hostPID: true"),
    changed("hostPID-hostIPC-hostNetwork", f"{POD} hostNetwork", True, "hostNetwork: true"),
    lost("hostUsers-lost", f"{POD} hostUsers", False, "root user is the node's"),
    changed("hostPath", VOLUMES, [{"name": "root", "hostPath": {"path": "/"}}], "volumes[root].hostPath: /)"),
    changed(
        "hostDisk-hostDevices-flexVolume-gitRepo",
        VOLUMES,
        [{"name": "r", "gitRepo": {"repository": "x"}}],
        "on the node",
    ),
    changed("hostPort", f"{CONTAINER} ports", [{"containerPort": 80, "hostPort": 80}], "a port of the node"),
    changed("nodeName", f"{POD} nodeName", "control-plane-1", "nodeName: control-plane-1"),
    changed("tolerations", f"{POD} tolerations", [{"operator": "Exists"}], "every taint"),
    changed("tolerations", f"{POD} tolerations", [{"key": "node-role.kubernetes.io/control-plane"}], "control plane"),
    changed("procMount", f"{CTX} procMount", "Unmasked", "all of /proc"),
    Row(
        "adminAccess",
        None,
        made(
            "resource.k8s.io/v1", "ResourceClaim", spec={"devices": {"requests": [{"name": "g", "adminAccess": True}]}}
        ),
        "devices in use",
    ),
    changed("capabilities", f"{CTX} capabilities", {"add": ["SYS_ADMIN", "CHOWN"]}, "capabilities: SYS_ADMIN)"),
    changed("capabilities", f"{CTX} capabilities", {"add": ["CAP_NET_RAW"]}, "NET_RAW"),
    changed("capabilities-named", f"{CTX} capabilities", {"drop": ["ALL"], "add": ["CHOWN"]}, "CHOWN", W),
    changed("allowPrivilegeEscalation", f"{CTX} allowPrivilegeEscalation", True, "may gain privileges"),
    lost("allowPrivilegeEscalation-lost", f"{CTX} allowPrivilegeEscalation", False, "may gain privileges"),
    changed("runAsUser-runAsGroup", f"{CTX} runAsUser", 0, "runs as root"),
    Row("runAsUser-runAsGroup", None, deployment(securityContext={"runAsUser": 0}), "runs as root", W),
    lost("runAsNonRoot-readOnlyRootFilesystem-lost", f"{CTX} runAsNonRoot", True, "a protection", False),
    changed("seccompProfile-appArmorProfile", f"{CTX} seccompProfile", {"type": "Unconfined"}, "no filter"),
    changed("seLinuxOptions", f"{CTX} seLinuxOptions", {"type": "spc_t"}, "type=spc_t"),
    changed("sysctls", f"{POD} securityContext sysctls", [{"name": "kernel.msgmax", "value": "1"}], "kernel.msgmax"),
    changed("shareProcessNamespace", f"{POD} shareProcessNamespace", True, "each other's processes"),
    lost("runtimeClassName-lost", f"{POD} runtimeClassName", "gvisor", "leaves its container runtime", "runc"),
    changed(
        "replicas-parallelism-maxReplicas-maxReplicaCount", "spec replicas", 0, "stops what runs (spec.replicas: 0)"
    ),
    Row("replicas-parallelism-maxReplicas-maxReplicaCount", None, at(deployment(), "spec replicas", 0), "stops", W),
    Row(
        "minReplicas-minReplicaCount-idleReplicaCount",
        made("keda.sh/v1alpha1", "ScaledObject", spec={"minReplicaCount": 1}),
        made("keda.sh/v1alpha1", "ScaledObject", spec={"minReplicaCount": 0}),
        "minReplicaCount: 0",
    ),
    changed("suspend-paused-suspended", "spec paused", True, "spec.paused: true"),
    Row(
        "suspend-paused-suspended",
        made("batch/v1", "CronJob", spec={}),
        made("batch/v1", "CronJob", spec={"suspend": True}),
        "stops what it makes",
    ),
    Row(
        "running-lost",
        made("kubevirt.io/v1", "VirtualMachine", spec={"running": True}),
        made("kubevirt.io/v1", "VirtualMachine", spec={"running": False}),
        "stops what runs",
    ),
    Row(
        "ttlSecondsAfterFinished-ttlStrategy-ttlSecondsAfterCreation-activeDeadlineSeconds",
        made("batch/v1", "Job", spec={}),
        made("batch/v1", "Job", spec={"ttlSecondsAfterFinished": 0}),
        "spec.ttlSecondsAfterFinished: 0",
    ),
    changed(
        "revisionHistoryLimit-successfulJobsHistoryLimit-failedJobsHistoryLimit",
        "spec revisionHistoryLimit",
        0,
        "deletes the history",
    ),
    Row(
        "persistentVolumeReclaimPolicy-reclaimPolicy-deletionPolicy-whenDeleted-whenScaled",
        made("apps/v1", "StatefulSet", spec={"persistentVolumeClaimRetentionPolicy": {"whenScaled": "Retain"}}),
        made("apps/v1", "StatefulSet", spec={"persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete"}}),
        "data goes",
    ),
    Row(
        "prune",
        None,
        made("example.dev/v1", "Sync", spec={"syncPolicy": {"automated": {"prune": True}}}),
        "deletes what it does not find",
    ),
    lost("automountServiceAccountToken-lost", f"{POD} automountServiceAccountToken", False, "get a token", True),
    changed(
        "serviceAccountToken",
        VOLUMES,
        [{"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}],
        "a volume with a token",
    ),
]
SECRET = {"type": "kubernetes.io/dockerconfigjson", "metadata": {"name": "reg"}}
MOUNTED = deployment("evil/app:1", volumes=[{"name": "s", "secret": {"secretName": "reg"}}])
CLAIM = {"spec": {"volumeName": "pv1"}}
CLAIMED = deployment(volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}])
VOLUME = made("v1", "PersistentVolume", "pv1", None, spec={"hostPath": {"path": "/etc"}})
BOUND = {
    ("RoleBinding", "shop", None): [binding("ClusterRole", "admin", account())],
    ("ClusterRoleBinding", None, None): [],
    ("ServiceAccount", "shop", "web"): made("v1", "ServiceAccount"),
}
PRIVILEGED = at(deployment(), f"{CTX} privileged", True)
WITH_PATH = deployment(volumes=[{"name": "r", "hostPath": {"path": "/etc"}}])
READ_ONLY = at(WITH_PATH, f"{CONTAINER} volumeMounts", [{"name": "r", "mountPath": "/etc", "readOnly": True}])
EVIL = {"name": "evil", "image": "evil/x:1"}
PODS = [
    Row("image", WITH_PATH, at(WITH_PATH, f"{CONTAINER} command", ["sh"]), "does something else (command) with what"),
    Row(
        "image",
        WITH_PATH,
        at(WITH_PATH, f"{POD} containers", [*WITH_PATH["spec"]["template"]["spec"]["containers"], EVIL]),
        "a further container, evil of image evil/x:1, gets what the pod may: hostPath /etc",
    ),
    Row("mount", WITH_PATH, READ_ONLY, "container web mounts /etc of its node at /etc (read only)"),
    Row("mount", READ_ONLY, at(READ_ONLY, f"{CONTAINER} volumeMounts 0 readOnly", False), "at /etc (writable)"),
    Row(
        "service-account",
        deployment(serviceAccountName="web"),
        deployment("evil/x:1", serviceAccountName="web"),
        "ServiceAccount shop/web: ClusterRole admin",
        D,
        BOUND,
    ),
    changed("service-account", f"{POD} serviceAccountName", "deployer", "ServiceAccount shop/deployer, not of default"),
    Row(
        "service-account",
        None,
        deployment(serviceAccountName="web"),
        "ServiceAccount shop/web: ClusterRole admin",
        D,
        BOUND,
    ),
    Row(
        "service-account",
        None,
        deployment(serviceAccountName="web"),
        "not known which these are",
        D,
        {("ServiceAccount", "shop", "web"): made("v1", "ServiceAccount")},
    ),
    Row(
        "service-account",
        None,
        deployment(serviceAccountName="web"),
        "get the rights of",
        W,
        {("ServiceAccount", "shop", "web"): ABSENT},
    ),
    Row(
        "secrets",
        at(MOUNTED, f"{CONTAINER} image", "example/app:1"),
        MOUNTED,
        "evil/app gets the credentials of a registry (Secret reg)",
        D,
        {("Secret", "shop", "reg"): SECRET},
    ),
    Row("secrets", None, MOUNTED, "not known whether Secret reg", D),
    Row(
        "image",
        PRIVILEGED,
        at(PRIVILEGED, f"{CONTAINER} image", "evil/app:1"),
        "another image, evil/app:1, gets what container web may: privileged",
    ),
    Row(
        "claim",
        deployment(),
        CLAIMED,
        "PersistentVolume pv1 of claim data: /etc",
        D,
        {("PersistentVolumeClaim", "shop", "data"): CLAIM, ("PersistentVolume", None, "pv1"): VOLUME},
    ),
    Row("claim", deployment(), CLAIMED, "not known whether the volume of claim data"),
    Row(
        "claim-volume",
        None,
        made("v1", "PersistentVolumeClaim", "data", spec={"volumeName": "pv1"}),
        "PersistentVolume pv1",
        D,
        {("PersistentVolume", None, "pv1"): VOLUME},
    ),
    Row(
        "local-volume",
        None,
        made("v1", "PersistentVolume", "pv", None, spec={"local": {"path": "/var"}}),
        "spec.local.path: /var",
    ),
]
