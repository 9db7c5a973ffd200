"""Secrets in the texts that Kubernetes objects carry: configuration files, command lines, annotations.

`klepaas.output.redaction` finds secrets in any text, also in prose, so it must leave doubtful ones alone. Here it is
known that the text is configuration: what stands after a secret's name is masked to the end of its line, with the lines
that belong to it. Masking twice is the same as masking once.
"""

import re
from collections.abc import Iterator, Sequence

from klepaas.output.redaction import MARK, is_secret_name, redact_text

__all__ = ["is_harmless", "is_masked", "is_secret", "mask_arguments", "mask_text", "masked"]

# A value that is one long word of mixed letters and digits. Names, uids and digests have no upper case.
_TOKEN = re.compile(r"(?=[^A-Z]*[A-Z])(?=[^a-z]*[a-z])(?=[^0-9]*[0-9])[A-Za-z0-9+_=-][A-Za-z0-9+/_=-]{31,}")
_MASKED = re.compile(rf"{MARK}( \(\d+ bytes\))?")
# Names that hold a secret in configuration, where a wrong guess costs only a masked value.
_ENDS_SECRET = re.compile(
    r"(?:pass|password|passwd|passphrase|secret|token|apikey|secretkey|accesskey|privatekey|credential|masterauth|htpasswd)s?$"
    r"|(?:^|[-_.])(?:pw|pat|psk|otp|pin|salt|seed|mnemonic|jaas|auth|dsn)s?$"
    r"|jaas[-_.]config$|licen[cs]e[-_.]?key$",
    re.IGNORECASE,
)
_LINE = re.compile(
    r"(?P<lead>\s*+(?:[-*]\s++)?+(?:(?:export|set|env|arg)\s++)?[\"']?)(?P<name>[A-Za-z0-9_.\-\[\]/]{1,200})"
    r"(?P<between>[\"']?\s*+(?:=>|:=|[:=])\s*+|\s++(?=\S++\s*+$))(?P<value>.*+)",
    re.IGNORECASE,
)
_BLOCK = re.compile(r"[|>][-+0-9]{0,2}\s*(#.*)?")
_ITEM = re.compile(r"(?P<lead>\s*-\s+)(?P<value>\S.*)")
# A value that only points to another one. A default inside (${X:-y}) would be a value.
_POINTER = re.compile(
    r"[\"']?(?:\$\(?\{?[A-Za-z0-9_.]+[)}]?|\{\{[-\s]*+[$A-Za-z0-9_.][$A-Za-z0-9_.\s]*+[-\s]*+\}\})[\"']?,?"
)
_TAG = re.compile(r"<(?P<name>[A-Za-z0-9_.:-]{1,100})>(?P<value>[^<>]+)</")
_FLAG = re.compile(r"(?P<flag>--?[A-Za-z][A-Za-z0-9_.-]*)(?:(?P<equals>=)(?P<value>[\s\S]*))?")
_SHORT_SECRET_FLAG = re.compile(r"(?<!\S)(?P<flag>-[pau])(?P<space>\s+|(?=\S{4}))(?P<value>\S+)")
_TAKES_SHORT_FLAG = re.compile(r"\b(?:mysql\w*|mariadb[\w-]*|mongo\w*|redis-cli|sshpass|curl|psql|ldapsearch)\b")
_HARMLESS = re.compile(
    r"true|false|yes|no|on|off|none|null|auto|default|enabled|disabled|all|any|always|never"
    r"|trace|debug|info|notice|warn|warning|error|fatal|critical"
    r"|prod|production|stage|staging|dev|devel|development|test|testing|qa|local|demo|sandbox"
    r"|json|text|plain|yaml|logfmt|utf-?8|utc|asia/seoul|c\.utf-8|[a-z]{2}_[a-z]{2}(?:\.utf-8)?"
    r"|-?\d{1,6}(?:\.\d{1,4})?(?:ms|s|m|h|d|k|g|t|ki|mi|gi|ti|%)?"
    r"|localhost(?::\d{1,5})?|(?:127|0|10)\.\d{1,3}\.\d{1,3}\.\d{1,3}(?::\d{1,5})?"
    r"|(?:https?://)?[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})?\.svc(?:\.cluster\.local)?(?::\d{1,5})?/?"
    r"|\$\([A-Za-z0-9_.-]+\)|",
    re.IGNORECASE,
)


