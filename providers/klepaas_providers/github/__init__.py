"""GitHub through GitHub's own MCP server: what klepaas thinks of its tools, its failures and its credentials."""
