"""The table's own modules stand beside the other measurements."""

import sys
from pathlib import Path

# At the end: a file there has the name of the Kubernetes client.
sys.path.append(str(Path(__file__).parents[2] / "bench"))
