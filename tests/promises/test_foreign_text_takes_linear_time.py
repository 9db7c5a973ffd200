"""Every regular expression of the product takes linear time, whatever text it meets.

An expression that needs the square or the cube of a text's length stops the whole server for minutes with a text of a
few kilobytes, and anybody who can write a log line can send that text. Run with `-s` to see each expression's growth.
"""

import ast
import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from klepaas.output.masking import tokens
from klepaas.output.masking.token_table import DISTINCT, PLAIN
from klepaas_plugins.kubernetes import happenings, refusals
from klepaas_plugins.kubernetes.client.known_plugins import KNOWN_PLUGINS
from klepaas_plugins.kubernetes.risks import marks
from klepaas_plugins.prometheus import questions

from .expressions import Expression, Found, find_expressions, read_files, source_files
from .pumping import Growth, Pump, pumps_of, worst_growth

pytestmark = pytest.mark.timeout(400)

# What a place makes at run time: samples, or none where the expression itself is the caller's own.
BUILT: Mapping[str, tuple[str, ...]] = {
    # The expressions of the table of tokens, compiled when their prefix is first met: one for each shape of a body.
    "klepaas.output.masking.tokens:_search": tuple(
        {
            (token in DISTINCT, re.sub(r"[0-9]+", "0", token.body)): tokens._search(token).expression.pattern
            for token in (*DISTINCT, *PLAIN)
        }.values()
    ),
    "klepaas.output.masking.tokens:_prefixes": (tokens._prefixes().pattern,),
    # Its callers hold what it makes, as constants of their modules.
    "klepaas.output.masking.sign_rules:behind": (),
    # A template of a path of the fake server, in the tests of plugins.
    "klepaas.testing.http_fake:_pattern_of": ("/api/(?P<name>[^/]+)/items/(?P<item>[^/]+)",),
    "klepaas_plugins.deployments.releases.membership:made_by_a_stateful_set": (r"data\-a-web\.b-[0-9]+",),
    "klepaas_plugins.kubernetes.happenings:_is_about": (rf"web\-1(?:{happenings._SUFFIX})",),
    "klepaas_plugins.kubernetes.refusals:fits": tuple(row.pattern for row in refusals._ROWS),
    "klepaas_plugins.kubernetes.risks.marks:_matches": tuple(row.keys for row in marks._ROWS),
    "klepaas_plugins.prometheus.questions:fits": (
        *(f"web{questions._POD_END}", "(.*-)?web-a(-.*)?", "(.*/)?web", "10\\.0\\.0\\.1(:[0-9]+)?"),
    ),
    "klepaas_plugins.kubernetes.client.known_plugins:objection_to_words": tuple(
        {form for plugin in KNOWN_PLUGINS.values() for form in plugin.options.values() if form} | {"true|false"}
    ),
    # The sandbox is an API server of one's own, on loopback: faults are written by tests, rules and patterns of a
    # schema by the person who tries their own resource definition on it.
    "klepaas_plugins.kubernetes.sandbox.faults:strikes": (),
    "klepaas_plugins.kubernetes.sandbox.cel:lambda": (),
    "klepaas_plugins.kubernetes.sandbox.structural:_matches": (),
}
# What is used elsewhere than in our own source, and how.
OTHER_WAYS = {
    "klepaas_plugins.kubernetes.yaml_text._Loader.yaml_implicit_resolvers": frozenset({"match"}),
    "klepaas_plugins.kubernetes.yaml_text.module()": frozenset({"match"}),
}
# What meets only text that the same person wrote and that is short: with the longest text and the reason.
SHORT: Mapping[str, tuple[int, str]] = {
    "klepaas_plugins.kubernetes.risks.marks._matches()": (317, "keys of labels and annotations, longer ones not read"),
    "klepaas.commands.parser._in_words()": (2_000, "a message of argparse about the user's own command line"),
}


@functools.cache
def _found() -> Found:
    return find_expressions(BUILT)


def _ways(expression: Expression) -> frozenset[str]:
    return next((ways for where, ways in OTHER_WAYS.items() if expression.where.startswith(where)), expression.ways)


