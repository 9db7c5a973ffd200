"""docs/tools.md says what the tools are."""

import os
import subprocess
import sys
from pathlib import Path

from klepaas.testing import scale_timeout

ROOT = Path(__file__).parents[2]


def test_the_page_of_tools_is_the_one_that_their_declarations_give() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KLEPAAS_")}
    written = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "tools_table.py")],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        timeout=scale_timeout(50),
    )
    page = (ROOT / "docs" / "tools.md").read_text(encoding="utf-8")
    assert page == written.stdout, "run: python docs/tools_table.py > docs/tools.md"
