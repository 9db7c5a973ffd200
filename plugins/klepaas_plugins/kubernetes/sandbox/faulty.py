"""The words of the API server for what is wrong with a field, and the forms names have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .status import Cause

LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = rf"{LABEL}(\.{LABEL})*"
SUBDOMAIN_SAYS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    f"and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{SUBDOMAIN}')"
)
LABEL_SAYS = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    f"with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{LABEL}')"
)
DNS_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
DNS_1035_SAYS = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    f"'{DNS_1035}')"
)

Causes = Iterator[Cause]


def invalid_value(field: str, value: Any, says: str) -> Cause:
    """A value that may not be."""
    shown = json.dumps(value, separators=(",", ":"), sort_keys=True)
    return Cause("FieldValueInvalid", f"Invalid value: {shown}: {says}", field)


def required(field: str, says: str = "") -> Cause:
    """A field that is missing."""
    return Cause("FieldValueRequired", "Required value" + (f": {says}" if says else ""), field)


def forbidden(field: str, says: str) -> Cause:
    """A field that may not be given, or changed."""
    return Cause("FieldValueForbidden", f"Forbidden: {says}", field)


def port_faults(field: str, port: Any) -> Causes:
    """What is wrong with the number of a port."""
    if not isinstance(port, int) or not 1 <= port <= 65535:
        yield invalid_value(field, port, "must be between 1 and 65535, inclusive")
