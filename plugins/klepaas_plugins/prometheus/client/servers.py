"""All servers that are configured, each with its own pipeline, opened on first use."""

from klepaas.errors import BadRequest, NotFound
from klepaas.host import Host
from klepaas.resilience import Upstreams
from klepaas_plugins.prometheus.client.http_api import HttpApi, policy_of
from klepaas_plugins.prometheus.client.server import PrometheusServer
from klepaas_plugins.prometheus.errors import judge
from klepaas_plugins.prometheus.settings import PrometheusSettings

__all__ = ["PrometheusServers"]


class PrometheusServers:
    """The servers of one klepaas.

    Args:
        settings: Which there are.
        upstreams: Where each has its pipeline, `prometheus/<name>`.
    """

    def __init__(self, settings: PrometheusSettings, upstreams: Upstreams) -> None:
        self.settings = settings
        policy = policy_of(settings.timeout_s)
        self._servers = {
            name: PrometheusServer(
                HttpApi(f"prometheus/{name}", access, upstreams.get(f"prometheus/{name}", policy, judge)),
                settings.timeout_s,
            )
            for name, access in settings.by_name.items()
        }

    @classmethod
    def of(cls, host: Host) -> "PrometheusServers":
        """The host's own."""
        return host.service(cls, lambda host: cls(PrometheusSettings(), Upstreams.of(host)))

    @property
    def names(self) -> list[str]:
        """What they are called, the default one first; empty where none is configured."""
        return list(self._servers)

    def get(self, name: str | None = None) -> PrometheusServer:
        """A server.

        Args:
            name: Its name. None: the default one, or the only one.

        Raises:
            NotFound: There is none of that name, or none at all.
            BadRequest: There are several, and none is the default.
        """
        known = ", ".join(self._servers)
        if name is None:
            if not self._servers:
                raise NotFound("No Prometheus is configured", next_step="Set KLEPAAS_PROMETHEUS_BASE_URL")
            if len(self._servers) > 1 and self.settings.base_url is None:
                raise BadRequest("There are several Prometheus servers", next_step=f"Name one as server: {known}")
            name = next(iter(self._servers))
        if name not in self._servers:
            raise NotFound(f"There is no Prometheus {name}", next_step=f"There are: {known}")
        return self._servers[name]

    async def aclose(self) -> None:
        """Close every connection."""
        for server in self._servers.values():
            await server.api.aclose()
