"""The HTTP client of one upstream: the environment's proxy, our User-Agent, no redirect, and nothing from files.

The library is imported with the first client, never with a start.
"""

import ssl
from typing import TYPE_CHECKING

from klepaas.outbound.proxies import proxy_for
from klepaas.outbound.user_agent import USER_AGENT

if TYPE_CHECKING:
    import httpx

__all__ = ["open_client"]


def open_client(
    url: str, timeout: "httpx.Timeout", tls: ssl.SSLContext | None = None, *, direct: bool = False
) -> "httpx.AsyncClient":
    """A client of the server at an address; without a context of its own it blocks while it reads the authorities.

    Args:
        url: The address of the server: it decides which proxy is used.
        timeout: Its limits.
        tls: What its certificate is checked by. None: by the well-known authorities.
        direct: Whether it is reached directly whatever the environment says.

    Raises:
        UnusableProxy: The environment names a proxy that cannot be used.
    """
    import httpx

    proxy = None if direct else proxy_for(url)
    verify: ssl.SSLContext | bool = tls or (httpx.create_ssl_context() if url.startswith("https:") else False)
    return httpx.AsyncClient(
        verify=verify,
        proxy=httpx.Proxy(proxy.url) if proxy else None,
        headers={"User-Agent": USER_AGENT},
        timeout=timeout,
        trust_env=False,
        follow_redirects=False,
    )
