"""Masking for plugins that show objects and messages of the cluster: the one of this plugin's own tools."""

from klepaas_plugins.kubernetes.masking import mask, mask_text
from klepaas_plugins.kubernetes.masking.comparing import is_hidden, owners_of_hidden
from klepaas_plugins.kubernetes.masking.messages import message_line

__all__ = ["is_hidden", "mask", "mask_text", "message_line", "owners_of_hidden"]
