"""Values that stand after a secret's name: name=value, "name": "value", --name value, <name>value</name>.

A text is searched for the words that secret names are made of (`finding`); only there the whole name is judged, then
what stands between name and value is read, then the value. In prose a sentence may go on after the colon: that is no
value.
"""

import re

from klepaas.output.masking.blocks import block_after, items_after
from klepaas.output.masking.calls import call_value, is_argument_of_call, wrapped_value
from klepaas.output.masking.elements import element_values
from klepaas.output.masking.finding import Name, secret_names
from klepaas.output.masking.lexing import VALUE, mask_value
from klepaas.output.masking.names import Secrecy
from klepaas.output.masking.pairs import pair_value
from klepaas.output.masking.spaced import spaced_value, value_below
from klepaas.output.masking.values import is_harmless_value, is_said_elsewhere
from klepaas.output.vault import MARK

__all__ = ["redact_assignments"]

_Span = tuple[int, int]

# What stands on a line before a name whose value is on the lines below.
_LONGEST_LEAD_CHARS = 400
# Values under names of addresses that are longer are masked whole; shorter ones are looked into.
_LONGEST_ADDRESS_CHARS = 2000
_HANGUL = re.compile(r"[가-힣]")
# Particles that follow a Korean name; what stands in brackets only explains it.
_KOREAN_AFTER = re.compile(
    r"[\"']?(?:\([^()\n]{1,40}\))?(?:는|은|가|이|를|을)?"
    r"(?P<colon> {0,4}(?:[:=：]|->|→) {0,4}(?:\n[ \t]{0,16}){0,2}| {1,4})"
)
_KOREAN_VALUE = re.compile(r"(?P<quote>[\"'`]?)(?P<value>[!-&(-+./0-~-]{4,128})")
_KOREAN_TERM = re.compile(
    r"(?:aes|rsa|sha|md5|bcrypt|base64|bearer|jwt|utf|http|tls|ssl|oauth|api|url|argon)[\w-]{0,12}", re.IGNORECASE
)
_SCHEME = r"(?:(?i:bearer|basic|digest|negotiate|token|apikey|bot)(?:[ \t]++|%20|\+))?+"
# What stands between a name and its value. A type may come first (Python, TypeScript, Go, Rust), a YAML tag or anchor
# after the sign.
_BETWEEN = re.compile(
    r"\\{0,8}+[\"'`]?+(?:%22)?+\]?[ \t]{0,16}+(?:#?\d{1,2}(?=:))?+"
    r"(?:(?::[ \t]{0,4}|[ \t])(?:[sS]tr(?:ing)?|bytes|SecretStr|&'?\w{0,8} ?str|char ?\*|Optional\[str\])"
    r"[ \t]{0,4}(?==))?+"
    rf"(?:=>|:=|->|\?=|\+=|[=:]=?+|%3[dDaA]|(?<=[\"']),|,[ \t]{{0,8}}<<(?=\"))"
    rf"[ \t]{{0,16}}+(?:[!&][\w!.-]{{1,40}}[ \t])?+(?:%22)?+{_SCHEME}"
)
_JSON_QUOTE = re.compile(r"\\{0,8}\"(?=[ \t]{0,8}[:,])")
_FLAG_BETWEEN = re.compile(
    r"(?:[\"']?[ \t]{0,4},[ \t\n]{0,16}[\"']?|[ \t]{1,16}|[\"']?[ \t]{0,4}\n[ \t]{0,40}(?:- )?[\"']?)(?!-)"
)
_ELEMENT = r"(?:[\"'][^\"'\n]{0,400}[\"']|[^\s\"'\[\]{},]{1,200})"
_COMMA = r"[ \t\n]{0,40},[ \t\n]{0,40}"
_ARRAY = re.compile(rf"\[(?P<items>[ \t\n]{{0,40}}{_ELEMENT}(?:{_COMMA}{_ELEMENT})*+)[ \t\n,]{{0,40}}\]")
_ITEM = re.compile(r"[^\s\"',]+")
_URL_ENCODED_END = re.compile(r"%(?:26|22|0[aAdD])")
_CALL = re.compile(r"[A-Za-z_$][A-Za-z_.]{0,100}(?:\([^()\n]{0,200}\)|\[[^\[\]\n]{1,100}\])(?=[\s;,.)\]}]|$)")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z_.]{0,60}")
# What other modules find inside of a value: an address, another assignment.
_STRUCTURE = re.compile(r"://|=|@(?:tcp|udp|unix)\(")
_ABOUT_ADDRESSES = re.compile(r"(?:dsn|str|string|creds|credentials)$", re.IGNORECASE)
_BARE_KEY = re.compile(r"[^\"']: \Z")
_BLOCK_SIGN = re.compile(r"[|>][-+0-9]{0,2}")
_LINE_START = re.compile(r"(?:^|\n)[ \t]*(?:-[ \t]+)?[\"']?\Z")
_WORD_BEFORE = re.compile(r"(?:[A-Za-z]{2}|\ba)[ \t]\Z")
_REASON = re.compile(r"(?:[A-Z][a-z]+){3,}")
_PROSE_AFTER = re.compile(r"[A-Za-z]{2,40} (?:[a-z][a-z0-9]{1,40}|EOF)\b")
# vault.auth.svc:8200
_PORT = re.compile(r":\d{2,5}(?![\w.-])")
# Of a call: the next argument is one for something else.
_KEYWORD = re.compile(r"[A-Za-z_]{1,30}=")
_LOWER_WORD = re.compile(r"[a-z]{2,40}")


