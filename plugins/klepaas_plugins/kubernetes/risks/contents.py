"""What of an object is somebody's wish, without what the server keeps."""

from typing import Any

from klepaas_plugins.kubernetes.risks.model import Object, child

__all__ = ["content_of"]

_KEPT_BY_SERVER = frozenset(
    {"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink", "deletionTimestamp"}
)


def content_of(obj: Object | None) -> dict[str, Any]:
    """An object without status and without the metadata that the server keeps.

    Args:
        obj: The object. None: an empty one.
    """
    kept = {key: value for key, value in child(obj, "metadata").items() if key not in _KEPT_BY_SERVER}
    return {**{key: value for key, value in (obj or {}).items() if key != "status"}, "metadata": kept}
