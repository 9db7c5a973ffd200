"""External providers: other MCP servers whose tools klepaas offers as its own, behind the same gate.

    declaration     what a plugin says of a server and of its tools
    server_file     what an operator says: the servers of an `mcp.json`
    connection      one session a server, kept up in the background; nothing waits for it but a call of its tools
    definitions     what a server says of its tools: cleaned, cut, and known by its hash
    trust           which definitions are trusted, on disk; what changed is closed until a person trusts it
    guarded         the tools as FastMCP and the gate see them
    externals       all of it together, for one klepaas

What is imported here is what a start without any provider pays for.
"""

from klepaas.external.declaration import (
    Credentials,
    ExternalProvider,
    HttpServer,
    Rules,
    StdioServer,
    Supplier,
    ToolRule,
)

__all__ = [
    "Credentials",
    "ExternalProvider",
    "HttpServer",
    "Rules",
    "StdioServer",
    "Supplier",
    "ToolRule",
]
