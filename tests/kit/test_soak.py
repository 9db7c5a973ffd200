"""`make soak` runs every test that has more to play than it plays each time."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
VARIABLE = "KLEPAAS_TEST_SOAK"


def test_make_soak_runs_every_test_with_a_soak() -> None:
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nsoak:")[2].partition("\n\n")[0]
    named = [ROOT / word for word in recipe.split() if word.startswith("tests/")]
    assert named
    assert [path for path in named if not path.exists()] == []
    missing = []
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if path == Path(__file__) or VARIABLE not in path.read_text(encoding="utf-8"):
            continue
        # What stands in a conftest is for the tests of its folder.
        asked = path.parent if path.name == "conftest.py" else path
        if not any(asked.is_relative_to(one) for one in named):
            missing.append(str(path.relative_to(ROOT)))
    assert missing == []
