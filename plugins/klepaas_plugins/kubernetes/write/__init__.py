"""Changes of Kubernetes objects: who owns which field, what a change would do, and the one way of sending it."""
