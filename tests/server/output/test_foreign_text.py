"""Text of others loses what acts and what hides, and keeps what people wrote."""

import re
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klepaas.output.foreign_text import clean
from klepaas.testing import time_budget


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[38;2;1;2;3;4mtrue colour", "true colour"),
        ("\x9b31mred", "red"),
        ("\x1b[2J\x1b[Hcleared", "cleared"),
        ("\x1b[1A\x1b[2Koverwritten", "overwritten"),
        ("\x1b]8;;https://evil.example\x1b\\safe.example\x1b]8;;\x1b\\", "safe.example"),
        ("\x1b]8;;https://evil.example\x07safe.example\x1b]8;;\x07", "safe.example"),
        ("\x9d8;;https://evil.example\x9csafe.example", "safe.example"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]52;c;ZXZpbA==\x07text", "text"),
        ("\x1bP1$r0m\x1b\\text", "text"),
        ("\x90q#0\x9ctext", "text"),
        ("\x1b_payload\x1b\\text", "text"),
        ("\x1b]never ended\nnext line", "\nnext line"),
        ("\x1b(0lqk\x1b(B", "lqk"),
        ("\x1bc\x1b7text\x1b8", "text"),
        ("\x1b", ""),
        ("\x1b\x1b[0m[31mtext", "[31mtext"),
        ("\x1b[\x1b[31mtext", "text"),
        ("nul\x00bell\x07back\x08del\x7f", "nulbellbackdel"),
        ("c1\x80\x85\x9f", "c1"),
        ("progress 10%\rprogress 99%\r\ndone\n\rx", "progress 10%\nprogress 99%\ndone\n\nx"),
        ("\u202egnp.exe\u202c", "gnp.exe"),
        ("\u2066a\u2067b\u2068c\u2069\u200e\u200f\u061c", "abc"),
        ("ig\u200bnore\u2060 \ufeffthis\u00ad", "ignore this"),
        ("tag\U000e0041\U000e0042\U000e007f", "tag"),
        ("vs\ufe01\U000e0101\U000e01ef", "vs"),
        ("filler\u3164\u115f\u1160\uffa0\u034f\u180e\u2800", "filler"),
        ("joined\u200d\u200c\u200d\u200c", "joined"),
        ("한\u200d\u200c\u200d국", "한국"),
        ("م\u200c\u200c\u200dن", "من"),
        ("private\ue000\U000f0000", "private"),
        ("half\ud800", "half"),
        ("none\ufffe\uffff\U0001ffff\ufdd0", "none"),
        ("line\u2028separator\u2029", "line separator "),
        ("math\u2061\u2062\u2063\u2064", "math"),
        ("a\u200db", "ab"),
        ("1\ufe0f", "1"),
        ("❤\ufe0f\ufe0f", "❤\ufe0f"),
    ],
    ids=ascii,
)
def test_what_acts_or_hides_is_taken_out(text: str, shown: str) -> None:
    assert clean(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain ASCII with\ttabs\nand lines, {json: [1]} <tags> & ~marks",
        "배포가 실패했습니다: 이미지를 가져올 수 없음 (ㅠㅠ, ㅋㅋ)",
        unicodedata.normalize("NFD", "한국어"),
        "می‌خواهم کتاب‌ها را ببینم",
        "नमस्ते क्‍ष श्री",
        "سلام عليكم \u06dd",
        "שלום עולם",
        "日本語のログ、中文日志。",
        "Straße, naïve, Ångström, œuvre, ½ € £ ™",
        "🚀 ✅ ❌ ⚠️ ❤️ 👍🏽 🇰🇷 1️⃣ #️⃣",
        "👨‍👩‍👧‍👦 🏳️‍🌈 👩🏽‍💻 ❤️‍🔥",
        "🫨🪿🫩",
        "┌──┐│ box │└──┘ ▁▂▃ ⠿⠏",
        "no\u00a0break and wide\u3000space",
    ],
    ids=ascii,
)
def test_what_people_wrote_is_kept(text: str) -> None:
    assert clean(text) == text


@given(st.text(alphabet=st.characters(), max_size=200))
def test_nothing_that_acts_is_left_of_any_text(text: str) -> None:
    shown = clean(text)
    for character in shown:
        assert character in "\t\n" or unicodedata.category(character) not in ("Cc", "Cs", "Co", "Zl", "Zp")
    shown.encode()


_PIECES = st.sampled_from(
    ["\x1b", "[", "]", "0m", "8;;u", "\x07", "\\", "\x9b", "\x9d", "\x9c", "\r", "\n", "a", "م", "\u200d", "\u200c"]
)


@given(st.lists(st.one_of(_PIECES, st.characters()), max_size=30).map("".join))
def test_cleaning_twice_changes_nothing(text: str) -> None:
    once = clean(text)
    assert clean(once) == once
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", once)


@pytest.mark.parametrize(
    "piece",
    ["\x1b", "\x1b[", "\x1b]", "\x1b[0", "\x1b]a", "\x1bP", "\x9b1", "\r", "\u200d", "é", "م\u200c", "😀"],
)
def test_a_hostile_text_of_256_kib_takes_linear_time(piece: str) -> None:
    text = (piece * (256 * 1024 // len(piece)))[: 256 * 1024]
    # Processor time, which another process on the machine does not lengthen; what is not linear takes minutes.
    began_s = time.thread_time()
    clean(text)
    assert time.thread_time() - began_s < time_budget(3, "a pattern would backtrack")
