"""Secrets in text: found by what stands before them, by their form, or because klepaas itself holds them.

Prevention comes first: a plugin does not fetch a secret, or masks the field that it knows to be one. This is the net
under it, on every way out. It works on text without knowing what the text means, so it is a best effort for third-party
formats and exact for values given to `Vault.keep`. What is looked for stands in `klepaas.output.masking`, one module
for each kind: the names of secrets, the formats of tokens, private keys, addresses, assignments.

Redaction is one-way: `MARK` never turns back into a value, and a document that contains it must not be applied.
"""

from klepaas.output.masking.names import Secrecy, is_secret_name, secrecy
from klepaas.output.vault import MARK, Vault, vault

__all__ = [
    "MARK",
    "Vault",
    "compile_rules",
    "is_said_elsewhere",
    "is_secret_field",
    "is_secret_name",
    "looks_secret",
    "redact_text",
    "vault",
]

# The rules are imported when the first text comes: their expressions take longer to compile than a start may.


def compile_rules() -> None:
    """Import and compile the rules, for whoever has the time before the first text comes."""
    redact_text("password=" + "0" * 40)


def is_said_elsewhere(value: str) -> bool:
    """Whether what stands after a secret's name is no secret: nothing, a type, a reference, a path.

    Args:
        value: The value without its quotes.
    """
    from klepaas.output.masking import values

    return values.is_said_elsewhere(value)


def is_secret_field(name: str, value: str) -> bool:
    """Whether a field of data holds a secret, by its name and the form of its value.

    Args:
        name: The name of the field.
        value: Its text; one that leads to a secret, as `${PASSWORD}` does, is none.
    """
    judged = secrecy(name)
    if judged is Secrecy.PLAIN:
        return False
    from klepaas.output.masking import values

    return values.is_hidden_value(judged, value, in_configuration=True)


def looks_secret(value: str) -> bool:
    """Whether a value's own form says that it is a secret."""
    from klepaas.output.masking import rules

    return rules.looks_secret(value)


def redact_text(text: str) -> str:
    """The text with `MARK` in place of everything that looks like a secret.

    Args:
        text: Any text: a log, a message, a configuration file. It is returned as it is where nothing looks like a
            secret.
    """
    from klepaas.output.masking import rules

    return rules.redact(text)
