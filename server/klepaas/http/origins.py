"""Whose requests are answered: those that come by a name of this machine, and from no foreign web page.

A web page can have its browser send requests to this machine, by a name that its own DNS resolves to 127.0.0.1 too.
What gives it away are two headers that no page can forge, Host and Origin. They are read strictly: what is not exactly
the name of this machine, with or without a port, is foreign; a lenient reader of addresses takes `[::1]evil.example` or
`localhost:80@evil.example` for local.

Source: RFC 9110, 7.2 (Host); RFC 6454, 6.2 and 7.3 (Origin); MCP 2026-07-28, Streamable HTTP, "Security Warning".
"""

import re
from typing import NamedTuple

from starlette.types import Scope

__all__ = ["ALLOWED_HOSTS", "foreign_header"]

# The names of this machine alone. Whoever comes by another one came by somebody else's DNS.
ALLOWED_HOSTS = ("localhost", "127.0.0.1", "[::1]")
# Every address of 127.0.0.0/8 is this machine's, and no DNS gives an address another meaning.
_BYTE = rb"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_AUTHORITY = re.compile(rb"(?P<host>localhost|127(?:\.%s){3}|\[::1\])(?::(?P<port>[1-9][0-9]{0,4}))?" % _BYTE)
_SCHEME = b"http://"
_DEFAULT_PORT = 80
_PORT_MAX = 65535


class _Authority(NamedTuple):
    host: bytes
    port: int


def foreign_header(scope: Scope) -> str | None:
    """The header that a request does not belong here by: "Host" or "Origin". None: it belongs here.

    Args:
        scope: The request.
    """
    host = _authority(_values(scope, b"host"))
    if host is None:
        return "Host"
    origins = _values(scope, b"origin")
    if not origins:
        return None  # a program, not a browser
    page = [origin.lower().removeprefix(_SCHEME) for origin in origins if origin.lower().startswith(_SCHEME)]
    # klepaas has no pages, so that one of its own origin is no danger; programs name it to be let in anywhere.
    return None if len(page) == len(origins) and _authority(page) == host else "Origin"


def _values(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key.lower() == name]


def _authority(values: list[bytes]) -> _Authority | None:
    """The one value as a name of this machine and a port. None: there are several values, or it is no such name."""
    found = _AUTHORITY.fullmatch(values[0].lower()) if len(values) == 1 else None
    if found is None:
        return None
    port = int(found["port"] or _DEFAULT_PORT)
    return _Authority(found["host"], port) if port <= _PORT_MAX else None
