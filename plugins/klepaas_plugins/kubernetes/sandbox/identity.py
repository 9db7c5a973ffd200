"""Whether a request's body names the object that its URL names."""

from __future__ import annotations

from . import status
from .model import Json
from .resources import BUILT_IN, Resource


def check_uid(resource: Resource, name: str, live: Json | None, uid: str) -> None:
    """Refuse a change that names another object than the one that is there.

    Raises:
        ApiError: 409 or 422.
    """
    if live is None:
        raise status.uid_mismatch(resource, name, uid)
    if uid != live["metadata"]["uid"]:
        cause = status.Cause("FieldValueInvalid", f'Invalid value: "{uid}": field is immutable', "metadata.uid")
        raise status.invalid(resource.kind, resource.group, name, [cause])


def check_kind(resource: Resource, obj: Json) -> None:
    """Refuse an object that says it is of another kind or version than its URL.

    Raises:
        ApiError: 400 or, for custom resources, 422.
    """
    version, kind = obj.get("apiVersion") or resource.api_version, obj.get("kind") or resource.kind
    if resource.custom and kind != resource.kind:
        name = (obj.get("metadata") or {}).get("name", "")
        says = f'Invalid value: "{kind}": must be {resource.kind}'
        raise status.invalid(kind, resource.group, name, [status.Cause("FieldValueInvalid", says, "kind")])
    if resource.custom and version != resource.api_version:
        raise status.bad_request(
            f"the API version in the data ({version}) does not match the expected API version ({resource.api_version})"
        )
    if version == resource.api_version and kind == resource.kind:
        return
    held = version.rpartition("/")[2]
    said = f'{kind} in version "{held}" cannot be handled as a {resource.kind}: '
    if version == resource.api_version and any(one.kind == kind for one in BUILT_IN):
        said += f"converting ({held}.{kind}) to ({resource.group or 'core'}.{resource.kind}): unknown conversion"
    else:
        said += (
            f'no kind "{kind}" is registered for version "{version}" in scheme '
            '"k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"'
        )
    raise status.bad_request(said)


def check_same_name(obj: Json, name: str) -> None:
    """Refuse an object that has another name than its URL, or none.

    Raises:
        ApiError: 400.
    """
    given = (obj.get("metadata") or {}).get("name")
    if not given:
        why = f"the name of the object ({name} based on URL) was undeterminable: name must be provided"
        raise status.bad_request(why)
    if given != name:
        raise status.bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")
