"""Every reader of foreign text takes linear time, whatever the text: not only its expressions, but its loops too.

Run with `-s` to see each reader's growth.
"""

import contextlib
import json
import math
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any

import mcp_types as mt
import pytest

from klepaas import names
from klepaas.external.definitions import definitions_of
from klepaas.external.event_stream import EventStream
from klepaas.external.messages import Lines, mended
from klepaas.external.server_reading import Trouble, server_of
from klepaas.external.wording import said_by, schema_of
from klepaas.foreign_json import parse_json
from klepaas.notifications import Notification
from klepaas.output import table
from klepaas.output.budget import fit
from klepaas.output.foreign_text import clean
from klepaas.output.line_diff import changed_lines
from klepaas.output.masking.names import is_secret_name
from klepaas.output.quoting import quote
from klepaas.output.redaction import looks_secret, redact_text
from klepaas.output.safe import has_words, one_line, redact_lines, safe_label, safe_text
from klepaas.protocol.unreadable import request_id_in
from klepaas.testing import time_budget
from klepaas_plugins.alertmanager.client import Alert, Rows, Silence, hides
from klepaas_plugins.alertmanager.matchers import MATCHER, Matcher
from klepaas_plugins.alertmanager.shown import alerts_answer, silences_answer
from klepaas_plugins.kubernetes import yaml_text
from klepaas_plugins.kubernetes.documents_shown import document
from klepaas_plugins.kubernetes.errors import Act, error_for
from klepaas_plugins.kubernetes.fieldpaths import columns_of, path_of
from klepaas_plugins.kubernetes.loglines import AtLeast, Grep, folded, level_of
from klepaas_plugins.kubernetes.masking import mask, mask_arguments, mask_text
from klepaas_plugins.kubernetes.masking.messages import message_text
from klepaas_plugins.kubernetes.sandbox.cel import compile_cel
from klepaas_plugins.kubernetes.sandbox.cron import schedule_fault
from klepaas_plugins.kubernetes.sandbox.quantities import quantity
from klepaas_plugins.kubernetes.sandbox.resources import PODS
from klepaas_plugins.kubernetes.sandbox.selectors import field_match, label_match
from klepaas_plugins.kubernetes.sorting import in_order, number_of
from klepaas_plugins.kubernetes.wording import age, near
from klepaas_plugins.kubernetes.write.compare import compare
from klepaas_plugins.notifications.wording import Dialect, _rendered
from klepaas_plugins.prometheus import parameters
from klepaas_plugins.prometheus.asking import _NAMESPACES
from klepaas_plugins.prometheus.client.choosing import Largest
from klepaas_plugins.prometheus.client.json_stream import read_document
from klepaas_plugins.prometheus.client.models import Found
from klepaas_plugins.prometheus.errors import error_for as prometheus_error
from klepaas_plugins.prometheus.shown import now_table
from klepaas_providers.words import duration_s, network_verdict

from .pumping import Pump

pytestmark = pytest.mark.timeout(300)
COMPARED_WITHIN_S = time_budget(10, "texts without a common order would be compared for minutes")
FOUND_WITHIN_S = time_budget(2, "names that are long and alike would be compared for minutes")

_ACT = Act("get", "configmaps", "test")
SHORT_CHARS, LONG_CHARS = 1_500, 12_000
# For each character; the square of the length would cost eight times as much.
MOST_GROWTH = 3.0
# What is faster than this is not worth a question.
FAST_S = 0.004


def _object(text: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "annotations": {"note": text}},
        "data": {"app": text},
    }


def _by_lines(text: str) -> object:
    least, grep, lines = AtLeast("warn"), Grep("timeout|a.*b"), redact_lines(text.split("\n"))
    return [grep.matches(line) for line in lines], [least.matches(line) for line in lines], folded(lines)


def _message_lines(text: str) -> object:
    lines = Lines()
    data = (text + "\n").encode()
    return [list(lines.feed(data[at : at + 1024])) for at in range(0, len(data), 1024)]


