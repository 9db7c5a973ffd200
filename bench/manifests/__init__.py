"""Public sets of manifests, applied as people apply them: see `__main__`."""
