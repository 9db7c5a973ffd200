"""Where an object lives in the API. The second lock on names: each one is checked again here and quoted.

A name of "." or ".." rewrites a URL, and then a delete of one object is one of its collection; see `klepaas.names`.
"""

from urllib.parse import quote

from klepaas import names
from klepaas.errors import BadRequest
from klepaas_plugins.kubernetes.client.models import Resource

__all__ = ["collection", "instance", "openapi", "place", "whole"]

_SUBRESOURCES = frozenset({"status", "scale", "log", "ephemeralcontainers", "resize", "exec"})


def whole(name: str | None) -> str:
    """A checked, quoted name as a path segment."""
    checked = name or ""
    names.OBJECT.check(checked, "name")
    return quote(checked, safe="")


def collection(resource: Resource, namespace: str | None) -> str:
    """The path of all objects of a kind.

    Args:
        resource: The kind.
        namespace: Their namespace. None: all namespaces. Ignored for a kind without namespaces.

    Raises:
        BadRequest: The namespace is not a valid name.
    """
    root = f"/apis/{quote(resource.group, safe='')}" if resource.group else "/api"
    inside = ""
    if resource.namespaced and namespace is not None:
        names.NAMESPACE.check(namespace, "namespace")
        inside = f"/namespaces/{quote(namespace, safe='')}"
    return f"{root}/{quote(resource.version, safe='')}{inside}/{quote(resource.plural, safe='')}"


def instance(resource: Resource, name: str, namespace: str | None, subresource: str | None = None) -> str:
    """The path of one object.

    Args:
        resource: Its kind.
        name: Its name.
        namespace: Its namespace. Ignored for a kind without namespaces.
        subresource: A part of it. None: the object itself.

    Raises:
        BadRequest: A name is not valid, or the kind needs a namespace and there is none.
    """
    if resource.namespaced and namespace is None:
        raise BadRequest(f"A {resource.title} lives in a namespace", next_step="Name the namespace")
    if subresource is not None and subresource not in _SUBRESOURCES:
        raise BadRequest(f"klepaas does not use a subresource of this name ({len(subresource)} characters)")
    end = f"/{subresource}" if subresource else ""
    return f"{collection(resource, namespace)}/{whole(name)}{end}"


def openapi(resource: Resource) -> str:
    """The path of the OpenAPI document that describes a kind."""
    root = f"apis/{quote(resource.group, safe='')}" if resource.group else "api"
    return f"/openapi/v3/{root}/{quote(resource.version, safe='')}"


def place(resource: Resource, namespace: str | None) -> str:
    """Where that is, in words."""
    if not resource.namespaced:
        return ""
    return " in all namespaces" if namespace is None else f" in namespace {namespace}"
