"""External MCP servers, whoever named them: how they are, how their tools are found, and what is trusted of them."""
