"""The agent that carries a deployment of an image out on any Kubernetes cluster."""
