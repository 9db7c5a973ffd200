"""What the surroundings say: whether a provider is configured at all, and how a program gets to the internet from here.

Most people use no provider, and their start pays for none: nothing is imported before something is said of one.
"""

import os

from klepaas.configuration import toml_file

__all__ = ["is_given", "way_out"]

# A server that runs here needs them where klepaas does; they are no credentials of a provider.
_WAY_OUT = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE")


def is_given(table: str) -> bool:
    """Whether the environment or the settings file says anything of a provider.

    Args:
        table: Its table in the file; its variables begin with `KLEPAAS_` and the same in upper case.
    """
    prefix = f"KLEPAAS_{table.upper()}_"
    return any(name.startswith(prefix) for name in os.environ) or table in toml_file.read().values


def way_out() -> dict[str, str]:
    """The variables by which programs find the proxy and the certificates of this network."""
    return {name: os.environ[name] for name in _WAY_OUT if os.environ.get(name)}
