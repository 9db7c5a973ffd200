"""How klepaas speaks MCP where FastMCP and the SDK leave something open: discovery, and standard input and output."""
