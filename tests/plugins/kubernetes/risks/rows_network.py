"""Rows about traffic, labels and annotations."""

from .objects import (
    LABELS,
    Json,
    annotated,
    at,
    deployment,
    made,
    service,
)
from .row import Row, W, changed

POLICY: Json = made(
    "networking.k8s.io/v1", "NetworkPolicy", spec={"podSelector": {}, "ingress": [{"from": [{"podSelector": LABELS}]}]}
)
NGINX = "nginx.ingress.kubernetes.io"
INGRESS = made(
    "networking.k8s.io/v1", "Ingress", spec={"rules": [{"host": "a.example", "http": {"paths": [{"path": "/"}]}}]}
)
ROUTE: Json = made("gateway.networking.k8s.io/v1", "HTTPRoute", spec={"rules": [{"backendRefs": [{"name": "web"}]}]})
NETWORK = [
    Row("backend", ROUTE, at(ROUTE, "spec rules 0 backendRefs 0 name", "evil"), "sends requests to shop/evil"),
    Row("backend", None, at(ROUTE, "spec rules 0 backendRefs 0 namespace", "kube-system"), "to kube-system/web"),
    Row("snippet-field", None, made("v1", "ConfigMap", data={"http-snippet": "x;"}), "http-snippet: x;"),
    Row("external-addresses", service(), service(externalIPs=["10.0.0.5"]), "sends to 10.0.0.5 (externalIPs)"),
    Row(
        "service-type",
        service(),
        service(type="LoadBalancer"),
        "opens Service web to outside of the cluster (type LoadBalancer)",
    ),
    Row("service-type", None, service(type="NodePort"), "type NodePort", W),
    Row("service-type", None, service(type="ExternalName", externalName="db.evil.example"), "db.evil.example"),
    Row(
        "service-type",
        service(type="LoadBalancer", loadBalancerSourceRanges=["10.0.0.0/8"]),
        service(type="LoadBalancer", loadBalancerSourceRanges=["0.0.0.0/0"]),
        "opens its load balancer to 0.0.0.0/0",
    ),
    Row("selector", service(), service(selector={"app": "evil"}), "to other pods: app=evil"),
    Row("path", None, at(INGRESS, "spec rules 0 http paths 0 path", "/x { alias /etc/; }"), "leave its place"),
    Row(
        "snippet-field",
        None,
        made("v1", "ConfigMap", "nginx-controller", data={"http-snippet": "lua_x on;"}),
        "http-snippet: lua_x on;",
    ),
    Row("network-policy", POLICY, None, "may be reached"),
    Row("network-policy", POLICY, at(POLICY, "spec ingress", [{}]), "ingress from everywhere on every port"),
    Row("network-policy", None, POLICY, "from now on", W),
    Row(
        "snippet",
        INGRESS,
        at(INGRESS, "metadata annotations", {f"{NGINX}/configuration-snippet": "deny all;"}),
        "becomes configuration of an ingress controller",
    ),
    Row(
        "raw-configuration",
        None,
        annotated("networking.k8s.io/v1", "Ingress", "haproxy-ingress.github.io/config-backend", "x"),
        "becomes configuration",
    ),
    Row(
        "injection",
        None,
        annotated("networking.k8s.io/v1", "Ingress", f"{NGINX}/auth-tls-match-cn", "CN=a;\n}"),
        "may leave its place",
    ),
    Row(
        "mirror",
        None,
        annotated("networking.k8s.io/v1", "Ingress", f"{NGINX}/mirror-target", "https://evil.example"),
        "copies requests",
    ),
    Row(
        "auth-url",
        annotated("networking.k8s.io/v1", "Ingress", "a", "b"),
        annotated("networking.k8s.io/v1", "Ingress", f"{NGINX}/permanent-redirect", "https://evil.example"),
        "to another address",
    ),
    Row(
        "endpoints",
        None,
        made(
            "discovery.k8s.io/v1",
            "EndpointSlice",
            metadata={"labels": {"kubernetes.io/service-name": "api"}},
            endpoints=[{"addresses": ["10.1.1.1"]}],
        ),
        "traffic of Service api goes to 10.1.1.1",
    ),
    Row(
        "endpoints",
        None,
        made("v1", "Endpoints", subsets=[{"addresses": [{"ip": "169.254.169.254"}]}]),
        "Service web goes to 169.254.169.254",
    ),
    Row("mesh", None, made("networking.istio.io/v1alpha3", "EnvoyFilter", spec={}), "how proxies treat traffic"),
    Row("mesh-policy", None, made("security.istio.io/v1", "PeerAuthentication", spec={}), "who may reach whom"),
    Row(
        "internal-balancer",
        annotated("v1", "Service", "service.beta.kubernetes.io/aws-load-balancer-internal", "true"),
        annotated("v1", "Service", "service.beta.kubernetes.io/aws-load-balancer-internal", "false"),
        "may become public",
    ),
    Row(
        "public-name",
        None,
        annotated("v1", "Service", "external-dns.alpha.kubernetes.io/hostname", "a.example"),
        "makes a DNS record",
        W,
    ),
]
MARKS = [
    changed(
        "old-profiles",
        "spec template metadata annotations",
        {"container.apparmor.security.beta.kubernetes.io/web": "unconfined"},
        "no filter",
    ),
    changed(
        "injection-off",
        "spec template metadata annotations",
        {"sidecar.istio.io/inject": "false"},
        "outside of the service mesh",
    ),
    Row(
        "cloud-identity",
        None,
        annotated("v1", "ServiceAccount", "eks.amazonaws.com/role-arn", "arn:aws:iam::1:role/admin"),
        "arn:aws:iam::1:role/admin",
    ),
    Row(
        "tracking",
        made("v1", "ConfigMap"),
        annotated("v1", "ConfigMap", "argocd.argoproj.io/tracking-id", "app:/ConfigMap:a/b"),
        "takes it for its own",
    ),
    Row(
        "tracking-named",
        made("v1", "ConfigMap"),
        annotated("v1", "ConfigMap", "meta.helm.sh/release-name", "r"),
        "takes it for its own",
    ),
    Row("expiry", made("v1", "ConfigMap"), annotated("v1", "ConfigMap", "janitor/ttl", "1s"), "when its time is over"),
    Row(
        "downscaler",
        deployment(),
        at(deployment(), "metadata annotations", {"downscaler/force-downtime": "true"}),
        "scales it down",
    ),
    Row(
        "exemption", None, annotated("v1", "Namespace", "admission.gatekeeper.sh/ignore", "x", "labels"), "leave it out"
    ),
    Row(
        "injected-authority",
        annotated("apiextensions.k8s.io/v1", "CustomResourceDefinition", "a", "b"),
        annotated("apiextensions.k8s.io/v1", "CustomResourceDefinition", "cert-manager.io/inject-ca-from", "a/b"),
        "another authority",
    ),
    Row(
        "default-class",
        None,
        annotated("storage.k8s.io/v1", "StorageClass", "storageclass.kubernetes.io/is-default-class", "true"),
        "default of the whole cluster",
    ),
    Row("mirror-pod", None, annotated("v1", "Pod", "kubernetes.io/config.mirror", "x"), "static pod"),
    Row(
        "replication",
        None,
        annotated("v1", "Secret", "reflector.v1.k8s.emberstack.com/reflection-allowed", "true"),
        "copied to other namespaces",
    ),
    Row(
        "argo-cd-secret",
        None,
        annotated("v1", "Secret", "argocd.argoproj.io/secret-type", "cluster", "labels"),
        "Argo CD uses",
    ),
    Row(
        "last-applied",
        made("v1", "ConfigMap"),
        annotated("v1", "ConfigMap", "kubectl.kubernetes.io/last-applied-configuration", "{}"),
        "`kubectl apply` removes",
    ),
]