def _notification_words(text: str) -> object:
    # All values that a template can show, in the dialect with the most rules.
    source = "{{ title }}\n{{ text }}\n{{ facts.url }}\n{{ text | evidence }}"
    said = Notification("alert_firing", "Title", text, {"url": text})
    return _rendered(source, said, Dialect.SLACK_WITHOUT_LINKS)


def _promql_parameters(text: str) -> object:
    checks = [check for check in vars(parameters).values() if isinstance(check, names.Check)]
    return [check.accepts(text) for check in checks], [found[2] for found in _NAMESPACES.finditer(text)]


def _prometheus_answer(text: str) -> object:
    row = {"metric": {"__name__": "up", "job": text}, "value": [1, "1"]}
    body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": [row, row]}, "warnings": [text]})
    taken = Largest(40)
    _run(read_document(_pieces(body.encode()), taken, 1 << 30))
    return [now_table(Found([one], 1)) for one in taken.series], prometheus_error("x", "y", 400, body.encode(), None)


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(data), 1024):
        yield data[at : at + 1024]


def _run(reading: Coroutine[Any, Any, object]) -> None:
    """Run to its end what never waits."""
    with contextlib.suppress(StopIteration):
        reading.send(None)
        raise AssertionError("it waits for something")


def _alerts(text: str) -> object:
    alert = Alert({"alertname": "A", "job": text}, {"summary": "x"}, 1.0, "active")
    return alerts_answer("x", Rows([alert])), hides([alert.labels], [Matcher("job", "=", text)])


def _silences(text: str) -> object:
    silence = Silence("a", "active", [Matcher("job", "=", text)], None, None, "kim", text)
    return silences_answer("x", Rows([silence]))


def _server_definition(text: str) -> object:
    found = []
    for said in (
        {"command": text, "args": [text], "env": {"A": text}, "cwd": text},
        {"url": f"https://{text}", "headers": {"A": text}},
    ):
        with contextlib.suppress(Trouble):
            found.append(server_of(text, said, {}))
    return found


def _tool_definition(text: str) -> object:
    schema = {"type": "object", "properties": {"a": {"type": "string", "description": text, "enum": [text]}, text: {}}}
    said = {"name": "x", "title": text, "description": text, "inputSchema": schema, "annotations": {"title": text}}
    found = definitions_of([mt.Tool.model_validate(said)])
    return found, schema_of(schema), [one.pretty for one in found[0].values()]


def _events(text: str) -> object:
    data, stream = f"data: {text}\n\ndata: {json.dumps(text)}\n\n".encode(), EventStream(1 << 30)
    return [stream.feed(data[at : at + 1024]) for at in range(0, len(data), 1024)], mended(text.encode())


def _unread_json(text: str) -> object:
    with contextlib.suppress(ValueError):
        parse_json(text)
    return request_id_in('{"id": 1, "method": "x", "params": ' + text)


