"""Values that a blank parts from their names: requirepass x, ENV TOKEN x, PASSWORD 'x', the password is x."""

import re

from klepaas.output.masking.finding import Name
from klepaas.output.masking.lexing import VALUE
from klepaas.output.masking.names import Secrecy
from klepaas.output.masking.values import is_harmless_value, is_said_elsewhere
from klepaas.output.vault import MARK

__all__ = ["spaced_value", "value_below"]

# What stands on the line before a name whose value follows after a blank.
_LEAD = re.compile(
    r"(?:^|[\n;\"'`{])[ \t]{0,40}(?:(?P<command>(?:ENV|ARG|setenv|SET|set|config|configure set|CONFIG SET"
    r"|proxy_set_header|add_header|set_header|header_up|request_header|(?:fastcgi|uwsgi)_param"
    r"|(?:http-(?:request|response)[ \t])?set-header|(?:Request)?Header[ \t](?:always[ \t])?set"
    r"|(?:aws|git|npm|gcloud|oc|pip) config(?:ure)?(?: set)?)[ \t]{1,4}"
    r"|(?:machine|default|login)[ \t][^\n]{0,150}[ \t])?)\Z"
)
# Of these also inside of a line, as in a script: x && aws configure set NAME VALUE.
_COMMAND_BEFORE = re.compile(
    r"(?<![\w-])(?:config(?:ure)? set[ \t]{1,4}"
    r"|(?:proxy_set_header|add_header|set_header|header_up|set-header)[ \t]{1,4}"
    r"|(?:Request)?Header (?:always )?set[ \t]{1,4}|login[ \t]{1,8}\S{1,100}[ \t\n]{1,16})\Z"
)
_TO_LINE_END = re.compile(r"[ \t]{1,40}(?P<value>\S{4,200})[ \t\r]*+(?=\n|\\n|$)")
_AFTER_BLANK = re.compile(r"[ \t]{1,16}")
_LINE_END = re.compile(r"[ \t\r;]{0,16}(?:\n|\\n|#|\Z)")
_SQL = re.compile(
    r"(?:[ \t]{1,8}(?:FOR|for)[ \t]{1,8}\S{1,80})?(?:[ \t]{1,8}(?:WITH|with)[ \t]{1,8}\w{1,40})?"
    r"(?:[ \t]{1,8}(?:BY|AS|by|as))?[ \t]{0,8}=?[ \t]{0,8}(?=[\"'])"
)
_SQL_CALL = re.compile(rf"\((?=[\"'])|{_SQL.pattern}")
_PASSWORD = re.compile(r"(?:pass(?:word|wd|phrase|code)|pwd|identified)\Z", re.IGNORECASE)
# The password (for x) is y; a password is generated for x: y.
_SENTENCE = re.compile(
    r"[ \t](?:(?:for|of)[ \t][^\s:]{1,60}[ \t])?(?:is|was|now|to|changed to|set to|reset to)"
    r"(?:[ \t](?:now|set to|generated[ \t]for[ \t]\S{1,60}))?:?[ \t]"
    r"(?P<value>[^\s\"',;()]{6,128})(?=[.,;]?(?:\s|$))"
)
# Words that only configuration knows: what follows is the value, whatever it looks like.
_ONLY_CONFIGURATION = frozenset(
    {"requirepass", "masterauth", "bindpw", "rpcpassword", "rootpw", "storepass", "keypass", "psk"}
)
_SHORTEST_CHARS = 6
# The password is: or a key for x is, at the end of a line; alone on the next line stands the value.
_SENTENCE_ABOVE = re.compile(r"[ \t](?:(?:for|of|to)[ \t][^\s:]{1,60}[ \t])?(?:is|was):?(?=[ \t]{0,8}\r?\n)")
_BELOW = re.compile(
    r"[ \t]{0,8}(?:\r?\n[ \t]{0,16}){1,3}(?P<value>[`\"']?(?![-#<{\[/*|>(])[^\s`\"']{6,200}+[`\"']?)"
    r"[ \t\r]{0,8}(?=\n|\Z)"
)
_SETTING = re.compile(r"[\w.-]{1,100}(?:=(?!=?$)|:(?!$)|:$)")


def value_below(text: str, name: Name, end: int) -> tuple[int, int] | None:
    """Where a value stands that is alone on the line below its name.

    Args:
        text: The whole text.
        name: The name.
        end: Where the line of the name ends, but for blanks.
    """
    below = _BELOW.match(text, end) if name.secrecy is Secrecy.SECRET else None
    if below is None or _SETTING.match(below["value"]) is not None or not _is_random(below["value"].strip("`")):
        return None
    return below.span("value")


def spaced_value(text: str, name: Name) -> tuple[int, int] | None:
    """Where the value of a name stands that is followed by a blank, or nothing."""
    if _PASSWORD.search(name.text) is not None:
        quoted = (_SQL_CALL if name.text.lower() == "password" else _SQL).match(text, name.end)
        value = None if quoted is None or quoted.end() == name.end else VALUE.match(text, quoted.end())
        if value is not None:
            return None if is_said_elsewhere(value.group().strip("\"'")) else value.span()
    if (above := _SENTENCE_ABOVE.match(text, name.end)) is not None:
        return value_below(text, name, above.end())
    if name.secrecy is Secrecy.SECRET and (said := _SENTENCE.match(text, name.end)) is not None:
        return said.span("value") if _is_random(said["value"]) else None
    before = text[max(0, name.start - 240) : name.start]
    lead = _LEAD.search(before)
    if lead is None:
        found = None
    else:
        found = _of_line(text, name) if lead["command"] is None else _of_setting(text, name, lead["command"].strip())
    return _of_command(text, name) if found is None and _COMMAND_BEFORE.search(before) is not None else found


def _of_command(text: str, name: Name) -> tuple[int, int] | None:
    blank = _AFTER_BLANK.match(text, name.end)
    value = None if blank is None else VALUE.match(text, blank.end())
    return None if value is None or is_harmless_value(value.group().strip("\"'")) else value.span()


def _of_setting(text: str, name: Name, command: str) -> tuple[int, int] | None:
    blank = _AFTER_BLANK.match(text, name.end)
    value = None if blank is None else VALUE.match(text, blank.end())
    if value is None or is_said_elsewhere(value.group().strip("\"'")) or value.group().endswith(":"):
        return None
    # Of a message, set secret version 3, more words follow.
    return None if command == "set" and _LINE_END.match(text, value.end()) is None else value.span()


def _of_line(text: str, name: Name) -> tuple[int, int] | None:
    line = _TO_LINE_END.match(text, name.end)
    if line is None or MARK in line["value"] or "://" in line["value"] or is_said_elsewhere(line["value"].strip("\"'")):
        return None
    certain = name.text.lower() in _ONLY_CONFIGURATION or "login" in text[max(0, name.start - 100) : name.start]
    spelled = "." in name.text or "_" in name.text or not is_harmless_value(line["value"])
    return line.span("value") if certain or (spelled and _is_random(line["value"])) else None


def _is_random(value: str) -> bool:
    """Whether a value has letters and digits or signs, as a word of a sentence has not."""
    bare = "" if MARK in value else value.strip("\"'.,")
    signs = any(not char.isalpha() for char in bare)
    return len(bare) >= _SHORTEST_CHARS and signs and any(map(str.isalpha, bare)) and not is_harmless_value(bare)
