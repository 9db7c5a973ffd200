"""The public way to Prometheus, and to other servers reached like it, for this plugin and every other one.

`PrometheusServers.of(host).get()` is the default server: `await server.instant("up")`, `await server.range(...)`.
`HttpApi` with `Access` is the way below, for servers with another API (Alertmanager): bounded, timed, through
`klepaas.resilience`. Nothing touches the network before the first request.
"""

from klepaas_plugins.prometheus.access import Access, checked_url
from klepaas_plugins.prometheus.client.choosing import Objects
from klepaas_plugins.prometheus.client.http_api import ApiAnswer, ApiRequest, HttpApi, policy_of
from klepaas_plugins.prometheus.client.json_stream import Document, Malformed, read_document, read_list
from klepaas_plugins.prometheus.client.models import Found, Remarks, Series, Window
from klepaas_plugins.prometheus.client.server import PrometheusServer
from klepaas_plugins.prometheus.client.servers import PrometheusServers
from klepaas_plugins.prometheus.errors import NotTheApi, QueryTooHeavy, judge

__all__ = [
    "Access",
    "ApiAnswer",
    "ApiRequest",
    "Document",
    "Found",
    "HttpApi",
    "Malformed",
    "NotTheApi",
    "Objects",
    "PrometheusServer",
    "PrometheusServers",
    "QueryTooHeavy",
    "Remarks",
    "Series",
    "Window",
    "checked_url",
    "judge",
    "policy_of",
    "read_document",
    "read_list",
]
