"""Redact first, then select, match and cut: a walk over the code, and every helper at every place of a cut."""

import ast
import inspect
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from klepaas.output import safe
from klepaas.output.budget import fit
from klepaas.output.quoting import quote
from klepaas.output.safe import SafeText, limit_length, one_line, redact_lines, safe_text, shorten

FOLDERS = ("server", "plugins", "providers", "agents")
ROOT = Path(__file__).parents[2]
# A bound with one of these in its name, or a number from here on, cuts a text; parts of lists are called otherwise.
SIZES = ("CHARS", "BYTES")
LEAST_NUMBER = 20
# What redacts and masks, and the stand-in of an API server, which shows nothing to anybody.
HELPERS = (
    "server/klepaas/output/",
    "server/klepaas/testing/",
    "plugins/klepaas_plugins/kubernetes/masking/",
    "plugins/klepaas_plugins/kubernetes/sandbox/",
)
# Cuts that halve no secret, each with the reason. The list only shrinks.
HARMLESS = {
    # Not shown: parsed as a date or number, or compared.
    "server/klepaas/clocks.py: date[:64]",
    "server/klepaas/resilience/rate_limit.py: value.strip()[:32]",
    "server/klepaas/resilience/rate_limit.py: value.strip()[:64]",
    "plugins/klepaas_plugins/alertmanager/client.py: str(moment)[:40]",
    "server/klepaas/commands/parser.py: word[:_MOST_SHOWN_CHARS]",
    "server/klepaas/external/schema_tool.py: name[:40]",
    "server/klepaas/gate/gate.py: name[:64]",
    "plugins/klepaas_plugins/prometheus/errors.py: text[:200]",
    "plugins/klepaas_plugins/kubernetes/wording.py: other[:_COMPARED_CHARS]",
    "plugins/klepaas_plugins/kubernetes/wording.py: name[:_COMPARED_CHARS]",
    "plugins/klepaas_plugins/deployments/evidence.py: self.message[-60:]",
    "plugins/klepaas_plugins/deployments/evidence.py: cause.message[-60:]",
    # Redacted before, or cut between words and redacted after.
    "plugins/klepaas_plugins/kubernetes/loglines.py: line[:_HEAD_CHARS]",
    "plugins/klepaas_plugins/kubernetes/logreading.py: line[:LINE_MAX_BYTES]",
    "server/klepaas/external/wording.py: line[:max_chars - 1]",
    # Names that passed their check, cut as Kubernetes cuts them.
    "plugins/klepaas_plugins/deployments/naming.py: app_name[:_LABEL_CHARS - _DIGEST_CHARS - 1]",
    "plugins/klepaas_plugins/prometheus/questions.py: app_name[:_BASE_CHARS]",
    "plugins/klepaas_plugins/kubernetes/write/generated_names.py: "
    "str(body['metadata']['generateName'])[:_PREFIX_MAX_CHARS]",
    # Names that are ours: of a host, of a metric, of a declaration.
    "server/klepaas/store/keys.py: self.derive('id').hex()[:_ID_CHARS]",
    "server/klepaas/operations/holders.py: socket.gethostname()[:60]",
    "server/klepaas/metrics.py: _NOT_IN_A_LABEL.sub('_', value)[:LABEL_MAX_CHARS]",
    "server/klepaas/external/declaration.py: re.sub('[^a-z0-9_-]+', '-', self.name.lower()).strip('-_')[:40]",
    # Parts of lists, and of bytes that are put together again or searched for a number.
    "plugins/klepaas_plugins/alertmanager/client.py: value[:100]",
    "plugins/klepaas_plugins/health/tools.py: health.names()[:20]",
    "plugins/klepaas_plugins/kubernetes/client/kubeconfig.py: sorted(self.entries)[:20]",
    "plugins/klepaas_plugins/kubernetes/explaining.py: list(properties)[:30]",
    "plugins/klepaas_plugins/kubernetes/explaining.py: node['enum'][:20]",
    "plugins/klepaas_plugins/kubernetes/paging.py: lines[:_fitting(Page(lines, whole.heading), max_bytes)]",
    "plugins/klepaas_plugins/prometheus/inspecting.py: sorted(up.items())[:50]",
    "providers/klepaas_providers/providers/tools.py: sorted((offer.name for offer in offers))[:60]",
    "plugins/klepaas_plugins/deployments/releases/encoding.py: packed[start:start + part_bytes]",
    "server/klepaas/external/messages.py: (self._tail + part)[-_EDGE_BYTES:]",
    "server/klepaas/external/messages.py: b''.join(self._parts)[:_EDGE_BYTES]",
    "server/klepaas/external/messages.py: part[:_EDGE_BYTES]",
    "server/klepaas/external/messages.py: message[:_EDGE_BYTES]",
    "server/klepaas/external/messages.py: message[-_EDGE_BYTES:]",
    "server/klepaas/protocol/unreadable.py: (key + part.strip())[:_ID_MAX_CHARS]",
    # Bytes on their way in; whoever makes a text of them takes care of the last or first word.
    "plugins/klepaas_plugins/kubernetes/client/exec_plugins.py: both[:OUTPUT_MAX_BYTES + 1]",
    "plugins/klepaas_plugins/kubernetes/client/exec_plugins.py: both[-OUTPUT_MAX_BYTES:]",
    "plugins/klepaas_plugins/notifications/posting.py: part[:MOST_ANSWER_BYTES - len(kept)]",
    "plugins/klepaas_plugins/prometheus/client/http_api.py: piece[:ERROR_MAX_BYTES]",
}


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith(HELPERS):
                yield name, ast.parse(path.read_text())


