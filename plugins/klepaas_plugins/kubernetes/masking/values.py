"""Single values: a text by its pattern, a variable or an argument by its name and its form."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from klepaas.output.masking.names import Secrecy, is_secret_name, secrecy
from klepaas.output.masking.values import is_hidden_value, is_reference
from klepaas.output.redaction import MARK, looks_secret, redact_text
from klepaas_plugins.kubernetes.masking.documents import mask_documents
from klepaas_plugins.kubernetes.masking.forms import (
    is_harmless,
    is_masked,
    looks_random,
    mask_address,
    mask_userinfo,
    masked,
)
from klepaas_plugins.kubernetes.masking.lines import mask_lines
from klepaas_plugins.kubernetes.masking.shapes import hidden
from klepaas_plugins.kubernetes.masking.shell import mask_words

__all__ = ["ValueMasker", "sized"]

# Documents inside documents are taken apart this deep; below, they are texts.
MAX_DEPTH = 5
MAX_BASE64_CHARS = 64 * 1024
# Names of what is public, however it looks: certificates, public keys, digests.
_PUBLIC = re.compile(
    r"(?:^|[-_./])(?:ca|crt|cert(?:ificate)?s?|public|checksum|sha\d{0,3}|digest|hash|uid|etag)(?:$|[-_.])"
    r"|(?:cluster|client|account|project|tenant|request|trace|span|build|run|instance|user|group|zone|resource)_id$"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# Too short for a token of any form, and without a sign that something in it is named.
_SHORT_WORD = re.compile(r"[A-Za-z0-9_. -]{0,11}")
_ADDRESS = re.compile(r"[\w+.:-]{1,40}://\S{1,4000}")
_LONG_WORD = re.compile(r"(?<=[/=])[A-Za-z0-9_-]{20,4096}")
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{8,}+(?:=[=\s]*+)?+")


class ValueMasker:
    """Masks texts and values; a document inside a text is masked as the data it is.

    Args:
        mask_data: Masks data that a text holds, at a depth.
        depth: How many texts are around this one.
    """

    def __init__(self, mask_data: Callable[[Any, int], Any], depth: int = 0) -> None:
        self._mask_data = mask_data
        self._depth = depth
        # The containers of a pod and the objects of a list repeat each other: each distinct text is judged once a call.
        self._texts: dict[str, str] = {}
        self._named: dict[tuple[str, str], str] = {}
        self._below: ValueMasker | None = None

    def text(self, text: str) -> str:
        """A text without what looks like a secret in it, by its form or by names in it."""
        found = self._texts.get(text)
        if found is None:
            found = self._texts[text] = self._judge_text(text)
        return found

    def _judge_text(self, text: str) -> str:
        if _SHORT_WORD.fullmatch(text):
            return text
        if looks_random(text) and len(text) >= 32:
            return MARK
        found = mask_documents(text, self._data) if self._depth < MAX_DEPTH else None
        if found is None:
            found = mask_lines(text)
        return redact_text(found)

    def _data(self, data: Any) -> Any:
        return self._mask_data(data, self._depth + 1)

    def name(self, text: str) -> str:
        """A name or an address without the password in it; `auth:v1` is an image with a tag."""
        if len(text) <= 16 and "@" not in text:
            return text
        found = mask_userinfo(text)
        return redact_text(found) if "=" in found or "://" in found or looks_secret(found) else found

    def named(self, name: str, value: str) -> str:
        """A value of a variable, a flag, a key: masked whole under a secret's name, else what its form tells."""
        if not value:
            return value
        found = self._named.get((name, value))
        if found is None:
            found = self._named[name, value] = self._judge_named(name, value)
        return found

    def _judge_named(self, name: str, value: str) -> str:
        if is_masked(value):
            return value
        judged = secrecy(name)
        if is_hidden_value(judged, value, in_configuration=True):
            return masked(value)
        if judged >= Secrecy.SOFT or is_harmless(value) or _SHORT_WORD.fullmatch(value):
            return value
        if is_reference(value):
            return redact_text(value)  # a template may hold a text: {{ .Values.password | default "x" }}
        inner = self._decoded(value)
        if inner is not None:
            return value if self._inner().named("", inner) == inner else masked(value)
        if looks_random(value):
            return value if _PUBLIC.search(_CAMEL.sub("_", name).lower()) else MARK
        if "://" in value:
            value = mask_address(value)
            if _ADDRESS.fullmatch(value):
                value = _LONG_WORD.sub(lambda match: MARK if looks_random(match.group()) else match.group(), value)
        return self.text(value)

    def _inner(self) -> "ValueMasker":
        if self._below is None:
            self._below = ValueMasker(self._mask_data, self._depth + 1)
        return self._below

    def _decoded(self, value: str) -> str | None:
        """The text that a value holds in base64; None where it holds none."""
        if len(value) > MAX_BASE64_CHARS or self._depth >= MAX_DEPTH or _BASE64.fullmatch(value) is None:
            return None
        try:
            inner = base64.b64decode("".join(value.split()), validate=True).decode()
        except (binascii.Error, ValueError):
            return None
        return inner if len(inner) >= 8 and all(char.isprintable() or char in "\n\r\t" for char in inner) else None

    def variable(self, name: str, value: Any) -> Any:
        """The value of an environment variable, of any type."""
        if isinstance(value, str):
            return self.named(name, value)
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, int | float):
            return masked(str(value)) if is_secret_name(name) else value
        if isinstance(value, Mapping) and is_secret_name(name):
            return {
                key: self._data(inner) if str(key) == "valueFrom" else hidden(inner, key)
                for key, inner in value.items()
            }
        return self._data(value)

    def environment(self, env: Any) -> Any:
        """Environment variables, as a list of names and values, of words (A=b), or as a mapping."""
        if isinstance(env, Mapping):
            return {name: self.variable(str(name), value) for name, value in env.items()}
        if not isinstance(env, list):
            return self.variable("env", env)
        return [self._item(item) for item in env]

    def _item(self, item: Any) -> Any:
        if isinstance(item, str):
            name, equals, value = item.partition("=")
            return f"{name}={self.named(name, value)}" if equals else self.text(item)
        if not isinstance(item, Mapping) or not isinstance(item.get("name"), str):
            return self._data(item)
        rest = self._mask_data({key: value for key, value in item.items() if key != "value"}, self._depth)
        return {key: self.variable(item["name"], value) if key == "value" else rest[key] for key, value in item.items()}

    def headers(self, headers: Any) -> Any:
        """A list of names and values."""
        return self.environment(headers)

    def arguments(self, words: Any) -> Any:
        """A command line, as words or as one text."""
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            return self.words(words)
        return self.words([words])[0] if isinstance(words, str) else self._data(words)

    def words(self, words: Sequence[str]) -> list[str]:
        """A command line in words."""
        return mask_words(words, self.named, self.text)


def sized(value: Any, *, encoded: bool) -> Any:
    """The mark for a value of a Secret, with its size.

    Args:
        value: The value; of what should be no value of a Secret, each part is one.
        encoded: Whether it is in base64.
    """
    if isinstance(value, Mapping):
        return {key: sized(inner, encoded=encoded) for key, inner in value.items()}
    if isinstance(value, list):
        return [sized(inner, encoded=encoded) for inner in value]
    text = "" if value is None else str(value)
    try:
        size_bytes = len(base64.b64decode(text, validate=True)) if encoded else len(text.encode())
    except (binascii.Error, ValueError):
        return masked(text)
    return masked(text, size_bytes)
