"""Objects held to their schemas when they arrive: types, unknown fields, fields given twice.

Where the API server distinguishes named string types in its messages, only the most common ones are named here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from .bodies import json_type
from .model import Json
from .openapi.decoding import Decoder, Mismatch
from .openapi.schemas import Node, node_of
from .openapi.typed_patch import faults, go_text
from .resources import Resource
from .status import ApiError, Cause, bad_request, invalid
from .structural import pruned

_VALIDATIONS = ("", "Ignore", "Strict", "Warn")
_NUMBER = re.compile(r"json: cannot unmarshal number \S{1,400} into .{1,400}? of type")


def validation_of(asked: str, method: str) -> str:
    """How unknown fields are to be met: Ignore, Warn or Strict.

    Raises:
        ApiError: 422 for anything else.
    """
    if asked not in _VALIDATIONS:
        options = {"POST": "CreateOptions", "PUT": "UpdateOptions"}.get(method, "PatchOptions")
        supported = ", ".join(f'"{one}"' for one in _VALIDATIONS)
        says = f'Unsupported value: "{asked}": supported values: {supported}'
        raise invalid(options, "meta.k8s.io", "", [Cause("FieldValueNotSupported", says, "fieldValidation")])
    return asked or "Warn"


def decoded(
    node: Node, obj: Json, validation: str, duplicates: Mapping[int, Sequence[str]] | None = None
) -> tuple[Json, tuple[str, ...]]:
    """The object without unknown fields, and the warnings about them.

    Raises:
        Mismatch: a value of a wrong type, or, when `validation` is Strict, what would be warned of.
    """
    decoder = Decoder(duplicates)
    kept = _decoded_custom(decoder, obj, node) if node.custom else decoder.decode(obj, node)
    said = [f'unknown field "{name}"' for name in decoder.unknown]
    said += [f'duplicate field "{name}"' for name in decoder.duplicates]
    if said and validation == "Strict":
        raise Mismatch(f"strict decoding error: {', '.join(said)}")
    return kept, tuple(said) if validation == "Warn" else ()


def _decoded_custom(decoder: Decoder, obj: Json, node: Node) -> Json:
    """A custom resource, of which only the metadata are decoded; its values are validated later."""
    meta, below = obj.get("metadata"), node.child("metadata")
    if meta is not None and not isinstance(meta, dict):
        raise Mismatch(f"json: cannot unmarshal {json_type(meta)} into Go value of type v1.ObjectMeta")
    kept: Json
    kept, unknown = pruned(obj, node.raw)
    if meta is not None and below is not None:
        kept["metadata"] = decoder.decode(meta, below)
    decoder.unknown = [*unknown, *(f"metadata.{name}" for name in decoder.unknown)]
    decoder.duplicates = [f"metadata.{name}" for name in decoder.duplicates]
    return kept


def check_fields(
    resource: Resource, obj: Json, validation: str, duplicates: Mapping[int, Sequence[str]] | None = None
) -> tuple[Json, tuple[str, ...]]:
    """A new or replaced object as `decoded` gives it.

    Raises:
        ApiError: 400.
    """
    try:
        return decoded(node_of(resource), obj, validation, duplicates)
    except Mismatch as error:
        head = f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}'
        raise bad_request(f"{head}: {error}") from error


def decoded_patch(node: Node, obj: Json, validation: str, patch: Json | None = None) -> tuple[Json, tuple[str, ...]]:
    """An object after a patch as `decoded` gives it; `patch` is the strategic merge patch, if it was one.

    Raises:
        ApiError: 422.
    """
    try:
        return decoded(node, obj, validation)
    except Mismatch as error:
        shown = json.dumps(obj, separators=(",", ":")) if patch is None else go_text(patch)
        says = f"Invalid value: {json.dumps(shown)}: {error}"
        raise invalid("", "", "", [Cause("FieldValueInvalid", says, "patch")]) from error


def check_patched(
    resource: Resource, obj: Json, validation: str, patch: Json | None = None
) -> tuple[Json, tuple[str, ...]]:
    """An object of a kind after a patch, as `decoded_patch` gives it.

    Raises:
        ApiError: 422.
    """
    if not isinstance(obj, dict):
        raise bad_request(f"json: cannot unmarshal {json_type(obj)} into Go value of type map[string]interface {{}}")
    return decoded_patch(node_of(resource), {**obj, "metadata": obj.get("metadata") or {}}, validation, patch)


def check_converted(resource: Resource, merged: Json) -> None:
    """Refuse an applied configuration that fits the schema loosely but not the kind's Go type.

    Raises:
        ApiError: 500, as the API server answers.
    """
    if resource.custom:
        return
    try:
        decoded(node_of(resource), merged, "Ignore")
    except Mismatch as error:
        meta = merged["metadata"]
        where = f"{meta.get('namespace') or ''}/{meta.get('name') or ''}"
        version = resource.api_version if resource.group else f"/{resource.version}"
        kind = f"{version}, Kind={resource.kind}"
        why = _NUMBER.sub("cannot convert float64 to", str(error))
        why = re.sub(r"Go struct field \S{1,400} of", "Go value of", why)
        said = f"unable to convert unstructured object to {kind}: {why}"
        raise ApiError(500, f"failed to convert new object ({where}; {kind}) to proper version: {said}") from error


def check_applied(resource: Resource, config: Json) -> None:
    """Refuse an applied configuration that does not fit the schema, whatever validation the client asked for.

    Raises:
        ApiError: 500, as the API server answers; 400 for a configuration of another kind.
    """
    group_version, kind = config.get("apiVersion") or "", config.get("kind") or ""
    if (group_version, kind) != (resource.api_version, resource.kind):
        shown = group_version if "/" in group_version else f"/{group_version}"
        raise bad_request(f"invalid object type: {shown}, Kind={kind}")
    found = list(faults(config, node_of(resource)))
    if not found:
        return
    meta = config.get("metadata")
    meta = meta if isinstance(meta, dict) else {}
    where = f"{meta.get('namespace') or ''}/{meta.get('name') or ''}"
    version = resource.api_version if resource.group else f"/{resource.version}"
    said = f"failed to create typed patch object ({where}; {version}, Kind={resource.kind}): "
    raise ApiError(500, said + (found[0] if len(found) == 1 else "errors:\n" + "\n".join(f"  {one}" for one in found)))
