"""The tests of the comparison with public scanners import it from the benchmarks."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "bench"))