READERS: Mapping[str, Callable[[str], object]] = {
    "wording of notifications, for Slack too": _notification_words,
    "parameters of PromQL": _promql_parameters,
    "answers of Prometheus": _prometheus_answer,
    "alerts": _alerts,
    "silences": _silences,
    "definition files of other servers": _server_definition,
    "definitions of other servers' tools": _tool_definition,
    "events of other servers": _events,
    "JSON that cannot be read": _unread_json,
    "safe_label": lambda text: (safe_label("job", text), has_words(safe_text(text), [text[:20]])),
    "redact_text": redact_text,
    "safe_text": safe_text,
    "redact_lines": lambda text: redact_lines(text.split("\n")),
    "clean": clean,
    "one_line": one_line,
    "looks_secret": looks_secret,
    "is_secret_name": is_secret_name,
    "fit": lambda text: fit(text, 1000),
    "quote": quote,
    "table": lambda text: table(["A", "B"], [[line, text[:10]] for line in text.split("\n")]),
    "mask_text": mask_text,
    "mask": lambda text: mask(_object(text)),
    "mask of a custom resource": lambda text: mask({"apiVersion": "x/v1", "kind": "X", "spec": {"a": [text]}}),
    "mask_arguments": lambda text: mask_arguments(text.split(" ")),
    "document": lambda text: document(_object(text), "yaml"),
    "message_text": message_text,
    "error_for": lambda text: error_for(_ACT, 422, json.dumps({"kind": "Status", "message": text}).encode()),
    "manifests": yaml_text.documents,
    "lines of a log": _by_lines,
    "level_of": level_of,
    "columns_of": columns_of,
    "path_of": path_of,
    "number_of": number_of,
    "in_order": lambda text: in_order(text.split("\n"), descending=True),
    "age": age,
    "near": lambda text: near(text[:253], text.split("\n")),
    "matcher": MATCHER.accepts,
    "label selector": label_match,
    "field selector": lambda text: field_match(text, PODS),
    "quantity": quantity,
    "cron": schedule_fault,
    "cel": compile_cel,
    "changed_lines": lambda text: changed_lines(text, text[::-1]),
    "wording of another server": lambda text: said_by("x", text),
    "messages of another server": _message_lines,
    "network_verdict": network_verdict,
    "duration_s": duration_s,
    **{f"names: {check.noun}": check.accepts for check in vars(names).values() if isinstance(check, names.Check)},
}

# What is repeated.
PARTS = (
    *(
        "[",
        "{",
        '{"a":',
        '{"a":[',
        "(",
        '"',
        "'",
        "\\",
        '\\"',
        '\\\\\\"',
        "`",
        "<",
        "${",
        "{{ ",
        "[?(@.a==",
        "Invalid value: {",
    ),
    *(" ", "\n", "\t", "\r", "a", "0", "-", ".", "_", ":", "=", "%", "한", "/", ",", "&a ", "..", "0.", "1e", "a/b, "),
    *("a\n", "a: b\n", "- ", "- a\n", "a=b\n", "a: |\n", "key=value; ", "<a>", "<a>b</a>\n", "---\n", '"a":"b",'),
    *("name: a\nvalue: b\n", "password: ", "password: x\n", "password\n", "token ", "--token ", "비밀번호: 가\n"),
    *("-----BEGIN PRIVATE KEY-----\n", "-----END PRIVATE KEY-----\n", "eyJhbGciOi.", "://a:", "://a:b@c ", "sk-"),
    *("ghp_", "AKIA", "\x1b[", "\x1b]0;", "\u202e", "a.b[0].", "kind: Secret\ndata:\n a: b\n", "@@ -1 +1 @@\n"),
    *("export A=b\n", "curl -u a:b ", "mysql -p"),
)
TEXTS = (
    *(Pump("", (part,), end) for part in PARTS for end in ("", "!")[: 1 + (len(part) == 1)]),
    *(Pump(before, ("a" * 7 + "\n",), "") for before in ("password: |\n", "password: >-\n", "stringData:\n")),
    *(Pump(before, (" ",), "!") for before in ("password: {{", "password:", '"password"', "data:\n", "a=")),
    *(Pump("", pair, "") for pair in (("[", "]"), ("{", "}"), ("a", "\n"), ('"', "a"), ("(", ")"), ("{{", "}}"))),
)


def _deeper(size_chars: int) -> str:
    """Lines of which each is indented more than the one before."""
    return "".join(f"{' ' * at}a{at}:\n" for at in range(int(math.sqrt(2 * size_chars))))


def _cost_s(read: Callable[[str], object], text: str) -> float:
    begun = time.thread_time()
    with contextlib.suppress(Exception):
        read(text)
    return time.thread_time() - begun


