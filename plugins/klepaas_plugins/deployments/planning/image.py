"""Which container of a workload an image and its settings are for, and what it runs now. Pure.

Source: Kubernetes, "Well-Known Labels, Annotations and Taints", kubectl.kubernetes.io/default-container.
"""

from collections.abc import Sequence

from klepaas.errors import BadRequest
from klepaas_plugins.deployments.naming import container_of
from klepaas_plugins.deployments.objects import Object, at, name_of

__all__ = ["choose_container", "repository", "running_image"]

_DEFAULT = "kubectl.kubernetes.io/default-container"


def choose_container(app_name: str, image: str | None, live: Object) -> str:
    """The container that a deployment is for.

    The one that the pods' annotation names, else the only one, else the one with the application's name, else the one
    that runs another version of the same image.

    Args:
        app_name: The application.
        image: The image that it is to run. None: the one that it runs.
        live: The workload as it is.

    Raises:
        BadRequest: None of these says which.
    """
    containers = _containers(live)
    names = [str(item["name"]) for item in containers]
    annotated = (at(live, "spec", "template", "metadata", "annotations") or {}).get(_DEFAULT)
    same = [name for name, item in zip(names, containers, strict=True) if image and _is_same(item, image)]
    wishes = [annotated, *(names if len(names) == 1 else ()), app_name, name_of(live), container_of(app_name)]
    wishes += same if len(same) == 1 else ()
    found = next((name for name in wishes if name in names), None)
    if found is None:
        there = ", ".join(f"{item['name']} ({item.get('image')})" for item in containers)
        raise BadRequest(
            f"{name_of(live)} has several containers, and nothing says which one is meant: {there}",
            next_step=f"Name it in the annotation {_DEFAULT} of its pod template, or deploy manifests",
        )
    return str(found)


def running_image(live: Object, container: str) -> str:
    """The image that a container runs.

    Args:
        live: The workload as it is.
        container: The container's name.
    """
    return next(str(item.get("image") or "") for item in _containers(live) if item["name"] == container)


def repository(image: str) -> str:
    """An image's name without tag and digest."""
    name = image.partition("@")[0]
    head, _, tag = name.rpartition(":")
    return head if head and "/" not in tag else name


def _is_same(container: Object, image: str) -> bool:
    return repository(str(container.get("image") or "")) == repository(image)


def _containers(live: Object) -> Sequence[Object]:
    return at(live, "spec", "template", "spec", "containers") or ()
