"""Where a webhook may lead: by HTTPS anywhere public, without TLS only to this machine.

The name is resolved here and the connection goes to the address that was looked at, so that a name cannot mean one
machine to the check and another to the request. Where the environment names a proxy for it, the proxy resolves the
name: klepaas often cannot, so only an address is looked at. Redirects are never followed.
"""

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

import anyio
import anyio.to_thread

from klepaas.errors import BadRequest
from klepaas.outbound import proxy_for
from klepaas.resilience import NotSent

__all__ = ["Destination", "is_loopback_name", "objection_to", "resolve"]

_LIMIT_S = 5.0


@dataclass(frozen=True)
class Destination:
    """An address that was looked at.

    Attributes:
        url: The URL, with the machine's address instead of its name; as it was given where a proxy is on the way.
        host: The name, for the header and the certificate.
        host_header: The name and the port, as the header wants it.
        proxied: Whether a proxy is on the way.
    """

    url: str
    host: str
    host_header: str
    proxied: bool = False


def is_loopback_name(host: str) -> bool:
    """Whether a host is this machine by its form."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def objection_to(url: str) -> str | None:
    """What is wrong with a webhook's URL, without repeating it. None: nothing.

    Args:
        url: The URL, which may hold a secret.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "is no URL"
    if not host or parts.username is not None or parts.password is not None or parts.fragment:
        return "is no URL of a webhook: no user, no password, no fragment"
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback_name(host)):
        return None
    return "does not begin with https://"


async def resolve(url: str, *, allow_private: bool) -> Destination:
    """Find the machine that a URL names, if it may be asked.

    Args:
        url: A URL without objection.
        allow_private: Whether it may be in a private network. This machine itself may be named only as such.

    Raises:
        NotSent: Its name is not found.
        BadRequest: It is where no notification may go.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    name = f"[{host}]" if ":" in host else host
    header = f"{name}:{parts.port}" if parts.port is not None else name
    proxied = proxy_for(url) is not None
    if proxied and not _is_address(host):
        return Destination(url, host, header, proxied)
    try:
        with anyio.fail_after(_LIMIT_S):
            found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError) as exc:
        raise NotSent("The webhook's host name is not found") from exc
    address = ipaddress.ip_address(found[0][4][0])
    if not _may_be_asked(address, host, allow_private=allow_private):
        raise BadRequest(
            "The webhook is in a private network",
            next_step="Set KLEPAAS_NOTIFICATIONS_WEBHOOK_ALLOW_PRIVATE where that is meant",
        )
    shown = f"[{address}]" if address.version == 6 else str(address)
    rest = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    return Destination(f"{parts.scheme}://{shown}:{port}{rest}", host, header, proxied)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _may_be_asked(address: ipaddress.IPv4Address | ipaddress.IPv6Address, host: str, *, allow_private: bool) -> bool:
    plain = getattr(address, "ipv4_mapped", None) or address
    if plain.is_loopback:
        return is_loopback_name(host)
    # The address at which clouds hand out credentials is link-local.
    if plain.is_link_local or plain.is_multicast or plain.is_unspecified:
        return False
    return bool(plain.is_global or allow_private)