def _sizes_in(bound: ast.expr | None) -> bool:
    """Whether a slice's bound is a size of text."""
    for node in ast.walk(bound) if bound is not None else ():
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        if name.upper().endswith(SIZES):
            return True
        if isinstance(node, ast.Constant) and isinstance(node.value, int) and abs(node.value) >= LEAST_NUMBER:
            return True
    return False


def cuts_in(tree: ast.AST) -> Iterator[str]:
    """The expressions that cut a text to a size."""
    for node in ast.walk(tree):
        sliced = node.slice if isinstance(node, ast.Subscript) else None
        if isinstance(node, ast.Subscript) and isinstance(sliced, ast.Slice):
            is_cut = _sizes_in(sliced.upper) or _sizes_in(sliced.lower) or _splits(node.value)
            if is_cut and "digest" not in ast.unparse(node.value):
                yield ast.unparse(node)
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "textwrap.shorten":
            yield ast.unparse(node)


def _splits(node: ast.expr) -> bool:
    """Whether an expression makes lines of a text, of which a slice then selects some."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "splitlines"


def test_no_code_cuts_a_text_to_a_size_but_the_helpers_that_redact_it_first() -> None:
    found = {f"{name}: {cut}" for name, tree in _modules() for cut in cuts_in(tree)}
    assert found - HARMLESS == set(), "use klepaas.output.safe: shorten, one_line, limit_length or cut_with_count"
    assert HARMLESS - found == set(), "the list only shrinks: these are gone"


@pytest.mark.parametrize(
    "cut", ["text[:400]", "text[: MAX_CHARS - 3]", "a.body[-LINE_MAX_BYTES:]", "text.splitlines()[-3:]"]
)
def test_the_walk_finds_a_cut_in_each_form(cut: str) -> None:
    assert list(cuts_in(ast.parse(cut)))
    assert not list(cuts_in(ast.parse("rows[:_MOST]; word[1:]; path[len(prefix):]; rows[:5]")))


def test_only_redaction_makes_safe_text() -> None:
    made = [name for name, tree in _modules() for call in ast.walk(tree) if _makes_safe_text(call)]
    assert sorted(set(made)) == ["server/klepaas/external/classify.py"], "a re.sub of blanks in redacted text"
    parts = (SafeText("a b")[:1], SafeText("a") + "b", " ".join([SafeText("a")]), f"{SafeText('a')}")
    assert all(type(part) is str for part in parts), "what is made of safe text is an ordinary text again"


def _makes_safe_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "SafeText"


TOKEN = "ghp_" + secrets.token_hex(18)
FORMS = {
    "token": TOKEN,
    "assignment": f'password="{TOKEN[4:]} and more of it"',
    "address": f"postgres://app:{TOKEN[4:]}@db:5432/app",
    "bearer": f"Authorization: Bearer {TOKEN[4:]}",
    "key": f"-----BEGIN PRIVATE KEY-----\n{TOKEN[4:]}\n{TOKEN[4:]}\n-----END PRIVATE KEY-----",
    "web token": f"eyJhbGciOiJIUzI1NiJ9.eyJ{TOKEN[4:]}.c2ln{TOKEN[4:20]}",
}
LIMIT = 300
HELPED: dict[str, Callable[[str], str]] = {
    "shorten": lambda text: shorten(text, LIMIT),
    "one_line": lambda text: one_line(text, LIMIT),
    "limit_length": lambda text: limit_length(text, LIMIT),
    "cut_with_count": lambda text: safe.cut_with_count(text, LIMIT),
    "fit": lambda text: fit(text, LIMIT),
    "quote": lambda text: quote(text, LIMIT),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("helper", HELPED)
def test_a_secret_at_every_place_of_a_cut_leaves_no_half(form: str, helper: str) -> None:
    parts = {TOKEN[at : at + 6] for at in range(4, len(TOKEN) - 6)}
    for before in range(LIMIT - len(FORMS[form]) - 12, LIMIT + 4, 3):
        text = ("x. " * LIMIT)[:before] + " " + FORMS[form] + " y" * LIMIT
        answer = HELPED[helper](text)
        assert len(answer) <= LIMIT + 30
        assert not [part for part in parts if part in answer], (before, answer)


def test_the_end_of_a_key_is_known_without_its_beginning() -> None:
    body = [secrets.token_hex(32).upper()[:32] + secrets.token_urlsafe(24).replace("-", "A").replace("_", "b")] * 5
    lines = ["ready", "-----BEGIN RSA PRIVATE KEY-----", *body, "short==", "-----END RSA PRIVATE KEY-----", "served"]
    for start in range(1, 8):
        shown = safe_text("\n".join(lines[start:]))
        assert body[0][:12] not in shown, (start, shown)
        assert "short" not in shown, (start, shown)
        assert shown.endswith("served")


def test_the_beginning_of_a_key_is_known_without_its_end() -> None:
    body = "MIIEowIBAAKCAQEAu1SU1LfVLPHCozMx"
    shown = safe_text(f"ready\n-----BEGIN PRIVATE KEY-----\n{body}\n{body}\nWARN it goes on")
    assert body[:10] not in shown
    assert shown.endswith("WARN it goes on")


def test_the_middle_of_a_key_is_known_by_its_lines() -> None:
    body = "MIIEowIBAAKCAQEAu1SU1LfVLPHCozMxH2Mo4lgOEePzNm0tRgeLezV6ffAt0gun"
    assert body[:10] not in safe_text(f"{body}\n{body}\n{body[:20]}")


def test_a_public_certificate_stays() -> None:
    body = "MIIEowIBAAKCAQEAu1SU1LfVLPHCozMxH2Mo4lgOEePzNm0tRgeLezV6ffAt0gun"
    text = f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----"
    assert safe_text(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "password: |\n  hunter2\n  again hunter2\nhost: db",
        "password: >-\n  hunter2\nhost: db",
        "password:\n  hunter2\nhost: db",
        '{\n  "password":\n    "hunter2",\n  "host": "db"\n}',
        'password: "first\n  hunter2\n  last"\nhost: db',
        "tokens_secret: [\n  hunter2,\n  'hunter2'\n]\nhost: db",
        "password = <<EOF\nhunter2\nEOF\nhost: db",
        "export TOKEN=\\\n  hunter2\nhost: db",
        'token = """\nhunter2\n"""\nhost: db',
        "password:\n  value: hunter2\nhost: db",
        '"password": {\n  "value": "hunter2"\n},\nhost: db',
        '{"user": "kim", "password": "first\nhunter2"}\nhost: db',
        "2026-11-30T09:00:00Z password: |\n2026-11-30T09:00:00Z   hunter2\n2026-11-30T09:00:00Z host: db",
        "Authorization: Bearer\n  hunter2\nhost: db",
        "비밀번호:\n  hunter2\nhost: db",
    ],
)
def test_a_value_that_spans_lines_is_masked_in_each_of_them(text: str) -> None:
    shown = safe_text(text)
    assert "hunter2" not in shown
    assert "db" in shown
    lines = redact_lines(text.split("\n"))
    assert len(lines) == len(text.split("\n"))
    assert "hunter2" not in "\n".join(lines)


def test_ordinary_text_stays_as_it_is() -> None:
    text = inspect.getsource(safe)
    assert safe_text(text) == text
    trace = "Failed to refresh token:\n    at com.shop.Main.main(Main.java:12)\nready"
    assert safe_text(trace) == trace
