"""Kubernetes objects and configuration texts without their secrets.

`objects` masks whole objects and lists, `text` the texts that objects carry and the words of command lines. What is
foreign goes through here before anything else is done with it: selected, compared, cut, or shown.
"""

from klepaas_plugins.kubernetes.masking.objects import mask
from klepaas_plugins.kubernetes.masking.text import is_harmless, is_secret, mask_arguments, mask_text, masked

__all__ = ["is_harmless", "is_secret", "mask", "mask_arguments", "mask_text", "masked"]
