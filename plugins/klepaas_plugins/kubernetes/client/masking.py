"""Masking for plugins that show objects of the cluster: the one of this plugin's own tools."""

from klepaas_plugins.kubernetes.masking import mask

__all__ = ["mask"]
