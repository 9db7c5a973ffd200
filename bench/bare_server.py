"""The least that a FastMCP server can do for "list the pods" and "show a pod": two tools, one httpx client, no gate.

klepaas is measured against it. It checks nothing, redacts nothing and bounds nothing.
"""

import os
import ssl
import sys
from typing import Any

import httpx
import yaml
from fastmcp import FastMCP

server: FastMCP[Any] = FastMCP("bare")
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def client() -> httpx.AsyncClient:
    """A client of the kubeconfig's only cluster."""
    with open(os.environ["KUBECONFIG"]) as file:
        config = yaml.safe_load(file)
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    verify: ssl.SSLContext | bool = False
    if "client-certificate-data" in user:
        verify = _tls(cluster, user)
    return httpx.AsyncClient(base_url=cluster["server"], verify=verify, trust_env=False)


def _tls(cluster: dict[str, str], user: dict[str, str]) -> ssl.SSLContext:
    import base64
    import tempfile

    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.NamedTemporaryFile() as certificate, tempfile.NamedTemporaryFile() as key:
        certificate.write(base64.b64decode(user["client-certificate-data"]))
        key.write(base64.b64decode(user["client-key-data"]))
        certificate.flush()
        key.flush()
        context.load_cert_chain(certificate.name, key.name)
    return context


api = client()


@server.tool(output_schema=None)
async def list_pods(namespace: str | None = None) -> str:
    """List pods."""
    path = f"/api/v1/namespaces/{namespace}/pods" if namespace else "/api/v1/pods"
    include = "None" if namespace else "Metadata"
    response = await api.get(path, params={"includeObject": include}, headers={"Accept": TABLE})
    table = response.json()
    shown = [at for at, column in enumerate(table["columnDefinitions"]) if column["priority"] == 0]
    lines = ["\t".join(table["columnDefinitions"][at]["name"].upper() for at in shown)]
    for row in table["rows"]:
        place = [] if namespace else [row["object"]["metadata"]["namespace"]]
        lines.append("\t".join([*place, *(str(row["cells"][at]) for at in shown)]))
    return "\n".join(lines)


@server.tool(output_schema=None)
async def get_pod(name: str, namespace: str) -> str:
    """Show a pod."""
    response = await api.get(f"/api/v1/namespaces/{namespace}/pods/{name}")
    return yaml.dump(response.json(), Dumper=yaml.CSafeDumper, sort_keys=False)


if __name__ == "__main__":
    if "--http" in sys.argv:
        server._mcp_server.get_tool_input_schema = lambda _name: None
        server.run(transport="http", host="127.0.0.1", port=int(sys.argv[-1]), show_banner=False)
    else:
        server.run(show_banner=False)
