"""The Kubernetes plugin: a client for any cluster, the tools that look into one, and a sandbox that stands in for one.

Other plugins use `klepaas_plugins.kubernetes.client` and nothing else of it.
"""
