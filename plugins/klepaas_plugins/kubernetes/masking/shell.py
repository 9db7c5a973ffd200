"""Secrets on command lines that are lists of words: after a flag with a secret's name, or one that a program expects.

Commands in texts are read by `klepaas.output.masking.commands`; of a list the ends of the words are known.
"""

import re
from collections.abc import Callable, Sequence

from klepaas.output.masking.names import Secrecy, secrecy
from klepaas.output.masking.values import is_reference
from klepaas_plugins.kubernetes.masking.forms import masked

__all__ = ["mask_words"]

_FLAG = re.compile(r"(?P<flag>--?[A-Za-z][A-Za-z0-9_.-]{0,100})(?:(?P<equals>=)(?P<value>[\s\S]*))?")
# What begins with a dash behind a flag that expects a secret, and is no flag.
_DASHED_VALUE = re.compile(r"-(?=[^0-9]*+[0-9])[^-=]{5,}")
_ASSIGNMENT = re.compile(r"(?P<name>[A-Za-z_][\w.-]{0,100})=(?P<value>[\s\S]+)")
# Flags of one dash that only begin like a short one with its value glued on.
_LONG_FLAGS = r"(?:ort|id|ath|rotocol|lugin|refix|rint)"
_SHORT_FLAGS = {
    "mysql": ("-p",),
    "mariadb": ("-p",),
    "mongo": ("-p",),
    "redis-cli": ("-a",),
    "sshpass": ("-p",),
    "ldap": ("-w",),
}
_USER_FLAGS = ("-u", "--user", "-U", "--proxy-user")


def mask_words(
    words: Sequence[str], mask_named: Callable[[str, str], str], mask_text: Callable[[str], str]
) -> list[str]:
    """A command line with the values of its secret flags masked, in both forms (`--token=x`, `--token x`).

    Args:
        words: The words.
        mask_named: Masks a value by its name and form.
        mask_text: Masks a text by its pattern.
    """
    short = {flag for word in words[:4] for program, flags in _SHORT_FLAGS.items() if program in word for flag in flags}
    result: list[str] = []
    before = ""
    for word in words:
        flag = _FLAG.fullmatch(word)
        if before and (flag is None or _DASHED_VALUE.fullmatch(word)):
            result.append(_after_flag(word, before, mask_named))
        elif flag is not None and flag["equals"]:
            result.append(f"{flag['flag']}={mask_named(flag['flag'].lstrip('-'), flag['value'])}")
        else:
            result.append(_other(word, short, mask_named, mask_text))
        expects = flag is not None and not flag["equals"]
        name = flag["flag"] if flag is not None else ""
        before = (
            name
            if expects and (secrecy(name.lstrip("-")) is not Secrecy.PLAIN or name in short or name in _USER_FLAGS)
            else ""
        )
    return result


def _after_flag(word: str, flag: str, mask_named: Callable[[str, str], str]) -> str:
    if flag in _USER_FLAGS:
        name, colon, secret = word.partition(":")
        return f"{name}:{masked(secret)}" if colon and secret and not secret.startswith("$") else word
    name = flag.lstrip("-")
    return mask_named(name if secrecy(name) is not Secrecy.PLAIN else "password", word)


def _other(word: str, short: set[str], mask_named: Callable[[str, str], str], mask_text: Callable[[str], str]) -> str:
    glued = next((flag for flag in short if word.startswith(flag) and len(word) > 2 and "\n" not in word), None)
    if (
        glued is not None
        and word[2:3] not in "-="
        and re.match(_LONG_FLAGS, word[2:]) is None
        and not is_reference(word[2:])
    ):
        return glued + masked(word[2:])
    assignment = _ASSIGNMENT.fullmatch(word) if "\n" not in word else None
    if assignment is not None:
        return f"{assignment['name']}={mask_named(assignment['name'], assignment['value'])}"
    return mask_text(word)
