"""Masking for plugins that show objects and messages of the cluster: the one of this plugin's own tools."""

from klepaas_plugins.kubernetes.masking import mask
from klepaas_plugins.kubernetes.masking.messages import message_line

__all__ = ["mask", "message_line"]
