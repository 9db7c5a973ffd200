"""Rules about whole pod templates: whose identity they get, which credentials an image gets to see, whose node files.

A template is whatever holds a list of containers, in whichever kind it stands.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from klepaas.changes import foreign
from klepaas.effects import Effect
from klepaas_plugins.kubernetes.risks.index import Index
from klepaas_plugins.kubernetes.risks.model import ABSENT, UNKNOWN, Found, Object, Pair, Rule, child, children
from klepaas_plugins.kubernetes.risks.rights import RBAC

__all__ = ["CONTAINER_LISTS", "POD_RULES", "Template", "repository", "templates"]

CONTAINER_LISTS = ("containers", "initContainers", "ephemeralContainers")
_CREDENTIALS = {
    "kubernetes.io/service-account-token": "a token of a service account",
    "kubernetes.io/dockerconfigjson": "the credentials of a registry",
    "kubernetes.io/dockercfg": "the credentials of a registry",
    "bootstrap.kubernetes.io/token": "a token that lets nodes join",
}
_SECRETS_MAX = 20


@dataclass(frozen=True)
class Template:
    """A pod template.

    Attributes:
        path: Where it stands; "" for the object itself.
        spec: What holds the containers.
    """

    path: str
    spec: Mapping[str, Any]

    @property
    def containers(self) -> dict[str, Object]:
        """Its containers by name, those that initialize and debug too."""
        every = [one for key in CONTAINER_LISTS for one in children(self.spec, key)]
        return {str(one.get("name") or position): one for position, one in enumerate(every)}

    @property
    def images(self) -> set[str]:
        """The repositories of its images."""
        return {repository(str(one["image"])) for one in self.containers.values() if one.get("image")}

    @property
    def service_account(self) -> str:
        """The service account; "default" where none is named."""
        return str(self.spec.get("serviceAccountName") or self.spec.get("serviceAccount") or "default")


def templates(index: Index) -> list[Template]:
    """The pod templates of an object.

    Args:
        index: Its fields.
    """
    found: dict[str, Template] = {}
    for one in index.named(*CONTAINER_LISTS):
        if isinstance(one.value, list):
            path = one.path.removesuffix(one.name).removesuffix(".")
            found.setdefault(path, Template(path, one.parent))
    return list(found.values())


def repository(image: str) -> str:
    """An image without tag and digest.

    Args:
        image: The image.
    """
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"


def _matched(pair: Pair) -> Iterator[tuple[Template | None, Template]]:
    old = {one.path: one for one in templates(pair.old)}
    for one in templates(pair.new):
        yield old.get(one.path), one


def _find_account(pair: Pair) -> Iterator[Found | str]:
    """Another service account for a template, or a bound one for a new template."""
    for old, new in _matched(pair):
        account = new.service_account
        title = f"ServiceAccount {foreign(f'{pair.place}/{account}')}"
        if old is not None and account != old.service_account:
            yield f"its pods get the rights of {title}, not of {foreign(old.service_account)}"
        elif account != "default" and (old is None or not new.images <= old.images):
            yield from _judge_account(pair, account)


def _judge_account(pair: Pair, account: str) -> Iterator[Found | str]:
    found = pair.known.get("v1", "ServiceAccount", pair.place, account)
    title = f"ServiceAccount {foreign(f'{pair.place}/{account}')}"
    if found is ABSENT or ("", "ServiceAccount", pair.place, account) in pair.known.overlay:
        # It has the rights that this change grants, which are named where they are granted.
        yield Found(f"its pods get the rights of {title}", Effect.WRITE)
        return
    lists = [pair.known.list(RBAC, "RoleBinding", pair.place), pair.known.list(RBAC, "ClusterRoleBinding", None)]
    if any(one is UNKNOWN for one in lists):
        yield f"its pods get the rights of {title}; not known which these are"
        return
    roles = [child(one, "roleRef") for items in lists for one in items if _binds(one, pair.place, account)]
    if roles:
        names = ", ".join(f"{foreign(role.get('kind'))} {foreign(role.get('name'))}" for role in roles)
        yield f"its pods get the rights of {title}: {names}"
    else:
        yield Found(f"its pods run as {title}, to which no role is bound", Effect.WRITE)


def _binds(binding: Object, namespace: str | None, account: str) -> bool:
    for one in children(binding, "subjects"):
        place = one.get("namespace") or child(binding, "metadata").get("namespace")
        if one.get("kind") == "ServiceAccount" and (place, one.get("name")) == (namespace, account):
            return True
    return False


def _find_credentials(pair: Pair) -> Iterator[Found | str]:
    """Secrets with credentials of the cluster that an image did not see before."""
    for old, new in _matched(pair):
        had = _mounted(old) if old is not None and new.images <= old.images else {}
        names = [name for name in _mounted(new) if name not in had]
        images = ", ".join(map(foreign, sorted(new.images))) or "an image"
        for name in names[:_SECRETS_MAX]:
            found = pair.known.get("v1", "Secret", pair.place, name)
            if found is UNKNOWN:
                what = f"Secret {foreign(name)}, which {images} gets,"
                yield f"not known whether {what} holds a token or registry credentials"
            elif found is not ABSENT and found.get("type") in _CREDENTIALS:
                yield f"{images} gets {_CREDENTIALS[str(found['type'])]} (Secret {foreign(name)})"
        if len(names) > _SECRETS_MAX:
            yield f"not known what {len(names) - _SECRETS_MAX} further Secrets hold that {images} gets"


def _mounted(template: Template) -> dict[str, None]:
    """The Secrets that a template's containers see, by name."""
    names: list[Any] = []
    for volume in children(template.spec, "volumes"):
        names.append(child(volume, "secret").get("secretName"))
        names += [child(one, "secret").get("name") for one in children(volume, "projected", "sources")]
    for container in template.containers.values():
        names += [child(one, "valueFrom", "secretKeyRef").get("name") for one in children(container, "env")]
        names += [child(one, "secretRef").get("name") for one in children(container, "envFrom")]
    return {str(name): None for name in names if name}