def _growth(read: Callable[[str], object], of: Callable[[int], str]) -> tuple[float, float]:
    """By which factor a character costs more in a text eight times as long, and what it costs there, in seconds."""
    cost_s = _cost_s(read, of(LONG_CHARS))
    if cost_s < FAST_S:
        return 1.0, cost_s / LONG_CHARS
    growth = math.inf
    for runs, times_longer in ((1, 1), (3, 1), (3, 4), (6, 4)):  # What is bounded by lines is so from a length on.
        long, short = of(LONG_CHARS * times_longer), of(SHORT_CHARS * times_longer)
        cost_s = min(_cost_s(read, long) for _ in range(runs)) / len(long)
        growth = cost_s / (min(_cost_s(read, short) for _ in range(3 * runs)) / len(short))
        if growth < MOST_GROWTH:
            break
    return growth, cost_s


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_of_foreign_text_takes_linear_time(reader: str) -> None:
    worst = (1.0, 0.0, "")
    for pump in (*TEXTS, None):
        growth, cost_s = _growth(READERS[reader], pump.text if pump else _deeper)
        worst = max(worst, (growth, cost_s, str(pump or "deeper lines")))
        assert growth < MOST_GROWTH, f"{reader} of {pump or 'deeper lines'}: {growth:.1f} at {cost_s * 1e9:.0f} ns/char"
    print(f"{reader}: at most {worst[0]:.2f} times per character, {worst[1] * 1e9:.0f} ns/char, {worst[2]!a:.80}")


@pytest.mark.parametrize(
    "manifest",
    [
        "a: 0x" + "9" * 4000,
        "a: 0b" + "1" * 20_000,
        "a: " + "9" * 4000,
        "a: " + "9" * 400_000,
        '{"a": ' + "9" * 5000 + "}",
    ],
    ids=["hexadecimal", "binary", "decimal", "long decimal", "JSON"],
)
def test_a_number_that_no_machine_holds_is_a_text_as_kubernetes_reads_it(manifest: str) -> None:
    begun_s = time.thread_time()
    ((value,),) = (document.values() for document in yaml_text.documents(manifest))
    assert str(value) == manifest.removeprefix('{"a": ').removeprefix("a: ").removesuffix("}")
    assert time.thread_time() - begun_s < FOUND_WITHIN_S


def test_an_age_of_thousands_of_digits_is_sorted_like_any_text() -> None:
    assert sorted(in_order(["9" * 5000 + "d", "1d", "2h"], descending=False)) == [0, 1, 2]


def test_two_config_maps_without_a_common_order_are_compared_in_a_moment() -> None:
    choice = random.Random(1)
    before, after = (_object("\n".join(f"line {choice.randrange(600)}" for _ in range(40_000))) for _ in range(2))
    begun_s = time.thread_time()
    assert compare(before, after, after)
    assert time.thread_time() - begun_s < COMPARED_WITHIN_S


def test_near_names_are_found_in_a_moment_where_all_are_long_and_alike() -> None:
    known = [f"{'ab' * 120}{number}" for number in range(500)]
    begun_s = time.thread_time()
    assert near("ba" * 126, known)
    assert time.thread_time() - begun_s < FOUND_WITHIN_S


def test_the_template_that_stopped_the_server_is_masked_in_a_moment() -> None:
    begun_s = time.thread_time()
    for blanks in (2_500, 250_000):
        mask_text("password: {{" + " " * blanks + "!")
    assert time.thread_time() - begun_s < FOUND_WITHIN_S


@pytest.mark.parametrize("reader", ["wording of notifications, for Slack too", "parameters of PromQL",
    "answers of Prometheus", "alerts", "silences", "definition files of other servers",
    "definitions of other servers' tools", "events of other servers", "safe_label"])  # fmt: skip
def test_a_reader_that_stands_for_several_calls_comes_to_its_end(reader: str) -> None:
    # The walk above passes over errors, so that a mistake in such a row would make it measure nothing.
    for text in ("plain words, token=x", "a" * 5_000, '"{}\n'):
        READERS[reader](text)
