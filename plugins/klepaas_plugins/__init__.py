"""The built-in plugins, one folder each, every one with the same files: plugin (hooks only), tools, client, errors."""
