"""Who is on duty, for klepaas; `plugin` holds the hooks."""
