"""The objects that a caller sends, read and checked before any request: who each one is, where, and in what order.

Kind, name and namespace inside a document become part of a path exactly as a tool's own parameters do, so they pass the
same checks.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from klepaas import names
from klepaas.errors import BadRequest
from klepaas.names import Check
from klepaas.output.redaction import MARK
from klepaas.output.safe import limit_length
from klepaas.output.verdict import NOT_SENT, nothing_changed
from klepaas_plugins.kubernetes import yaml_text

__all__ = ["MANIFESTS", "Manifest", "in_safe_order", "read_manifests"]

_API_VERSION = re.compile(r"v1|[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?/[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")
# As YAML counts printable characters; a line may end with NEL.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9]{0,62}")
MANIFESTS = Check(
    "manifest",
    lambda text: bool(text) and not _UNPRINTABLE.search(text),
    "YAML or JSON",
    # A tool reads less of it, and says then what reads all of it (`yaml_text`).
    yaml_text.TERMINAL_LIMITS.text_max_chars,
    quotable=False,
)
# Kept by the server; an object that was read and is sent back holds them.
_SERVERS_OWN = ("managedFields", "selfLink")
_RANKS = (
    ("Namespace", "CustomResourceDefinition"),
    (
        "PriorityClass",
        "StorageClass",
        "RuntimeClass",
        "IngressClass",
        "PersistentVolume",
        "ResourceQuota",
        "LimitRange",
    ),
    ("ServiceAccount", "Secret", "ConfigMap", "PersistentVolumeClaim", "ClusterRole", "Role"),
    ("ClusterRoleBinding", "RoleBinding", "NetworkPolicy", "Service"),
    (),
    ("Pod", "ReplicaSet", "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"),
    ("HorizontalPodAutoscaler", "PodDisruptionBudget", "Ingress", "HTTPRoute", "APIService"),
    ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"),
)
_ANY_RANK = _RANKS.index(())


@dataclass(frozen=True)
class Manifest:
    """One object that a caller sent.

    Attributes:
        number: Which document it was, from 1.
        api_version: Its apiVersion.
        kind: Its kind.
        name: Its name. None: the server shall make one up (`generateName`).
        namespace: The namespace that it names. None: none.
        body: The object.
    """

    number: int
    api_version: str
    kind: str
    name: str | None
    namespace: str | None
    body: dict[str, Any]

    @property
    def title(self) -> str:
        """The object in words."""
        return f"{self.kind} {self.name or 'of a generated name'}"

    @property
    def where(self) -> str:
        """The document in words."""
        return f"document {self.number} ({self.title})"

    @property
    def defines(self) -> tuple[str, str] | None:
        """Group and kind that it adds to the cluster. None: it is no definition."""
        spec = self.body.get("spec")
        if self.kind != "CustomResourceDefinition" or not isinstance(spec, dict):
            return None
        kinds = spec.get("names")
        return str(spec.get("group")), str(kinds.get("kind") if isinstance(kinds, dict) else "")

    @property
    def group(self) -> str:
        """The API group; empty for the core."""
        return self.api_version.rpartition("/")[0]


def read_manifests(text: str, *, names_required: bool = True) -> list[Manifest]:
    """The objects in a text; the items of a List count one by one.

    Args:
        text: YAML, of one or several documents, or JSON.
        names_required: Whether every object needs a name.

    Raises:
        BadRequest: The text or one of the objects is not valid; the message says which.
    """
    found = [
        _manifest(number, document, names_required)
        for number, document in enumerate(_flat(yaml_text.documents(text)), start=1)
    ]
    if not found:
        raise BadRequest("There is no object in the manifests", next_step="Send at least one, with apiVersion and kind")
    known: dict[tuple[str, ...], Manifest] = {}
    for one in found:
        identity = (one.group, one.kind, one.namespace or "", one.name or f"#{one.number}")
        if identity in known:
            raise BadRequest(f"{known[identity].where} and {one.where} are the same object", next_step="Send it once")
        known[identity] = one
    return found


def in_safe_order(manifests: Sequence[Manifest]) -> list[Manifest]:
    """Namespaces and definitions first, then configuration, then what runs, then what depends on that."""
    ranks = {kind: rank for rank, kinds in enumerate(_RANKS) for kind in kinds}
    return sorted(manifests, key=lambda one: ranks.get(one.kind, _ANY_RANK))


def _flat(documents: Sequence[Any]) -> Iterator[Any]:
    """The objects in documents; the items of a List and of a list of one kind (RoleList) one by one."""
    for document in documents:
        kind = document.get("kind") if isinstance(document, dict) else None
        if isinstance(kind, str) and kind.endswith("List") and isinstance(document.get("items", 0), list | None):
            yield from _flat([_item_of(document, kind, item) for item in document["items"] or ()])
        else:
            yield document


def _item_of(listed: Mapping[str, Any], kind: str, item: Any) -> Any:
    """An item of a list; where it leaves out what it is, a list of one kind says so."""
    if not isinstance(item, dict) or kind == "List":
        return item
    missing = {"apiVersion": listed.get("apiVersion"), "kind": kind.removesuffix("List")}
    return {**missing, **{key: value for key, value in item.items() if key not in missing or value}}


def _manifest(number: int, document: Any, name_required: bool) -> Manifest:
    if not isinstance(document, dict):
        raise BadRequest(
            f"Document {number} is no object", next_step="An object has apiVersion, kind and metadata.name"
        )
    api_version, kind = document.get("apiVersion"), document.get("kind")
    if not isinstance(api_version, str) or not _API_VERSION.fullmatch(api_version):
        raise BadRequest(f"Document {number} has no valid apiVersion", next_step="Use one such as v1 or apps/v1")
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        raise BadRequest(f"Document {number} has no valid kind", next_step="Use one such as Deployment")
    metadata = document.get("metadata")
    if not isinstance(metadata, dict):
        raise BadRequest(f"Document {number} ({kind}) has no metadata", next_step="Give it metadata.name")
    name = _name(number, kind, metadata, name_required)
    namespace = _checked(number, metadata.get("namespace"), "metadata.namespace", names.NAMESPACE)
    body = {key: value for key, value in document.items() if key != "status"}
    body["metadata"] = {key: value for key, value in metadata.items() if key not in _SERVERS_OWN}
    manifest = Manifest(number, api_version, kind, name, namespace, body)
    _refuse_marks(manifest)
    return manifest


def _name(number: int, kind: str, metadata: Mapping[str, Any], required: bool) -> str | None:
    name = _checked(number, metadata.get("name"), "metadata.name", names.OBJECT)
    if name is not None:
        return name
    prefix = metadata.get("generateName")
    if required or prefix is None:
        raise BadRequest(f"Document {number} ({kind}) has no metadata.name", next_step="Give it one")
    _checked(number, str(prefix).removesuffix("-"), "metadata.generateName", names.OBJECT)
    return None


def _checked(number: int, value: Any, field: str, check: Check) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadRequest(f"{field} of document {number} is no text", next_step="Put it in quotes")
    check.check(value, f"{field} of document {number}")
    return value


def _refuse_marks(manifest: Manifest) -> None:
    """Redaction is one-way: what was read masked must never be written."""
    path = next(_marked(manifest.body, ""), None)
    if path is None and manifest.kind == "Secret":
        data = manifest.body.get("data")
        entries = data.items() if isinstance(data, dict) else ()
        path = next((f"data.{key}" for key, value in entries if MARK.encode() in _decoded(value)), None)
    if path is not None:
        raise BadRequest(
            f"{manifest.where} holds {MARK} at {limit_length(path, 200)}, which stands for a value that was not shown",
            next_step=f"Leave that field out, so that its value stays as it is; {nothing_changed(NOT_SENT)}",
        )


def _marked(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if MARK in key:
                yield path or "the top"
            yield from _marked(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _marked(inner, f"{path}[{at}]")
    elif isinstance(value, str) and MARK in value:
        yield path


def _decoded(value: Any) -> bytes:
    try:
        return base64.b64decode(str(value), validate=False)
    except (binascii.Error, ValueError):
        return b""
