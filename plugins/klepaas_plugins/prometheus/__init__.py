"""What Prometheus, or a server with its API, knows: queries, metrics, alerts, rules and targets. It changes nothing."""
