"""What every outgoing connection has in common: the proxy, the User-Agent, and what is wrong with a certificate.

Each client of an upstream (the cluster, Prometheus, Alertmanager, webhooks, GitHub, Slack, other MCP servers) takes
these from here, so that one setting of the environment means the same for all of them. It opens no connection itself.
"""

from klepaas.outbound.certificates import CertificateProblem, certificate_problem
from klepaas.outbound.clients import open_client
from klepaas.outbound.programs import (
    MissingProgram,
    UnsafeProgram,
    UnusableProgram,
    find_program,
    program_problem,
    search_folders,
)
from klepaas.outbound.proxies import Proxy, UnusableProxy, proxy_at, proxy_for
from klepaas.outbound.user_agent import USER_AGENT

__all__ = [
    "USER_AGENT",
    "CertificateProblem",
    "MissingProgram",
    "Proxy",
    "UnsafeProgram",
    "UnusableProgram",
    "UnusableProxy",
    "certificate_problem",
    "find_program",
    "open_client",
    "program_problem",
    "proxy_at",
    "proxy_for",
    "search_folders",
]
