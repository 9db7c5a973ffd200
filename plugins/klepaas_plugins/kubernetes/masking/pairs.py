"""Pairs of a name and a value under whatever words: `{name: DB_PASSWORD, value: x}`, `{id: apiKey, default: x}`."""

import re
from collections.abc import Mapping
from typing import Any

from klepaas_plugins.kubernetes.masking.names import is_reference, is_secret, words

__all__ = ["is_identifier", "is_value_word", "names_a_secret", "secret_fields"]

_IDENTIFIERS = words("""
    name key id variable var env envname envvar header headername field fieldname param parameter
    parametername property option attribute attr setting label title item entry code secretname configkey
    variablename keyname argument arg flag input slug identifier
""")
_VALUE_WORD = re.compile(
    r"(?:values?|vals?|defaults?)\d{0,2}$"
    r"|(?:^|_)(?:contents?|data|literal|text|string|raw|plain(?:text)?|expected|current|initial|body|payload)\d{0,2}$"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# Beside a name and nothing else these still hold no value.
_DESCRIPTIONS = words("""
    description help type kind usage mountpath subpath namespace apiversion label title image tag protocol
    port in scope group version format pattern message reason status phase role host effect operator
    topologykey claimname
""")
_WORD = re.compile(r"[\w./ -]{1,120}")


def is_identifier(field: str) -> bool:
    """Whether a field of this name says what the field beside it holds."""
    return field.lower().replace("_", "").replace("-", "") in _IDENTIFIERS


def is_value_word(field: str) -> bool:
    """Whether a field of this name holds the value of a pair."""
    spelled = _CAMEL.sub("_", field[:60]).replace("-", "_").lower()
    return _VALUE_WORD.search(spelled) is not None


def names_a_secret(pair: Mapping[str, Any]) -> bool:
    """Whether one field of a mapping names a secret that another one holds."""
    return any(
        isinstance(value, str) and is_identifier(str(key)) and _WORD.fullmatch(value) is not None and is_secret(value)
        for key, value in pair.items()
    )


def secret_fields(pair: Mapping[str, Any]) -> frozenset[str]:
    """The fields of a mapping whose value another of its fields names as a secret."""
    if not 2 <= len(pair) <= 12 or not names_a_secret(pair):
        return frozenset()
    found = {key for key in pair if is_value_word(str(key)) and not is_identifier(str(key))}
    if not found and len(pair) == 2:
        # Two fields alone are a pair under any words.
        found = {key for key in pair if not is_identifier(str(key)) and not _describes(str(key))}
    return frozenset(found)


def _describes(field: str) -> bool:
    return is_reference(field) or field.lower() in _DESCRIPTIONS
