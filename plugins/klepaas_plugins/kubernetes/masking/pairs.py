"""Pairs of a name and a value under whatever words: `{name: DB_PASSWORD, value: x}`, `{id: apiKey, default: x}`."""

import re
from collections.abc import Mapping
from typing import Any

from klepaas.output.masking.field_names import is_identifier, is_reference, is_value_word
from klepaas.output.masking.name_words import words
from klepaas.output.masking.names import Secrecy, secrecy
from klepaas.output.masking.values import is_hidden_value

__all__ = ["secrecy_of_pair", "secret_fields"]

# Beside a name and nothing else these still hold no value.
_DESCRIPTIONS = words("""
    description help type kind usage mountpath subpath namespace apiversion label title image tag protocol
    port in scope group version format pattern message reason status phase role host effect operator
    topologykey claimname prefix suffix defaultmode required optional version
""")
_SMALL = 4
# A shorter name of a secret, as sid or pin, may be anything else.
_SHORTEST_CHARS = 6
_WORD = re.compile(r"[\w./ -]{1,120}")


def secrecy_of_pair(pair: Mapping[str, Any], *, least_chars: int = 0) -> Secrecy:
    """How surely one field of a mapping names a secret that another one holds.

    Args:
        pair: The mapping.
        least_chars: Shorter names do not count.
    """
    named = [
        _secrecy_named_by(str(key), value)
        for key, value in pair.items()
        if isinstance(value, str) and len(value) >= least_chars
    ]
    return max(named, default=Secrecy.PLAIN)


def _secrecy_named_by(field: str, value: str) -> Secrecy:
    if field in ("path", "from") and value.startswith("/"):
        return secrecy(value)  # of a JSON patch: {op: replace, path: /spec/password, value: ...}
    return secrecy(value) if is_identifier(field) and _WORD.fullmatch(value) is not None else Secrecy.PLAIN


def secret_fields(pair: Mapping[str, Any]) -> frozenset[str]:
    """The fields of a mapping whose value another of its fields names as a secret."""
    judged = secrecy_of_pair(pair) if 2 <= len(pair) <= 12 else Secrecy.PLAIN
    if judged is Secrecy.PLAIN:
        return frozenset()
    fields = {key for key, value in pair.items() if not is_identifier(str(key)) or _is_value(str(key), value)}
    found = {key for key in fields if is_value_word(str(key))}
    if (
        len(pair) <= _SMALL
        and secrecy_of_pair(pair, least_chars=_SHORTEST_CHARS) is not Secrecy.PLAIN
        and not any(isinstance(pair[key], Mapping | list) for key in fields)
    ):
        # What stands beside a name in a small mapping is its value, under any word.
        found |= {key for key in fields if isinstance(pair[key], str) and not _describes(str(key))}
    if judged is Secrecy.UNCERTAIN:
        found = {key for key in found if isinstance(pair[key], str) and is_hidden_value(judged, pair[key])}
    return frozenset(found)


def _is_value(field: str, value: Any) -> bool:
    """Whether a field of a name that is used for both, as `setting`, holds the value of a pair."""
    return is_value_word(field) and not (isinstance(value, str) and _secrecy_named_by(field, value))


def _describes(field: str) -> bool:
    return is_reference(field) or field.lower() in _DESCRIPTIONS