def redact_assignments(text: str) -> str:
    """The text with the value after each secret's name masked, in its own quotes."""
    pieces: list[str] = []
    done = 0
    for name in secret_names(text):
        if name.start < done:
            continue
        for start, end in _values(text, name, done):
            quoted = text[max(0, start - 1) : start] in ('"', "'")
            pieces += [text[done:start], MARK if quoted else mask_value(text[start:end], _quote_of(text, name))]
            done = end
    return "".join(pieces) + text[done:]


def _quote_of(text: str, name: Name) -> str:
    """The double quote, escaped or not, that ends a name in JSON and stands around its value."""
    quote = _JSON_QUOTE.match(text, name.end)
    return "" if quote is None else quote.group()


def _values(text: str, name: Name, done: int) -> list[_Span]:
    """Where the values of a name stand: none, one, or the items of a list."""
    if not name.text.isascii():
        return _korean(text, name) or _in_pair(text, name, done)
    if text[name.start - 1 : name.start] in ("<", ":") and (spans := element_values(text, name)) is not None:
        return [span for span in spans if not _tells_nothing(name, text[slice(*span)].strip())]
    called = call_value(text, name)
    if called is not None:
        return [span for span in called if not _tells_nothing(name, text[slice(*span)])]
    if _PORT.match(text, name.end) is not None and _is_host(text, name):
        return []
    between = _BETWEEN.match(text, name.end)
    if between is not None and not _is_list_of_words(text, name, between):
        return _assigned(text, name, between)
    pair = pair_value(text, name.start, name.end, done)
    if pair is not None:
        return _paired(text, name, pair)
    flag = _flag(text, name)
    spaced = None if flag else spaced_value(text, name)
    return [spaced] if spaced else flag


def _in_pair(text: str, name: Name, done: int) -> list[_Span]:
    pair = pair_value(text, name.start, name.end, done)
    return [] if pair is None else _paired(text, name, pair)


def _is_host(text: str, name: Name) -> bool:
    return "." in name.text or text[max(0, name.start - 2) : name.start] == "//"


def _is_list_of_words(text: str, name: Name, between: re.Match[str]) -> bool:
    """Whether a comma parts words: only in a call is "name", "value" a name with its value."""
    if not between.group().strip().endswith(","):
        return False
    return not is_argument_of_call(text, name) or _KEYWORD.match(text, between.end()) is not None


def _assigned(text: str, name: Name, between: re.Match[str]) -> list[_Span]:
    wrapped = wrapped_value(text, between.end())
    if wrapped is not None:
        return [span for span in wrapped if not _tells_nothing(name, text[slice(*span)])]
    if text[between.end() : between.end() + 1] == "[" and name.secrecy is Secrecy.SECRET:
        return _items(text, between.end())
    found = VALUE.match(text, between.end())
    if found is None:
        return _below(text, name, between.end()) if ":" in between.group() else []
    if _BLOCK_SIGN.fullmatch(found.group()):
        block = block_after(text, _line_start(text, name.start), found.end())
        return [block] if block and text[block[0] : block[1]] != MARK else []
    if _is_prose(text, name, between, found) or _is_code(text, name, between, found):
        return []
    return [] if _tells_nothing(name, found.group()) else [_extent(text, name, between, found)]


def _below(text: str, name: Name, end: int) -> list[_Span]:
    """What stands on the lines below a name: a value alone on its line, the items of a list under the plural."""
    alone = value_below(text, name, end)
    if alone is not None:
        return [] if _tells_nothing(name, text[slice(*alone)]) else [alone]
    if name.secrecy is not Secrecy.SECRET or not name.text.endswith("s") or text[end : end + 1] not in ("\n", ""):
        return []
    line_start = _line_start(text, name.start)
    return [
        span for span in items_after(text, line_start, end) if not is_said_elsewhere(text[slice(*span)].strip("\"'"))
    ]


def _paired(text: str, name: Name, pair: re.Match[str] | _Span) -> list[_Span]:
    start, end = pair if isinstance(pair, tuple) else pair.span()
    if _BLOCK_SIGN.fullmatch(text, start, end):
        block = block_after(text, _line_start(text, start), end)
        return [block] if block else []
    if _tells_nothing(name, text[start:end]):
        return []
    # Without quotes a value of YAML goes on to the end of its line; in JSON, whose keys are quoted, it does not.
    if text[start] in "\"'`\\<{$":
        return [(start, end)]
    if _BARE_KEY.search(text[max(0, start - 3) : start]) is not None:
        line_end = text.find("\n", end)
        return [(start, start + len(text[start : len(text) if line_end < 0 else line_end].rstrip()))]
    return [(start, start + max(1, len(text[start:end].rstrip(")]}"))))]


