"""Kubernetes objects and configuration texts without their secrets.

What is foreign goes through here before anything else is done with it: selected, compared, cut, or shown. `objects`
masks whole objects: built-in kinds by the table of paths in `fields`, others by names, pairs and forms. `values` judges
one value, `columns` the cells of a table, `shell` the words of a command line; `documents` and `lines` read what texts
of configuration hold. The rest of a text is read by `klepaas.output.redaction`, as every text is.
"""

from klepaas_plugins.kubernetes.masking.columns import mask_cells
from klepaas_plugins.kubernetes.masking.fields import is_built_in
from klepaas_plugins.kubernetes.masking.forms import is_harmless, masked
from klepaas_plugins.kubernetes.masking.objects import mask, mask_arguments, mask_each, mask_text, mask_value

__all__ = [
    "is_built_in",
    "is_harmless",
    "mask",
    "mask_arguments",
    "mask_cells",
    "mask_each",
    "mask_text",
    "mask_value",
    "masked",
]
