"""Fails when the wheel holds something that it should not, or lacks something that it should."""

import sys
import zipfile

PACKAGES = {"klepaas", "klepaas_plugins", "klepaas_providers", "klepaas_agents"}


def main(path: str) -> int:
    """Compare the wheel's content with what belongs in it.

    Args:
        path: The wheel.

    Returns:
        The exit code.
    """
    names = zipfile.ZipFile(path).namelist()
    tops = {name.split("/")[0] for name in names}
    strange = {top for top in tops - PACKAGES if not top.endswith(".dist-info")}
    unwanted = [name for name in names if "test" in name.split("/")[-1].split(".")[0].split("_") or ".pyc" in name]
    missing = [f"{package}/py.typed" for package in PACKAGES if f"{package}/py.typed" not in names]
    for problem in (*sorted(strange), *unwanted, *missing):
        sys.stderr.write(f"wheel: {problem}\n")
    return 1 if strange or unwanted or missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
