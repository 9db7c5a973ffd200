"""Good words are written by one module, from what was looked at."""

import ast
import json
import re
from collections.abc import Iterator
from enum import Enum
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klepaas.output.verdict import Claim, Language, Verdict, nothing_changed, term

ROOT = Path(__file__).parents[2]
SOURCES = ("server", "plugins", "providers", "agents")
MODULE = "server/klepaas/output/verdict.py"
WORDS = re.compile(
    r"\b(healthy|verified|unchanged)\b|\bnothing (was|is|has been|were) changed\b|\bchanged nothing\b"
    r"|정상|검증|변경되지 않|바뀌지 않|아무것도 바뀐",
    re.IGNORECASE,
)
# A template names the word by a placeholder, which this module's words fill.
PLACEHOLDER = re.compile(r"\{(healthy|verified)\}")
# Path prefixes that may hold the words, each with its reason. It only shrinks.
ALLOWED = {
    "plugins/klepaas_plugins/kubernetes/sandbox/": "speaks an API server's words, which tests hold to recordings",
    "server/klepaas/output/masking/name_words.py": "lists words that people's names of fields hold",
}
LANGUAGES: tuple[Language, ...] = ("en", "ko")
TEXTS = (".md", ".html", ".txt", ".jinja", ".j2", ".in")


def _strings(path: Path) -> Iterator[tuple[int, str]]:
    """The texts of a source file besides its docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prose = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else ():
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                prose.add(id(statement.value))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.lineno, node.value


def _texts() -> Iterator[tuple[str, int, str]]:
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*")):
            name = path.relative_to(ROOT).as_posix()
            if name == MODULE or "__pycache__" in name or not path.is_file():
                continue
            if path.suffix == ".py":
                yield from ((name, line, text) for line, text in _strings(path))
            elif path.suffix in TEXTS:
                lines = path.read_text(encoding="utf-8").split("\n")
                yield from ((name, number, text) for number, text in enumerate(lines, 1))


def test_the_words_stand_in_no_other_text_of_the_product_in_any_language_that_it_speaks() -> None:
    found = [
        f"{name}:{line}: {text[:100]!r}"
        for name, line, text in _texts()
        if WORDS.search(PLACEHOLDER.sub("", text)) and not name.startswith(tuple(ALLOWED))
    ]
    assert found == [], "render them from klepaas.output.verdict"


def test_the_list_of_exceptions_holds_no_more_than_what_needs_it() -> None:
    names = {name for name, _, text in _texts() if WORDS.search(text)}
    assert [prefix for prefix in ALLOWED if not any(name.startswith(prefix) for name in names)] == []


@settings(max_examples=20, deadline=None)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("claim", Claim)
@given(
    observed=st.lists(st.sampled_from(["", " ", "\t", "-", "\u200b"])),
    unchecked=st.lists(st.text()),
    at=st.floats(0, 4e9),
)
def test_what_was_not_looked_at_cannot_be_rendered_as_good(
    claim: Claim, language: Language, observed: list[str], unchecked: list[str], at: float
) -> None:
    verdict = Verdict(observed=tuple(observed), not_checked=tuple(unchecked), at=at)
    assert not WORDS.search(verdict.render(claim, language))
    assert not WORDS.search(verdict.count_unhealthy(0) + verdict.count_unhealthy(3))


@settings(max_examples=20, deadline=None)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("claim", Claim)
@given(observed=st.lists(st.text(alphabet="abc", min_size=1), min_size=1))
def test_what_was_looked_at_is_named_with_the_time_and_with_what_was_not(
    claim: Claim, language: Language, observed: list[str]
) -> None:
    verdict = Verdict(observed=tuple(observed), not_checked=("traffic",), at=0.0)
    assert verdict.render(claim, language) == term(claim, language)
    assert all(one in verdict.basis(language) for one in (*observed, "traffic", "00:00:00 UTC"))


def test_a_claim_that_nothing_was_changed_says_how_that_is_known() -> None:
    assert nothing_changed("the server refused it") == "nothing was changed (the server refused it)"
    assert nothing_changed("this is a plan", yet=True) == "nothing was changed yet (this is a plan)"


@pytest.mark.parametrize("observed", [(), ("",), ("  ", "\t"), ("-",), ("\u200b",)])
def test_a_claim_that_nothing_was_changed_rests_on_something_or_is_not_made(observed: tuple[str, ...]) -> None:
    assert not WORDS.search(nothing_changed(*observed))


@pytest.mark.parametrize("count", [0, 1, 7])
def test_nothing_looked_at_counts_neither_as_good_nor_as_ill(count: int) -> None:
    assert Verdict(observed=()).count_unhealthy(count) == "nothing there to judge"


def test_ill_ones_are_counted_among_what_was_looked_at() -> None:
    seen = Verdict(observed=("status of 3 workloads",))
    assert [seen.count_unhealthy(count) for count in (0, 2)] == ["all healthy", "2 not healthy"]


def test_a_verdict_is_also_data_with_what_was_looked_at_what_was_not_and_when() -> None:
    verdict = Verdict(observed=("deployment web, 2 pods",), not_checked=("traffic",), at=0.0)
    assert verdict.facts() == {
        "observed": ["deployment web, 2 pods"],
        "not_checked": ["traffic"],
        "at": "1970-01-01T00:00:00Z",
    }


# Where a word may stand without a Verdict, each with its reason. It only shrinks.
NO_CLAIM = {
    "plugins/klepaas_plugins/deployments/carrying.py": "a release that could not be marked, and none to go back to",
    "plugins/klepaas_plugins/deployments/executor/answering.py": "the same, of what the loop ends",
    "plugins/klepaas_plugins/deployments/overview.py": "the title of what is not so",
    "plugins/klepaas_plugins/deployments/prompt_wordings.py": "what a prompt asks for",
    "plugins/klepaas_plugins/deployments/prompts.py": "what a prompt asks for",
    "plugins/klepaas_plugins/deployments/releases/choosing.py": "which releases can be gone back to",
    "plugins/klepaas_plugins/kubernetes/demo.py": "what the demonstration asks, and how it colours answers",
}


def _without_a_verdict(path: Path) -> bool:
    """Whether a source file takes a word by `term`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "term":
            return True
    return False