def _find_image(pair: Pair) -> Iterator[str]:
    """Another program that takes over the privileges of a container or of its pod."""
    for old, new in _matched(pair):
        for name, container in new.containers.items() if old is not None else ():
            powers = ", ".join(_powers(new, container))
            before = (old.containers if old is not None else {}).get(name)
            if powers and before is None:
                title = f"{foreign(name)} of image {foreign(container.get('image'))}"
                yield f"a further container, {title}, gets what the pod may: {powers}"
            elif powers and before is not None:
                yield from _judge_program(name, before, container, powers)


def _judge_program(name: str, before: Object, after: Object, powers: str) -> Iterator[str]:
    images = [repository(str(one.get("image") or "")) for one in (before, after)]
    if images[0] != images[1]:
        yield f"another image, {foreign(after.get('image'))}, gets what container {foreign(name)} may: {powers}"
    programs = [key for key in ("command", "args", "lifecycle") if before.get(key) != after.get(key)]
    if programs:
        yield f"container {foreign(name)} does something else ({', '.join(programs)}) with what it may: {powers}"


def _find_host_mounts(pair: Pair) -> Iterator[str]:
    """Mounts of volumes that are paths of a node, and mounts that become writable."""
    for old, new in _matched(pair):
        had = _host_mounts(old) if old is not None else set()
        for mount in sorted(_host_mounts(new) - had):
            name, where, path, access = mount
            yield f"container {foreign(name)} mounts {foreign(path)} of its node at {foreign(where)} ({access})"


def _host_mounts(template: Template) -> set[tuple[str, str, str, str]]:
    paths = {str(one.get("name")): child(one, "hostPath").get("path") for one in children(template.spec, "volumes")}
    return {
        (name, str(one.get("mountPath")), str(paths[str(one.get("name"))]), _access(one))
        for name, container in template.containers.items()
        for one in children(container, "volumeMounts")
        if paths.get(str(one.get("name")))
    }


def _access(mount: Object) -> str:
    return "read only" if mount.get("readOnly") is True else "writable"


