"""Rules about traffic: who may reach what, and where it goes."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from klepaas.changes import foreign
from klepaas.effects import Effect
from klepaas_plugins.kubernetes.risks.contents import content_of
from klepaas_plugins.kubernetes.risks.model import Found, Object, Pair, Rule, child, children, cut_value, texts

__all__ = ["NETWORK_RULES"]

_ROUTES = ("Ingress", "HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "IngressRoute", "VirtualServer")
_OPEN_TYPES = ("NodePort", "LoadBalancer")
# What ends a directive of a proxy's configuration; regular expressions as paths hold other marks.
_LEAVES_ITS_PLACE = re.compile(r"[\n\r;\"'`]|\{(?!\d)|_by_lua")


def _is(pair: Pair, group: str, kind: str) -> bool:
    return (pair.group, pair.kind) == (group, kind) and not pair.is_deleted


def _find_external_addresses(pair: Pair) -> Iterator[str]:
    if not _is(pair, "", "Service"):
        return
    before, after = (texts(child(obj, "spec").get("externalIPs")) for obj in (pair.before, pair.after))
    news = [address for address in after if address not in before]
    if news:
        yield f"takes the traffic that anybody in the cluster sends to {', '.join(map(foreign, news))} (externalIPs)"


def _find_service_type(pair: Pair) -> Iterator[Found]:
    if not _is(pair, "", "Service"):
        return
    old, new = (child(obj, "spec") for obj in (pair.before, pair.after))
    kind, was = new.get("type", "ClusterIP"), old.get("type", "ClusterIP")
    if kind == "ExternalName" and new.get("externalName") != old.get("externalName"):
        yield Found(f"sends its clients to {foreign(new.get('externalName'))} (ExternalName)")
    elif kind in _OPEN_TYPES and kind != was:
        severity = Effect.WRITE if pair.is_new else None
        yield Found(f"opens Service {foreign(pair.name)} to outside of the cluster (type {kind})", severity)
    ranges, had = (texts(one.get("loadBalancerSourceRanges")) for one in (new, old))
    wider = [one for one in ranges if one not in had]
    if wider and not pair.is_new:
        yield Found(f"opens its load balancer to {', '.join(map(foreign, wider))}")


def _find_service_selector(pair: Pair) -> Iterator[str]:
    if not _is(pair, "", "Service") or pair.is_new:
        return
    old, new = (dict(child(obj, "spec", "selector")) for obj in (pair.before, pair.after))
    if old != new:
        shown = ", ".join(foreign(f"{key}={value}") for key, value in new.items()) or "no pods"
        yield f"sends the traffic of Service {foreign(pair.name)} to other pods: {shown}"


def _find_ingress_path(pair: Pair) -> Iterator[str]:
    if pair.is_deleted or pair.kind not in ("Ingress", "HTTPRoute", "VirtualServer", "IngressRoute"):
        return
    before = {str(one.value) for one in pair.old.named("path", "host", "match")}
    for one in pair.new.named("path", "host", "match"):
        text = str(one.value) if isinstance(one.value, str) else ""
        if _LEAVES_ITS_PLACE.search(text) and text not in before and pair.kind != "IngressRoute":
            where = f"{foreign(one.path)}: {cut_value(text)}"
            yield f"a value that may leave its place in the configuration of a proxy ({where})"


def _find_snippet_field(pair: Pair) -> Iterator[str]:
    """Snippets in fields, as VirtualServer has them."""
    if pair.is_deleted:
        return
    names = [name for name in pair.new.fields if re.search(r"[sS]nippets?$", name)]
    before = {(one.path, str(one.value)) for one in pair.old.named(*names)}
    for one in pair.new.named(*names):
        is_mark = one.path.removesuffix(f".{one.name}").endswith(("annotations", "labels"))
        key = (one.path, str(one.value))
        if isinstance(one.value, str) and one.value and not is_mark and key not in before and _is_of_proxy(pair):
            yield f"text that becomes configuration of a proxy ({foreign(one.path)}: {cut_value(one.value)})"


def _is_of_proxy(pair: Pair) -> bool:
    if (pair.group, pair.kind) == ("", "ConfigMap"):
        return True
    return any(
        word in f"{pair.group}/{pair.kind}/{pair.name}".lower() for word in ("nginx", "ingress", "haproxy", "proxy")
    )


def _find_backends(pair: Pair) -> Iterator[Found]:
    """Backends that an existing route did not have, and backends of another namespace."""
    if pair.is_deleted or pair.kind not in _ROUTES:
        return
    had = set(_backends(pair, pair.before))
    for place, name in dict.fromkeys(_backends(pair, pair.after)):
        if (place, name) not in had and (place != str(pair.place) or not pair.is_new):
            yield Found(f"sends requests to {foreign(f'{place}/{name}')}")


def _backends(pair: Pair, obj: Object | None) -> Iterator[tuple[str, str]]:
    index = pair.new if obj is pair.after else pair.old
    for one in index.named("backendRefs", "services", "backend", "service", "defaultBackend"):
        for ref in one.value if isinstance(one.value, list) else [one.value]:
            name = ref.get("name") if isinstance(ref, Mapping) else ref
            if isinstance(name, str):
                yield str((ref.get("namespace") if isinstance(ref, Mapping) else None) or pair.place), name


def _find_policy(pair: Pair) -> Iterator[Found]:
    if (pair.group, pair.kind) != ("networking.k8s.io", "NetworkPolicy"):
        return
    if pair.is_deleted:
        yield Found(f"the pods of NetworkPolicy {foreign(pair.name)} may be reached, or may reach, what it kept away")
        return
    old, new = (_open_rules(obj) for obj in (pair.before, pair.after))
    opened = [line for line in new if line not in old]
    if opened:
        yield Found(
            f"opens the pods of NetworkPolicy {foreign(pair.name)}: {', '.join(opened)}", _opening(pair, opened)
        )
    elif pair.is_new:
        yield Found(f"from now on only what NetworkPolicy {foreign(pair.name)} allows reaches its pods", Effect.WRITE)
    elif content_of(pair.before).get("spec") != content_of(pair.after).get("spec"):
        yield Found(f"changes who may reach the pods of NetworkPolicy {foreign(pair.name)}")


def _opening(pair: Pair, opened: list[str]) -> Effect | None:
    """A new policy opens what is open already, unless it stands beside one that closes."""
    every_pod = not child(pair.after, "spec", "podSelector")
    every_way_in = any(line.startswith("ingress") and line.endswith("every port") for line in opened)
    return Effect.WRITE if pair.is_new and not every_pod and not every_way_in else None


def _open_rules(obj: Object | None) -> list[str]:
    """Rules that allow everything on some side."""
    found = []
    for side, peers in (("ingress", "from"), ("egress", "to")):
        for rule in children(obj, "spec", side):
            listed = children(rule, peers)
            if not listed or any(_is_everybody(peer) for peer in listed):
                ports = ", ".join(foreign(port.get("port")) for port in children(rule, "ports")) or "every port"
                found.append(f"{side} {peers} everywhere on {ports}")
    return found


def _is_everybody(peer: Object) -> bool:
    if "ipBlock" in peer:
        return str(child(peer, "ipBlock").get("cidr")).endswith("/0")
    selector: Any = peer.get("namespaceSelector")
    return selector == {} and not peer.get("podSelector")


NETWORK_RULES = (
    Rule(code="redirects-traffic", name="external-addresses", find=_find_external_addresses,
         content="`externalIPs` of a Service"),
    Rule(code="exposes", name="service-type", find=_find_service_type,
         content="a Service that becomes NodePort or LoadBalancer, wider `loadBalancerSourceRanges`, `externalName`"),
    Rule(code="redirects-traffic", name="selector", find=_find_service_selector,
         content="another `selector` of a Service"),
    Rule(code="redirects-traffic", name="backend", find=_find_backends,
         content="a backend that an existing Ingress or route had not, or one of another namespace"),
    Rule(code="configures-a-proxy", name="path", find=_find_ingress_path,
         content="a path or host of an Ingress or route that ends a directive of a proxy"),
    Rule(code="configures-a-proxy", name="snippet-field", find=_find_snippet_field,
         content="fields `*-snippet` of ConfigMaps and of objects of ingress controllers"),
    Rule(code="opens-network", name="network-policy", find=_find_policy, deleted=True,
         content="a NetworkPolicy that is deleted, changed, or allows everything on one side"),
)  # fmt: skip
