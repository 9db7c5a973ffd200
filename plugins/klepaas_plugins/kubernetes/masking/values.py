"""Single values: a text by its pattern, a variable or an argument by its name and its form."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from klepaas.output.redaction import MARK, redact_text
from klepaas_plugins.kubernetes.masking.documents import mask_documents
from klepaas_plugins.kubernetes.masking.forms import (
    is_harmless,
    is_masked,
    is_pointer,
    is_switch,
    looks_random,
    mask_userinfo,
    masked,
)
from klepaas_plugins.kubernetes.masking.lines import mask_lines
from klepaas_plugins.kubernetes.masking.markup import mask_markup
from klepaas_plugins.kubernetes.masking.names import is_secret
from klepaas_plugins.kubernetes.masking.secret_blocks import mask_secret_blocks
from klepaas_plugins.kubernetes.masking.shell import mask_commands, mask_words

__all__ = ["ValueMasker", "sized"]

# Documents inside documents are taken apart this deep; below, they are texts.
MAX_DEPTH = 5
# Names of what is public, however it looks: certificates, public keys, digests.
_PUBLIC = re.compile(
    r"(?:^|[-_./])(?:ca|crt|cert(?:ificate)?s?|public|checksum|sha\d{0,3}|digest|hash|uid|etag)(?:$|[-_.])"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_LONG_WORD = re.compile(r"(?<=[/=])[A-Za-z0-9_-]{20,4096}")
# Where secrets are mounted; a file's path under a secret's name is none.
_FILE = re.compile(
    r"(?:/(?:etc|run|var|opt|tmp|mnt|home|usr|srv|app|data|config|secrets?|vault|certs?)|\.{1,2})(?:/[\w.-]{1,100}){1,12}/?"
)
# A name whose value is base64 of a text that names its own secrets.
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{16,}+(?:=[=\s]*+)?+")


class ValueMasker:
    """Masks texts and values; a document inside a text is masked as the data it is.

    Args:
        mask_data: Masks data that a text holds, at a depth.
        depth: How many texts are around this one.
    """

    def __init__(self, mask_data: Callable[[Any, int], Any], depth: int = 0) -> None:
        self._mask_data = mask_data
        self._depth = depth

    def text(self, text: str) -> str:
        """A text without what looks like a secret in it, by its form or by names in it."""
        if looks_random(text) and len(text) >= 32:
            return MARK
        found = mask_documents(text, self._data) if self._depth < MAX_DEPTH else None
        if found is None:
            found = mask_markup(mask_secret_blocks(mask_lines(text)))
        return redact_text(mask_commands(found))

    def _data(self, data: Any) -> Any:
        return self._mask_data(data, self._depth + 1)

    def name(self, text: str) -> str:
        """A name or an address without the password in it."""
        return redact_text(mask_userinfo(text)) if "@" in text or len(text) > 16 else text

    def named(self, name: str, value: str) -> str:
        """A value of a variable, a flag, a key: masked whole under a secret's name, else what its form tells."""
        if not value or is_harmless(value) or is_pointer(value) or is_masked(value):
            return self._harmless(name, value)
        if is_secret(name):
            return value if _FILE.fullmatch(value) else masked(value)
        if looks_random(value):
            return value if _PUBLIC.search(_CAMEL.sub("_", name).lower()) else MARK
        if "://" in value:
            value = _LONG_WORD.sub(lambda match: MARK if looks_random(match.group()) else match.group(), value)
        return self._encoded(self.text(value))

    def _harmless(self, name: str, value: str) -> str:
        """A switch, or a pointer; under a secret's name a number or a word is none."""
        keeps = is_switch(value) or is_pointer(value) or is_masked(value) or not is_secret(name)
        return value if keeps else masked(value)

    def _encoded(self, value: str) -> str:
        """A value that is base64 of a text with secrets in it, masked whole."""
        if len(value) > 65536 or self._depth >= MAX_DEPTH or _BASE64.fullmatch(value) is None:
            return value
        try:
            inner = base64.b64decode("".join(value.split()), validate=True).decode()
        except (binascii.Error, ValueError):
            return value
        return value if ValueMasker(self._mask_data, self._depth + 1).text(inner) == inner else masked(value)

    def variable(self, name: str, value: Any) -> Any:
        """The value of an environment variable, of any type."""
        if isinstance(value, str):
            return self.named(name, value)
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, int | float):
            return masked(str(value)) if is_secret(name) else value
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


def sized(value: Any, *, encoded: bool) -> str:
    """The mark for a value of a Secret, with its size.

    Args:
        value: The value.
        encoded: Whether it is in base64.
    """
    text = "" if value is None else str(value)
    try:
        size_bytes = len(base64.b64decode(text, validate=True)) if encoded else len(text.encode())
    except (binascii.Error, ValueError):
        return masked(text)
    return masked(text, size_bytes)
