"""Secrets inside of templates: `{{ .Values.password | default "x" }}`, `{{ dict "name" "PASSWORD" "value" "x" }}`."""

import itertools
import re
from collections.abc import Iterator

from klepaas.output.masking.names import Secrecy, secrecy
from klepaas.output.masking.values import is_said_elsewhere
from klepaas.output.vault import MARK

__all__ = ["redact_templates"]

_TEMPLATE = re.compile(r"\{[{%][^{}\n]{1,400}+[%}]\}?")
_TOKEN = re.compile(r"(?P<quote>\\{0,4}[\"'])(?P<text>[^\"'\\]{0,200})(?P=quote)|(?P<word>[\w.$|]{1,120})|[^\w\"'\\]")
_VALUE_WORDS = frozenset({"value", "val", "default", "content", "data"})


def redact_templates(text: str) -> str:
    """The text with the literals in its templates masked that are defaults or values of secrets."""
    return _TEMPLATE.sub(_redact, text) if "{{" in text or "{%" in text else text


def _redact(match: re.Match[str]) -> str:
    template = match.group()
    if '"' not in template and "'" not in template:
        return template
    pieces: list[str] = []
    done = 0
    for start, end in sorted({*_defaults(template), *_pairs(template)}):
        pieces += [template[done:start], MARK]
        done = end
    return "".join(pieces) + template[done:]


def _defaults(template: str) -> Iterator[tuple[int, int]]:
    """Yield the literals behind `default`, where the template names a secret."""
    tokens = [token for token in _TOKEN.finditer(template) if token["quote"] or token["word"]]
    words = [token["word"].strip("|") for token in tokens if token["word"]]
    if not any(secrecy(word.strip(".$")) is Secrecy.SECRET for word in words):
        return
    for before, token in itertools.pairwise(tokens):
        if (before["word"] or "").strip("|") == "default" and token["quote"] and _is_value(token["text"]):
            yield token.span("text")


def _pairs(template: str) -> Iterator[tuple[int, int]]:
    """Yield the literals that follow the name of a secret which is a literal too."""
    literals = [token for token in _TOKEN.finditer(template) if token["quote"]]
    for at, token in enumerate(literals[:-1]):
        if secrecy(token["text"]) is not Secrecy.SECRET:
            continue
        beside = literals[at + 1 : at + 3]
        if beside[0]["text"].lower() not in _VALUE_WORDS:
            beside = beside[:1]
        ends = (token, *beside)
        apart = [template[one.end() : two.start()] for one, two in itertools.pairwise(ends)]
        if all(gap and not gap.strip(" \t,:=") for gap in apart) and _is_value(beside[-1]["text"]):
            yield beside[-1].span("text")


def _is_value(text: str) -> bool:
    return MARK not in text and not is_said_elsewhere(text) and secrecy(text) is Secrecy.PLAIN
