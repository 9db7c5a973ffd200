"""One row or more for each rule of the table."""

from .row import Row
from .rows_cluster import CLUSTER, NESTED
from .rows_network import MARKS, NETWORK
from .rows_pods import FIELDS, PODS
from .rows_rights import LIFECYCLE, RIGHTS

__all__ = ["ROWS", "Row"]

ROWS = [*FIELDS, *PODS, *RIGHTS, *LIFECYCLE, *NETWORK, *MARKS, *CLUSTER, *NESTED]
