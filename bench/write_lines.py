"""Lines of what plans, compares, describes and writes changes: at an earlier commit, and now.

    python bench/write_lines.py COMMIT

Counted are lines of files, and of those the ones that hold code: without blank lines, comments and docstrings.
"""

import ast
import io
import subprocess
import sys
import tokenize
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLUGINS = "plugins/klepaas_plugins"
# A part by what its files are called, before and after its move.
PARTS = {
    "deployments, all": [f"{PLUGINS}/deployments/"],
    "deployments, plans and writes": [
        f"{PLUGINS}/deployments/planning/",
        *(
            f"{PLUGINS}/deployments/{name}.py"
            for name in ("applying", "changes", "changing", "deploying", "documents", "going_back", "ownership")
        ),
        f"{PLUGINS}/deployments/releases/restoring.py",
        f"{PLUGINS}/deployments/releases/planning.py",
        f"{PLUGINS}/deployments/releases/differing.py",
    ],
    "kubernetes, plans and writes": [
        f"{PLUGINS}/kubernetes/write/",
        *(f"{PLUGINS}/kubernetes/{name}.py" for name in ("applying", "deleting", "differences")),
    ],
    "kubernetes, effect by content": [f"{PLUGINS}/kubernetes/risks/"],
    "server, changes and plans": ["server/klepaas/plans/", "server/klepaas/changes.py"],
}
_NO_CODE = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


def main() -> None:
    """Print the table."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    commit = sys.argv[1]
    before, now = _files_at(commit), _files_now()
    print(f"{'':32}{'lines':>16}{'of code':>18}")
    for part, places in PARTS.items():
        old, new = (_count(text for name, text in files.items() if _is_in(name, places)) for files in (before, now))
        print(f"{part:32}{old[0]:>7} -> {new[0]:<7}{old[1]:>7} -> {new[1]:<7}")


def _is_in(name: str, places: list[str]) -> bool:
    return any(name == place or (place.endswith("/") and name.startswith(place)) for place in places)


def _git(*words: str) -> str:
    return subprocess.run(["git", "-C", str(ROOT), *words], check=True, capture_output=True, text=True).stdout


def _files_at(commit: str) -> dict[str, str]:
    names = _git("ls-tree", "-r", "--name-only", commit, "plugins", "server").splitlines()
    wanted = [name for name in names if name.endswith(".py") and any(_is_in(name, part) for part in PARTS.values())]
    return {name: _git("show", f"{commit}:{name}") for name in wanted}


def _files_now() -> dict[str, str]:
    files = [path for top in ("plugins", "server") for path in (ROOT / top).rglob("*.py")]
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in files}


def _count(texts: Iterable[str]) -> tuple[int, int]:
    lines = code = 0
    for text in texts:
        lines += len(text.splitlines())
        code += len(_code_lines(text))
    return lines, code


def _code_lines(text: str) -> set[int]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    found = {
        line for one in tokens if one.type not in _NO_CODE for line in range(one.start[0], one.end[0] + 1)
    }  # fmt: skip
    for node in ast.walk(ast.parse(text)):
        body = getattr(node, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            found -= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return found


if __name__ == "__main__":
    main()
