"""Values that a blank parts from their names: requirepass x, ENV TOKEN x, PASSWORD 'x', the password is x."""

import re

from klepaas.output.masking.finding import Name
from klepaas.output.masking.lexing import VALUE
from klepaas.output.masking.names import Secrecy
from klepaas.output.masking.values import is_harmless_value, is_said_elsewhere
from klepaas.output.vault import MARK

__all__ = ["spaced_value"]

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


def spaced_value(text: str, name: Name) -> tuple[int, int] | None:
    """Where the value of a name stands that is followed by a blank, or nothing."""
    if _PASSWORD.search(name.text) is not None:
        quoted = (_SQL_CALL if name.text.lower() == "password" else _SQL).match(text, name.end)
        value = None if quoted is None or quoted.end() == name.end else VALUE.match(text, quoted.end())
        if value is not None:
            return None if is_said_elsewhere(value.group().strip("\"'")) else value.span()
    if name.secrecy is Secrecy.SECRET and (said := _SENTENCE.match(text, name.end)) is not None:
        return said.span("value") if _is_random(said["value"]) else None
    before = text[max(0, name.start - 240) : name.start]
    lead = _LEAD.search(before)
    found = None if lead is None else _of_line(text, name, is_command=lead["command"] is not None)
    return _of_command(text, name) if found is None and _COMMAND_BEFORE.search(before) is not None else found


def _of_command(text: str, name: Name) -> tuple[int, int] | None:
    blank = _AFTER_BLANK.match(text, name.end)
    value = None if blank is None else VALUE.match(text, blank.end())
    return None if value is None or is_harmless_value(value.group().strip("\"'")) else value.span()


def _of_line(text: str, name: Name, *, is_command: bool) -> tuple[int, int] | None:
    blank = _AFTER_BLANK.match(text, name.end)
    if blank is None:
        return None
    if is_command:
        value = VALUE.match(text, blank.end())
        plain = value is None or is_said_elsewhere(value.group().strip("\"'"))
        return None if plain or value is None else value.span()
    line = _TO_LINE_END.match(text, name.end)
    if line is None or MARK in line["value"] or is_said_elsewhere(line["value"].strip("\"'")):
        return None
    certain = name.text.lower() in _ONLY_CONFIGURATION or "login" in text[max(0, name.start - 100) : name.start]
    spelled = "." in name.text or "_" in name.text or not is_harmless_value(line["value"])
    return line.span("value") if certain or (spelled and _is_random(line["value"])) else None


def _is_random(value: str) -> bool:
    """Whether a value has letters and digits or signs, as a word of a sentence has not."""
    bare = "" if MARK in value else value.strip("\"'.,")
    signs = any(not char.isalpha() for char in bare)
    return len(bare) >= _SHORTEST_CHARS and signs and any(map(str.isalpha, bare)) and not is_harmless_value(bare)
