"""Which proxy a request goes through: HTTPS_PROXY, HTTP_PROXY and NO_PROXY, as Go's programs (kubectl) read them.

- Upper case counts before lower case. HTTPS_PROXY is for https addresses, HTTP_PROXY for http.
- Loopback (`localhost`, 127.0.0.0/8, ::1) is never reached through a proxy.
- NO_PROXY is a list with commas: `*`; an address or a network (10.0.0.0/8); a domain, which holds its subdomains too;
  `.domain` or `*.domain`, which hold only these. All but networks may end in `:port`. Names are not resolved.
- An address without a scheme is that of an http proxy. SOCKS proxies cannot be used.

Python's own reading (`urllib.request.getproxies`) knows no networks, which is how a cluster's addresses are written.

Source: golang.org/x/net/http/httpproxy, `FromEnvironment`, `Config.ProxyFunc`.
"""

import base64
import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from klepaas.errors import BadRequest
from klepaas.output.redaction import vault

__all__ = ["Proxy", "UnusableProxy", "proxy_at", "proxy_for"]

_NO_ADDRESS = "is not the address of a proxy: http(s)://host:port"
_PORTS = {"http": 80, "https": 443}
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class UnusableProxy(BadRequest):
    """A proxy that cannot be used; the message names where it is set and quotes no address."""

    def __init__(self, source: str, why: str) -> None:
        super().__init__(f"{source} {why}", next_step=f"Correct {source}, or add the server to NO_PROXY")


@dataclass(frozen=True)
class Proxy:
    """A proxy that is to be used.

    Attributes:
        url: Its address, with its credentials.
        place: Its host and port, as they may be shown.
        source: Where it is set: "HTTPS_PROXY".
    """

    url: str = field(repr=False)
    place: str
    source: str

    def __str__(self) -> str:
        return f"proxy {self.place} (from {self.source})"


def proxy_for(url: str, environment: Mapping[str, str] | None = None) -> Proxy | None:
    """The proxy that the environment names for an address. None: it is reached directly.

    Args:
        url: The address, http or https.
        environment: The variables. None: those of this process.

    Raises:
        UnusableProxy: One is named that cannot be used.
    """
    env = os.environ if environment is None else environment
    parts = urlsplit(url)
    source, value = _first(env, f"{parts.scheme.upper()}_PROXY") if parts.scheme in _PORTS else ("", "")
    # A server's request header `Proxy:` becomes HTTP_PROXY in a CGI program.
    if not value or (parts.scheme == "http" and env.get("REQUEST_METHOD")):
        return None
    host, port = _ascii((parts.hostname or "").lower().rstrip(".")), parts.port or _PORTS[parts.scheme]
    if _is_loopback(host) or _is_excluded(host, port, _first(env, "NO_PROXY")[1]):
        return None
    return proxy_at(value, source)


def proxy_at(value: str, source: str) -> Proxy:
    """A proxy by its address; its credentials are kept out of everything that is shown.

    Args:
        value: The address.
        source: Where it is set.

    Raises:
        UnusableProxy: It cannot be used.
    """
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        host, port = parts.hostname or "", parts.port
        _keep_secret(parts)
    except ValueError:
        raise UnusableProxy(source, _NO_ADDRESS) from None
    if parts.scheme.startswith("socks"):
        raise UnusableProxy(source, "names a SOCKS proxy, which klepaas cannot use, only http:// and https://")
    if parts.scheme not in _PORTS or not host or port == 0:
        raise UnusableProxy(source, _NO_ADDRESS)
    name = f"[{host}]" if ":" in host else host
    shown = f"{name}:{port or _PORTS[parts.scheme]}"
    return Proxy(f"{parts.scheme}://{parts.netloc}", shown, source)


def _keep_secret(parts: SplitResult) -> None:
    if parts.password:
        user, password = unquote(parts.username or ""), unquote(parts.password)
        for secret in (password, parts.password, base64.b64encode(f"{user}:{password}".encode()).decode()):
            vault.keep(secret)


def _first(env: Mapping[str, str], name: str) -> tuple[str, str]:
    for variable in (name, name.lower()):
        if env.get(variable):
            return variable, env[variable].strip()
    return name, ""


def _is_loopback(host: str) -> bool:
    address = _address(host)
    if address is None:
        return host == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _is_excluded(host: str, port: int, no_proxy: str) -> bool:
    address = _address(host)
    return any(_matches(rule, host, address, port) for rule in map(str.strip, no_proxy.lower().split(",")) if rule)


def _matches(rule: str, host: str, address: _Address | None, port: int) -> bool:
    if rule == "*":
        return True
    if "/" in rule:
        return address is not None and _is_in(address, rule)
    name, wanted_port = _split(rule)
    if not name or (wanted_port and wanted_port != str(port)):
        return False
    excluded = _address(name)
    if excluded is not None:
        return address is not None and _plain(excluded) == _plain(address)
    if name.startswith("*."):
        name = name[1:]
    if name.startswith("."):
        return host.endswith(_ascii(name))
    return host == _ascii(name) or host.endswith(f".{_ascii(name)}")


def _split(rule: str) -> tuple[str, str]:
    """A name and its port, which may be empty; an IPv6 address holds colons of its own."""
    if rule.startswith("["):
        name, _, rest = rule[1:].partition("]")
        return name, rest.removeprefix(":")
    name, colon, port = rule.rpartition(":")
    return (name, port) if colon and ":" not in name else (rule, "")


def _address(text: str) -> _Address | None:
    try:
        return ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None


def _is_in(address: _Address, network: str) -> bool:
    try:
        return _plain(address) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _plain(address: _Address) -> _Address:
    return getattr(address, "ipv4_mapped", None) or address


def _ascii(name: str) -> str:
    """A domain as it stands in an address: letters beyond ASCII in their encoded form."""
    try:
        return name if name.isascii() else name.encode("idna").decode("ascii")
    except UnicodeError:
        return name