def _tells_nothing(name: Name, value: str) -> bool:
    bare = value.strip("\"'`\\")
    if bare[:1] not in "$<{":
        bare = bare.rstrip(")]},.")
    if (
        bare in ("", "?")
        or is_said_elsewhere(bare)
        or is_said_elsewhere(value.strip("\"'`\\"))
        or (bare.isupper() and name.text.upper().endswith(bare))
    ):
        return True
    if bare.lower() == "password(":
        return True  # of SQL; what stands in the brackets is judged after this second name
    structured = MARK in bare or _STRUCTURE.search(bare) is not None
    if structured and len(bare) <= _LONGEST_ADDRESS_CHARS and _ABOUT_ADDRESSES.search(name.text) is not None:
        return True
    if name.text == "secretKey" and _LOWER_WORD.fullmatch(bare):
        return True  # an external secret's key
    return name.secrecy is not Secrecy.SECRET and is_harmless_value(bare)


def _flag(text: str, name: Name) -> list[_Span]:
    """The value of --name value; the flag may be an item of a list."""
    dashes = len(name.text) - len(name.text.lstrip("-"))
    before = text[name.start - 1 : name.start]
    if dashes not in (1, 2) or (before and before not in " \t\n\"'[(,`"):
        return []
    between = _FLAG_BETWEEN.match(text, name.end)
    found = None if between is None else VALUE.match(text, between.end())
    if found is None or _KEYWORD.fullmatch(found.group()) or _tells_nothing(name, found.group()):
        return []
    return [found.span()]


def _items(text: str, start: int) -> list[_Span]:
    array = _ARRAY.match(text, start)
    if array is None:
        return []
    items = _ITEM.finditer(text, array.start("items"), array.end("items"))
    return [item.span() for item in items if not is_harmless_value(item.group())]


def _korean(text: str, name: Name) -> list[_Span]:
    """After a Korean name: a colon, or a particle and a word that no Korean text is."""
    between = _KOREAN_AFTER.match(text, name.end)
    found = None if between is None else _KOREAN_VALUE.match(text, between.end())
    if between is None or found is None:
        return []
    value = found["value"].rstrip("\"'")
    start = found.start("value")
    if found["quote"] and (closing := text.find(found["quote"], start, start + 200)) > 0:
        value = text[start:closing]
    after = text[found.end() : found.end() + 1]
    if is_said_elsewhere(value) or (value.isdigit() and _HANGUL.match(after)):
        return []
    if not between["colon"].strip() and (_KOREAN_TERM.fullmatch(value) or value.replace("_", "").isalpha()):
        return []
    return [(start, start + len(value))]


def _is_prose(text: str, name: Name, between: re.Match[str], found: re.Match[str]) -> bool:
    """Whether a sentence goes on after the colon: 'failed to refresh token: connection refused'."""
    sign, value = between.group(), found.group()
    if sign[:1] in ("'", '"') and sign[1:2].isspace() and value[0] not in "\"'\\":
        return True  # volume "db-password" : secret "db-password" not found
    if name.text == "PASS" and sign[:2] == ": ":
        return True  # a test's result
    if not sign.startswith(":") or _PROSE_AFTER.match(text, found.start()) is None:
        return False
    before = text[max(0, name.start - 40) : name.start]
    if _WORD_BEFORE.search(before) is not None or _REASON.fullmatch(name.text) is not None:
        return True
    return _LOWER_WORD.fullmatch(value) is not None and not _starts_line(text, name)


def _is_code(text: str, name: Name, between: re.Match[str], found: re.Match[str]) -> bool:
    """Whether the value is an expression of a programming language: a call, an index, the name itself again."""
    if between.group()[-1:] in (" ", "\t") and _CALL.match(text, found.start()) is not None:
        return True
    if found.group() in ("await", "new"):
        return True
    if between.group() == " = " and _IDENTIFIER.fullmatch(found.group().rstrip(";")):
        return found.group().rstrip(";").rpartition(".")[2].lower() == name.text.rpartition(".")[2].lower()
    return False


def _extent(text: str, name: Name, between: re.Match[str], found: re.Match[str]) -> _Span:
    """Where the value begins and ends: without quotes, that of a line's own key goes on to the line's end."""
    start, end = found.span()
    if text[start] in "\"'`" or found["quote"]:
        return start, end
    if "%" in between.group() and (encoded := _URL_ENCODED_END.search(text, start, end)) is not None:
        return start, encoded.start()
    if between.group().startswith((": ", " = ")) and _starts_line(text, name):
        line_end = text.find("\n", end)
        line_end = len(text) if line_end < 0 else line_end
        if between.group().startswith(":") or "=" not in text[end:line_end]:
            return start, start + len(text[start:line_end].rstrip())
    return start, start + max(1, len(found.group().rstrip(")]}")))


def _line_start(text: str, position: int) -> int:
    return text.rfind("\n", max(0, position - _LONGEST_LEAD_CHARS), position) + 1


def _starts_line(text: str, name: Name) -> bool:
    return _LINE_START.search(text[max(0, name.start - 200) : name.start]) is not None
