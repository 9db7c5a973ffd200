"""Rules for secrets that stand behind certain words: an expression, and the signs without which no text has a match."""

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from klepaas.output.masking.values import is_reference
from klepaas.output.vault import MARK

__all__ = ["WORD", "SignRule", "apply_rules", "behind", "has_sign", "mask_secret"]

# A word of a command: quoted or not.
WORD = r"(?:\"[^\"\n]{1,200}\"|'[^'\n]{1,200}'|[^\s\"',;|&<>()\]\[]{1,200})"


class SignRule(NamedTuple):
    """An expression with the groups `before` and `secret`, for texts that hold one of the signs."""

    signs: tuple[str, ...]
    expression: re.Pattern[str]


def behind(before: str, secret: str = WORD) -> re.Pattern[str]:
    """An expression for a secret behind other words.

    Args:
        before: The expression of what stands before the secret and stays.
        secret: The expression of the secret.
    """
    return re.compile(f"(?P<before>{before})(?P<secret>{secret})")


def apply_rules(text: str, rules: Iterable[SignRule], mask: Callable[[re.Match[str]], str] | None = None) -> str:
    """The text with the secret of each rule masked.

    Args:
        text: The text.
        rules: The rules; one is tried only where one of its signs stands in the text.
        mask: What replaces a match; `mask_secret` where it is None.
    """
    for rule in rules:
        if any(sign in text for sign in rule.signs):
            text = rule.expression.sub(mask or mask_secret, text)
    return text


def has_sign(text: str, signs: tuple[str, ...]) -> bool:
    """Whether one of the signs stands in a text: asked once for all rules, before each is asked for its own."""
    for sign in signs:  # noqa: SIM110 -- a generator takes four times as long, and this is asked of every text
        if sign in text:
            return True
    return False


def mask_secret(match: re.Match[str]) -> str:
    """A match with its secret masked in its own quotes; a variable, a short number and the mark stay."""
    secret = match["secret"]
    bare = secret.strip("\"'")
    # Between single quotes a shell replaces no variable.
    is_variable = bare.startswith("$") and not secret.startswith("'")
    if is_variable or is_reference(bare) or bare.startswith(MARK) or (bare.isdigit() and len(bare) < 6):
        return match.group()
    quote = secret[0] if secret[0] in "\"'" else ""
    return f"{match['before']}{quote}{MARK}{quote}"
