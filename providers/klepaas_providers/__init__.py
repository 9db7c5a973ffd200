"""External MCP servers (GitHub, Slack) that klepaas guards and passes on. None is built in yet."""
