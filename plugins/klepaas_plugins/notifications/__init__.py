"""Notifications that leave klepaas: to Slack, by e-mail, and to a webhook that checks a signature."""
