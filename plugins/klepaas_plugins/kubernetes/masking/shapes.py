"""What the shape of data says: labels, a list of texts, a part that only leads to a secret, a part that is one."""

import re
from collections.abc import Mapping
from typing import Any

from klepaas.output.masking.field_names import ends_secret, is_container, is_identity, is_reference
from klepaas.output.masking.values import is_said_elsewhere
from klepaas_plugins.kubernetes.masking.forms import masked

__all__ = ["has_fields", "hidden", "is_labels", "is_texts", "secret_generator"]

_LABEL = re.compile(r"[A-Za-z0-9._/-]{0,63}")


def hidden(value: Any, key: str = "", *, credentials: bool = False) -> Any:
    """A value under a secret's name: masked, except where it only says where the secret is.

    Args:
        value: The value.
        key: The field that it stands in. Empty: the one with the secret's name.
        credentials: Whether it is a whole login, so that the user's name is none.
    """
    if isinstance(value, Mapping):
        return {name: hidden(inner, str(name), credentials=credentials) for name, inner in value.items()}
    if isinstance(value, list):
        return [hidden(item, key, credentials=credentials) for item in value]
    if value is None or isinstance(value, bool) or value == "":
        return value
    if is_reference(key) or (credentials and is_identity(key)):
        return value
    text = str(value)
    return value if is_said_elsewhere(text) else masked(text)


def has_fields(key: str) -> bool:
    """Whether what is under a name such as `auth` has fields of its own, rather than names of secrets."""
    return is_container(key) or not ends_secret(key)


def secret_generator(item: Any) -> Any:
    """A generator of a Secret in a kustomization: its literals are its values."""
    if not isinstance(item, Mapping) or not isinstance(item.get("literals"), list):
        return item
    literals = [str(literal).partition("=") for literal in item["literals"]]
    return {**item, "literals": [f"{key}={masked(value)}" for key, _, value in literals]}


def is_texts(value: Any) -> bool:
    """Whether a value is a text, or a list of texts."""
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))


def is_labels(value: Any) -> bool:
    """Whether data has the form of labels, or of what selects by them."""
    if isinstance(value, Mapping):
        return all(is_labels(inner) for inner in value.values())
    if isinstance(value, list):
        return all(is_labels(item) for item in value)
    return not isinstance(value, str) or _LABEL.fullmatch(value) is not None
