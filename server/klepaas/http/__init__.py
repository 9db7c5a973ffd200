"""klepaas over HTTP: `/mcp`, and beside it what watches the process: `/healthz`, `/readyz`, `/metrics`.

    connection (how many, how long a header may take)      klepaas.http.connections
      -> front (counted, named, headers, going away)       klepaas.http.front
        -> Host and Origin guard of FastMCP -> body limit  klepaas.http.application
          -> /mcp -> klepaas.calls -> klepaas.gate

It listens on loopback only (`klepaas.app.loopback_address`), allows no other origin, and knows no tool.
"""
