"""What holds for every text: masking twice is masking once, innocent text keeps its length, a frame hides no secret."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from klepaas.output.redaction import MARK, redact_text

from .corpus import Text, innocent_texts, planted_texts, surviving

PIECES = (
    *(
        "password",
        "비밀번호",
        "token",
        "kind: Secret",
        "stringData:",
        "data:",
        "name: ",
        "value: ",
        "- ",
        "DB_PASSWORD",
    ),
    *("=", ": ", ":", " ", "\n", "  ", '"', "'", "\\", "{", "}", "[", "]", ",", "<password>", "</password>", "<", ">"),
    *(
        "mysql -p",
        "curl -u a:",
        "echo x | chpasswd",
        "--password",
        "-p",
        "|",
        "|-",
        ">-",
        "://",
        "@",
        "u:",
        "@tcp(",
        MARK,
    ),
    *(
        "hunter2",
        "null",
        "eyJ",
        ".",
        "%3D",
        "%22",
        "$X",
        "${X}",
        "$(",
        ")",
        "는 ",
        "PASSWORD '",
        "Private-Lines: 1",
        "secrets:",
    ),
    *(
        "[secrets]",
        "ENV API_TOKEN ",
        "requirepass ",
        "x" * 40,
        "BEGIN PRIVATE KEY-----",
        "-----",
        "host:5432:db:u:",
        "&",
        ";",
    ),
)


@example("secrets:</password>password")
@given(st.lists(st.sampled_from(PIECES), max_size=24).map("".join))
def test_any_mixture_of_signs_is_masked_once_and_for_all(text: str) -> None:
    once = redact_text(text)
    assert redact_text(once) == once


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_a_text_that_is_not_masked_is_returned_as_it_is(text: str) -> None:
    redacted = redact_text(text)
    assert redacted == text or MARK in redacted


@given(st.sampled_from([text.text for text in innocent_texts()]), st.sampled_from(["\n", "\n\n", "\r\n", "\n---\n"]))
def test_innocent_texts_side_by_side_keep_their_length(text: str, between: str) -> None:
    if redact_text(text) != text:
        return  # counted by the corpus
    joined = f"{text}{between}level=info msg=ok{between}"
    assert len(redact_text(joined)) == len(joined)


@pytest.mark.parametrize("frame", ["{}", "\n{}\n", "a: 1\n{}\nb: 2\n", "{}\n\n{}", "# comment\n\n{}"])
def test_a_secret_is_masked_whatever_stands_around_its_text(frame: str) -> None:
    leaks = [text.text for text in planted_texts() if surviving(text, redact_text(frame.replace("{}", text.text)))]
    assert len(leaks) <= len(planted_texts()) * 0.02, leaks


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_secret_is_masked_in_a_text_that_is_quoted_as_json(depth: int) -> None:
    def quote(text: Text) -> str:
        quoted = text.text
        for _ in range(depth):
            quoted = json.dumps({"log": quoted})
        return quoted

    texts = planted_texts()
    leaks = [text.text for text in texts if surviving(text, redact_text(quote(text)))]
    print(f"\nquoted {depth} times: {len(texts) - len(leaks)} of {len(texts)} masked")
    for leak in leaks:
        print(f"    {leak!r}")
    assert len(leaks) <= len(texts) * 0.10


_WORDS = st.sampled_from(
    ["password", "stringData", "kind", "data", "Secret", "name", "value", "apiKeys", "token", "x", "hunter2!"]
)
_TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | _WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_WORDS, inner, max_size=4),
    max_leaves=12,
)


@example({"name": "password", "data": -1}, None)
@given(_TREES, st.sampled_from([None, 1, 2]))
def test_json_stays_json(tree: object, indent: int | None) -> None:
    redacted = redact_text(json.dumps(tree, indent=indent))
    again = json.loads(redacted)
    assert type(again) is type(tree) or redacted == f'"{MARK}"'
    assert redact_text(redacted) == redacted
