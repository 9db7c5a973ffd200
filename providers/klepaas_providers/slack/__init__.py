"""Slack through an MCP server or its incoming webhook: what klepaas thinks of their tools, failures, credentials."""
