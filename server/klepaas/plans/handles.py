"""Handles of plans: random, easy to type, and like no secret."""

import secrets

__all__ = ["is_handle", "new_handle"]

# No vowels, no look-alikes, in short groups: redaction takes longer random words for secrets, and people type these.
_ALPHABET = "bcdfghjkmnpqrstvwxz23456789"
_GROUPS, _GROUP_CHARS = 4, 5
_PREFIX = "plan"


def new_handle() -> str:
    """A new handle of 95 random bits: `plan-` and four groups of letters and digits."""
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP_CHARS)) for _ in range(_GROUPS))
    return "-".join([_PREFIX, *groups])


def is_handle(text: str) -> bool:
    """Whether a text can be a handle at all.

    Args:
        text: Whatever somebody sent.
    """
    prefix, *groups = text.split("-")
    fits = all(len(group) == _GROUP_CHARS and set(group) <= set(_ALPHABET) for group in groups)
    return prefix == _PREFIX and len(groups) == _GROUPS and fits
