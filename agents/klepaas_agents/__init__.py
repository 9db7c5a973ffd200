"""What carries a deployment out: `cluster` brings an image to any Kubernetes cluster."""
