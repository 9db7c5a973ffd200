"""The tests of what verbs ask of an API server import the scenarios from the benchmark."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "bench"))