def _powers(template: Template, container: Object) -> list[str]:
    spec, context = template.spec, child(container, "securityContext")
    found = [key for key in ("hostPID", "hostIPC", "hostNetwork") if spec.get(key) is True]
    found += ["privileged"] if context.get("privileged") is True else []
    found += ["added capabilities"] if child(context, "capabilities").get("add") else []
    paths = [child(one, "hostPath").get("path") for one in children(spec, "volumes")]
    return [*found, *(f"hostPath {foreign(path)}" for path in paths if path)]


def _find_claims(pair: Pair) -> Iterator[str]:
    """Claims whose volume is a path of a node."""
    for old, new in _matched(pair):
        had = _claims(old) if old is not None else {}
        for claim in _claims(new):
            if claim not in had:
                yield from _judge_claim(pair, claim)


def _find_claim_itself(pair: Pair) -> Iterator[str]:
    if (pair.group, pair.kind) != ("", "PersistentVolumeClaim") or pair.is_deleted:
        return
    name, before = child(pair.after, "spec").get("volumeName"), child(pair.before, "spec").get("volumeName")
    if name and name != before:
        yield from _judge_volume(pair, str(name), f"claim {foreign(pair.name)}")
    source = child(pair.after, "spec", "dataSourceRef")
    if source.get("namespace") not in (None, pair.place) and pair.is_new:
        yield f"copies data from {foreign(source.get('kind'))} {foreign(_of(source))}"


def _of(reference: Object) -> str:
    return f"{reference.get('namespace')}/{reference.get('name')}"


def _judge_claim(pair: Pair, claim: str) -> Iterator[str]:
    found = pair.known.get("v1", "PersistentVolumeClaim", pair.place, claim)
    if found is UNKNOWN:
        yield f"not known whether the volume of claim {foreign(claim)} is a path of a node"
    elif found is not ABSENT and child(found, "spec").get("volumeName"):
        yield from _judge_volume(pair, str(child(found, "spec")["volumeName"]), f"claim {foreign(claim)}")


def _judge_volume(pair: Pair, name: str, whose: str) -> Iterator[str]:
    volume = pair.known.get("v1", "PersistentVolume", None, name)
    if volume is UNKNOWN:
        yield f"not known whether PersistentVolume {foreign(name)} of {whose} is a path of a node"
        return
    provisioned = child(volume, "metadata", "annotations").get("pv.kubernetes.io/provisioned-by")
    path = child(volume, "spec", "hostPath").get("path") or child(volume, "spec", "local").get("path")
    if path and not provisioned:
        yield f"access to the files of a node (PersistentVolume {foreign(name)} of {whose}: {foreign(path)})"


def _claims(template: Template) -> dict[str, None]:
    names = [child(one, "persistentVolumeClaim").get("claimName") for one in children(template.spec, "volumes")]
    return {str(name): None for name in names if name}


def _find_local_volume(pair: Pair) -> Iterator[str]:
    if (pair.group, pair.kind) != ("", "PersistentVolume"):
        return
    old, new = (child(obj, "spec", "local").get("path") for obj in (pair.before, pair.after))
    if new and new != old:
        yield f"access to the files of a node (spec.local.path: {foreign(new)})"


POD_RULES = (
    Rule(code="gives-identity", name="service-account", find=_find_account,
         content="`serviceAccountName`: another one, or one that roles are bound to, in a new template "
         "or with an image from another repository"),
    Rule(code="mounts-credentials", name="secrets", find=_find_credentials,
         content="Secrets with tokens or registry credentials, as a volume or variable, for an image from a repository "
         "that did not get them before"),
    Rule(code="host-access", name="image", find=_find_image,
         content="an image from another repository, another command, or a further container, where the container or "
         "its pod is privileged, has added capabilities or access to its node"),
    Rule(code="host-access", name="mount", find=_find_host_mounts,
         content="mounts of paths of a node that a container had not, or had read only"),
    Rule(code="host-access", name="claim", find=_find_claims,
         content="a claim whose volume somebody made from a path of a node"),
    Rule(code="host-access", name="claim-volume", find=_find_claim_itself,
         content="a claim to such a volume by `volumeName`, or a copy of data from another namespace"),
    Rule(code="host-access", name="local-volume", find=_find_local_volume,
         content="a PersistentVolume with `hostPath` or `local`"),
)  # fmt: skip