def is_secret(name: str) -> bool:
    """Whether a configuration key, field or variable of this name usually holds a secret."""
    tail = name.rsplit("/", 1)[-1]
    return is_secret_name(tail) or _ENDS_SECRET.search(tail) is not None


def is_harmless(value: str) -> bool:
    """Whether a value is evidently no secret: a switch, a short number, a log level, a service's address."""
    return _HARMLESS.fullmatch(value) is not None


def is_masked(value: str) -> bool:
    """Whether a value is nothing but a mark."""
    return _MASKED.fullmatch(value) is not None


def masked(value: str, size_bytes: int | None = None) -> str:
    """The mark for a value, with the value's size where that may be told."""
    if is_masked(value):
        return value
    return MARK if size_bytes is None else f"{MARK} ({size_bytes} bytes)"


def mask_text(text: str) -> str:
    """A configuration text with every secret in it masked."""
    if _TOKEN.fullmatch(text):
        return MARK
    found = "\n".join(_lines(text.split("\n")))
    found = _TAG.sub(_tag, found)
    return redact_text(found)


def mask_arguments(words: Sequence[str]) -> list[str]:
    """A command line with the values of its secret flags masked, in both forms (`--token=x`, `--token x`)."""
    short = any(_TAKES_SHORT_FLAG.search(word) for word in words)
    result: list[str] = []
    takes_value = False
    for word in words:
        flag = _FLAG.fullmatch(word)
        secret = flag is not None and (
            is_secret(flag["flag"].lstrip("-")) or (short and flag["flag"] in ("-p", "-a", "-u"))
        )
        if takes_value and flag is None:
            result.append(masked(word))
        elif flag is not None and secret and flag["equals"]:
            result.append(f"{flag['flag']}={masked(flag['value'])}")
        else:
            result.append(_argument(word, short))
        takes_value = secret and flag is not None and not flag["equals"]
    return result


def _argument(word: str, short: bool) -> str:
    word = mask_text(word)
    return _SHORT_SECRET_FLAG.sub(rf"\g<flag>\g<space>{MARK}", word) if short else word


def _tag(match: re.Match[str]) -> str:
    return f"<{match['name']}>{masked(match['value'])}</" if is_secret(match["name"]) else match.group()


def _lines(lines: Sequence[str]) -> Iterator[str]:
    """The lines, masked; `below` is the indentation of a secret's name whose value stands on the lines below it."""
    below: int | None = None
    whole_block = False
    pair = False
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if below is not None and line.strip():
            if indent > below or (indent == below and not whole_block and line.lstrip().startswith("- ")):
                yield _continued(line, whole_block)
                continue
            below = None
        found = _LINE.fullmatch(line)
        value = found["value"].strip() if found is not None else ""
        if found is None or not (is_secret(found["name"]) or (pair and found["name"] == "value")):
            # A manifest inside a text: "- name: PASSWORD" says what the line "value: x" after it holds.
            pair = found is not None and found["name"] in ("name", "key") and is_secret(value.strip("\"',"))
            yield line
            continue
        if not value or _BLOCK.fullmatch(value):
            below, whole_block = indent, bool(value)
            yield line
        else:
            yield _named(found, value)


def _continued(line: str, whole_block: bool) -> str:
    """A line under a secret's name: all of a block, the items of a list; fields are judged by their own names."""
    if whole_block:
        return line[: len(line) - len(line.lstrip())] + masked(line.strip())
    field = _LINE.fullmatch(line)
    if field is not None and re.search(r"[:=]", field["between"]):
        return _named(field, field["value"].strip()) if is_secret(field["name"]) and field["value"].strip() else line
    item = _ITEM.fullmatch(line)
    if item is not None:
        return item["lead"] + masked(item["value"].strip())
    return line[: len(line) - len(line.lstrip())] + masked(line.strip())


def _named(found: re.Match[str], value: str) -> str:
    """A secret's line with its value masked in its own quotes, so that the text keeps its form."""
    if _POINTER.fullmatch(value) or value.rstrip(",") in ("{", "[", "{}", "[]", '""', "''", "null", "true", "false"):
        return found.group()
    end = "," if value.endswith(",") else ""
    bare = value.removesuffix(",")
    quote = bare[0] if bare[0] in "\"'" and len(bare) > 1 and bare.endswith(bare[0]) else ""
    inner = bare[1:-1] if quote else bare
    return f"{found['lead']}{found['name']}{found['between']}{quote}{masked(inner)}{quote}{end}"
