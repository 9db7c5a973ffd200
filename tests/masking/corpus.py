"""The masking corpus: texts with planted secrets and innocent texts, in the forms met in public, in families.

A family holds templates of our own writing; each is filled by a seeded generator, several times with different words.
In a template «p» is a password, «w» one of letters only, «k» a key without a prefix, «b» base64, «h» 32 hexadecimal
characters, «t» a token of a random format of the table, «a» an AWS secret key, «u:NAME» anything else; «user», «host»,
«db» and «name» are harmless words that must stay.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from klepaas.output.masking.token_table import DISTINCT

from . import (
    innocent,
    innocent_code,
    planted_addresses,
    planted_code,
    planted_commands,
    planted_devices,
    planted_files,
    planted_kubernetes,
    planted_prose,
)
from .samples import Samples

_PLANTED = (
    planted_addresses,
    planted_code,
    planted_commands,
    planted_devices,
    planted_files,
    planted_kubernetes,
    planted_prose,
)
_FIELD = re.compile(r"«(\w+)»")
_USERS = ("app", "orders", "svc-web", "reporting", "jane", "ci_bot", "root", "admin")
_HOSTS = ("db.internal", "mysql-0.db.svc", "10.0.3.17", "queue.example.com", "cache", "registry.example")
_NAMES = ("orders", "billing", "web", "catalog", "search", "gateway", "worker")
FILLS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text of a family, the secrets that were planted in it and the harmless words that must stay."""

    family: str
    text: str
    secrets: tuple[str, ...]
    harmless: tuple[str, ...]


def planted_texts(seed: int = 14) -> list[Text]:
    """Every text with secrets in it."""
    families: dict[str, Sequence[str]] = {}
    for module in _PLANTED:
        families.update(module.FAMILIES)
    samples = Samples(seed)
    return [
        _fill(family, template, samples)
        for family, templates in families.items()
        for template in templates
        for _ in range(FILLS)
    ]


def innocent_texts(seed: int = 41) -> list[Text]:
    """Every text without a secret."""
    samples = Samples(seed)
    families: Mapping[str, Sequence[str]] = {**innocent.FAMILIES, **innocent_code.FAMILIES}
    return [
        _fill(family, template, samples)
        for family, templates in families.items()
        for template in templates
        for _ in range(FILLS if "«" in template else 1)
    ]


def surviving(text: Text, redacted: str) -> list[str]:
    """The secrets of a text that are still in it, whole or a piece of ten characters of them."""
    return [secret for secret in text.secrets if any(piece in redacted for piece in _pieces(secret))]


def _pieces(secret: str) -> Iterator[str]:
    size = min(len(secret), 10)
    yield from (secret[at : at + size] for at in range(len(secret) - size + 1))


def _fill(family: str, template: str, samples: Samples) -> Text:
    secrets: list[str] = []
    harmless: list[str] = []

    def field(match: re.Match[str]) -> str:
        kind = match[1]
        if kind in _SECRETS:
            secrets.append(_SECRETS[kind](samples))
            return secrets[-1]
        word = samples.random.choice(_HARMLESS[kind]) if kind in _HARMLESS else _FILLERS[kind](samples)
        if kind in _HARMLESS:
            harmless.append(word)
        return word

    text = _FIELD.sub(field, template)
    return Text(family=family, text=text, secrets=tuple(secrets), harmless=tuple(harmless))


_SECRETS: dict[str, Callable[[Samples], str]] = {
    "p": Samples.password,
    "w": Samples.word,
    "k": Samples.key,
    "b": Samples.base64,
    "h": lambda samples: samples.chars("hex", 32),
    "X": lambda samples: samples.chars("HEX", 40),
    "t": lambda samples: samples.token(samples.random.choice(DISTINCT)),
    "a": lambda samples: samples.chars("b64", 40),
    "l": lambda samples: samples.chars("b64", 64),
    "s": lambda samples: f"{samples.word()} {samples.word()} {samples.random.randint(10, 99)}",
    "j": lambda samples: f"eyJ{samples.chars('url', 30)}.eyJ{samples.chars('url', 80)}.{samples.chars('url', 43)}",
    "n": lambda samples: samples.chars("digit", 8),
    "q": lambda samples: f"{samples.word()}%40{samples.chars('alnum', 6)}%2F{samples.random.randint(1, 9)}",
    "c": lambda samples: (
        f"{samples.chars('url', 22)}{samples.random.choice(('.', '/', '$'))}{samples.chars('alnum', 31)}"
    ),
}
_SECRETS.update(
    {f"u{size}": lambda samples, size=size: samples.chars("alnum", size) for size in (6, 8, 14, 35, 36, 43, 64, 86, 95)}
    | {f"hash{size}": lambda samples, size=size: samples.chars("alnum", size) for size in (22, 53, 86)}
)
_SECRETS["u58"] = lambda samples: samples.chars("bech32", 58)
_SECRETS["u6"] = lambda samples: samples.chars("lowernum", 6)
_SECRETS["u16"] = lambda samples: f"a1{samples.chars('lowernum', 12)}b2"
_SECRETS["b28"] = lambda samples: samples.base64(28)
_HARMLESS: Mapping[str, Sequence[str]] = {"user": _USERS, "host": _HOSTS, "db": _NAMES, "name": _NAMES}
# Words that fill innocent texts.
_FILLERS: Mapping[str, Callable[[Samples], str]] = {
    "sha": lambda samples: samples.chars("hex", 64),
    "git": lambda samples: samples.chars("hex", 40),
    "hex8": lambda samples: samples.chars("hex", 8),
    "uuid": lambda samples: "-".join(samples.chars("hex", size) for size in (8, 4, 4, 4, 12)),
    "pod": lambda samples: f"{samples.chars('lowernum', 10)}-{samples.chars('lowernum', 5)}",
    "num": lambda samples: str(samples.random.randint(1, 99_999)),
    "big": lambda samples: str(samples.random.randint(10**9, 10**13)),
    "ip": lambda samples: ".".join(str(samples.random.randint(1, 254)) for _ in range(4)),
    "b64": lambda samples: samples.base64(64),
    "trace": lambda samples: samples.chars("hex", 32),
    "span": lambda samples: samples.chars("hex", 16),
}
