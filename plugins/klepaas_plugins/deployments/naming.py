"""What the objects of a new application are called, where Kubernetes has another rule than for its workload. Pure.

A Deployment's name is a DNS subdomain: up to 253 characters, with dots. A label's value has at most 63 characters, a
container's name is a DNS label, and so is a Service's.

Source: Kubernetes, "Object Names and IDs" and "Labels and Selectors".
"""

import hashlib

from klepaas import names
from klepaas.errors import BadRequest

__all__ = ["application_label", "can_name_a_service", "container_of", "service_name_error"]

_LABEL_CHARS = 63
_DIGEST_CHARS = 10


def application_label(app_name: str) -> str:
    """An application's name as a label holds it: itself, or where it is too long its beginning and a digest."""
    return app_name if len(app_name) <= _LABEL_CHARS else _shorten(app_name)


def container_of(app_name: str) -> str:
    """The name of a new application's container: its own, with dashes for dots, and shortened as a label is."""
    return application_label(app_name).replace(".", "-")


def can_name_a_service(app_name: str) -> bool:
    """Whether a Service may bear an application's name; a digit at its beginning is the cluster's to judge."""
    return names.CONTAINER.accepts(app_name)


def service_name_error(app_name: str) -> BadRequest:
    """Why a new application of this name gets no Service, and what to do instead."""
    return BadRequest(
        f"No Service can be named {app_name}: Kubernetes allows a workload dots and 253 characters, and a Service only "
        "lower-case letters, digits and '-', and 63",
        next_step="Leave port out, give manifests with a Service of another name, or choose an app_name without dots",
    )


def _shorten(app_name: str) -> str:
    digest = hashlib.sha256(app_name.encode("utf-8")).hexdigest()[:_DIGEST_CHARS]
    beginning = app_name[: _LABEL_CHARS - _DIGEST_CHARS - 1]
    return f"{beginning.rstrip('-._')}-{digest}"