def test_a_word_without_a_verdict_stands_only_where_nothing_is_claimed() -> None:
    files = [path for folder in SOURCES for path in (ROOT / folder).rglob("*.py")]
    found = {path.relative_to(ROOT).as_posix() for path in files if _without_a_verdict(path)}
    assert found - {MODULE} == set(NO_CLAIM)


def _enumerations() -> Iterator[type[Enum]]:
    """Every enumeration of the product."""
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "Enum" in path.read_text(encoding="utf-8") and "sandbox" not in path.parts:
                name = ".".join(path.relative_to(ROOT / folder).with_suffix("").parts)
                found = vars(import_module(name.removesuffix(".__init__"))).values()
                yield from (one for one in found if isinstance(one, type) and issubclass(one, Enum))


def test_no_enumeration_holds_a_word_so_that_no_state_is_good_without_a_verdict() -> None:
    members = {member for one in _enumerations() for member in one}
    assert Claim.HEALTHY in members
    assert {str(member) for member in members if WORDS.search(str(member.value))} == set()


def test_no_description_of_a_tool_or_resource_promises_a_good_word() -> None:
    """Those of prompts say what they ask for; the snapshots are held to the real catalogue."""
    found = []
    for path in sorted((ROOT / "tests" / "snapshots").glob("*.json")):
        listed = json.loads(path.read_text(encoding="utf-8"))
        listed.pop("prompts", None)
        found += [line.strip() for line in json.dumps(listed, indent=0).split("\n") if WORDS.search(line)]
    assert found == []