def _run(pattern: re.Pattern[Any], way: str, *, is_bytes: bool = False) -> Callable[[str], object]:
    """The expression as it is used: a search for all matches goes on to the end of the text."""

    def run(text: str) -> object:
        given: Any = text.encode(errors="replace") if is_bytes else text
        if way in ("sub", "subn"):
            return pattern.sub(lambda match: match.group()[:0], given)
        return list(pattern.finditer(given)) if way == "finditer" else getattr(pattern, way)(given)

    return run


def _growth(expression: Expression, way: str) -> Growth:
    pattern = expression.compiled()
    run = _run(pattern, way, is_bytes=expression.is_bytes)
    short = next((most for where, (most, _) in SHORT.items() if expression.where.startswith(where)), None)
    if short is not None:
        return worst_growth(lambda text: run(text[:short]), pumps_of(pattern))
    return worst_growth(run, pumps_of(pattern))


def test_the_walk_reaches_every_expression_of_the_product() -> None:
    found = _found()
    assert found.unread == [], "make it a constant of the module, or give a sample of it in BUILT"
    assert found.aliases == [], "import re as re, so that this walk finds its uses"
    for path in source_files() - read_files():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert "re" not in imported, f"{path} cannot be imported, so its expressions cannot be tried"
    in_source = sum(len(re.findall(r"\bre\.compile\(", path.read_text(encoding="utf-8"))) for path in source_files())
    assert len({(one.where, one.pattern) for one in found.expressions}) >= in_source


def test_every_expression_takes_linear_time_as_it_is_used() -> None:
    done: dict[tuple[str, int, str], Growth] = {}
    rows: list[tuple[Growth, str, str]] = []
    for expression in _found().expressions:
        for way in _ways(expression):
            key = (expression.pattern, expression.flags, way)
            if key not in done:
                done[key] = _growth(expression, way)
                rows.append((done[key], expression.where, way))
    print()
    for growth, where, way in sorted(rows, key=lambda row: -row[0].cost_ns):
        pump = str(growth.pump).encode("ascii", "backslashreplace").decode()[:100]
        print(f"n^{growth.power:.2f} {growth.cost_ns:8.1f} ns/char  {way:<10} {where}  {pump}")
    slow = [
        f"{where}.{way}: n^{growth.power:.2f} at {growth.pump}" for growth, where, way in rows if not growth.is_linear
    ]
    assert slow == []


@pytest.mark.parametrize(
    ("pattern", "way"),
    [
        (r"(a+)+", "fullmatch"),
        (r"\s*(.*?)\s*", "fullmatch"),
        (r"\{\{[-\s]*[$A-Za-z0-9_.\s]+[-\s]*\}\}", "fullmatch"),
        (r"[a-z]+@", "search"),
        (r"\d+[ydhms]", "finditer"),
        (r"(?:x|xx|y)*z", "fullmatch"),
        (r"\[[^\]]*\]=", "sub"),
        (r"key=.*;.*!", "search"),
        (r"(?:[A-Za-z0-9_-]+\.)*[A-Za-z0-9_-]*\.?[A-Za-z0-9_-]*!", "match"),
        (r"(?=.*[0-9])a", "search"),
        (r"-----BEGIN[\s\S]*?-----END", "finditer"),
    ],
)
def test_the_pumps_find_an_expression_that_is_not_linear(pattern: str, way: str) -> None:
    compiled = re.compile(pattern)
    assert not worst_growth(_run(compiled, way), pumps_of(compiled)).is_linear


@pytest.mark.parametrize(
    ("pattern", "way"),
    [
        (r"(?>a+)+", "fullmatch"),
        (r"\s*+(\S*+)\s*+", "fullmatch"),
        (r"(?<![a-z])[a-z]++@", "search"),
        (r"(?<!\d)\d+[ydhms]", "finditer"),
        (r"[a-z]{1,64}@", "search"),
        (r"-----BEGIN[\s\S]*?(?:-----END|\Z)", "finditer"),
    ],
)
def test_the_pumps_leave_a_linear_expression_alone(pattern: str, way: str) -> None:
    compiled = re.compile(pattern)
    assert worst_growth(_run(compiled, way), pumps_of(compiled)).is_linear


def test_the_cubic_template_in_a_config_map_is_among_the_pumps() -> None:
    pumps = pumps_of(re.compile(r"\{\{[-\s]*[$A-Za-z0-9_.\s]+[-\s]*\}\}"))
    assert any(isinstance(pump, Pump) and pump.before == "{{" and pump.parts == (" ",) for pump in pumps)
