"""Secrets made at run time: a seeded generator writes them, so no scanner of a host meets a token in the repository."""

import random
import re
import string

from klepaas.output.masking.token_table import TokenFormat

_ALPHABETS = {
    "digit": string.digits,
    "lower": string.ascii_lowercase,
    "upper": string.ascii_uppercase,
    "letter": string.ascii_letters,
    "hex": "0123456789abcdef",
    "HEX": "0123456789ABCDEF",
    "anyhex": "0123456789abcdefABCDEF",
    "alnum": string.ascii_letters + string.digits,
    "lowernum": string.ascii_lowercase + string.digits,
    "uppernum": string.ascii_uppercase + string.digits,
    "word": string.ascii_letters + string.digits + "_",
    "url": string.ascii_letters + string.digits + "_-",
    "mixed": string.ascii_letters + string.digits + "_-",
    "cookie": string.ascii_letters + string.digits + "%+/=_-",
    "b64": string.ascii_letters + string.digits + "+/",
    "tilde": string.ascii_letters + string.digits + "_~",
    "bech32": "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
}
_WORDS = (
    "amber",
    "birch",
    "cobalt",
    "dapple",
    "ember",
    "fjord",
    "garnet",
    "harbor",
    "indigo",
    "juniper",
    "krill",
    "lotus",
)


_KINDS = (str.islower, str.isupper, str.isdigit)


class Samples:
    """A generator of secrets of many forms; the same seed gives the same ones."""

    def __init__(self, seed: int = 1) -> None:
        self.random = random.Random(seed)

    def chars(self, alphabet: str, count: int) -> str:
        """So many characters of a named alphabet; of mixed ones each kind is among them."""
        while True:
            text = "".join(self.random.choices(_ALPHABETS[alphabet], k=count))
            if count < 12 or alphabet in ("digit", "lower", "upper"):
                return text
            if _kinds(text) >= min(2, _kinds(_ALPHABETS[alphabet])):
                return text

    def token(self, form: TokenFormat) -> str:
        """A token of a format of the table."""
        parts = form.body.split()
        text = " ".join(parts) if "{TOKEN}" in parts else " ".join(("{TOKEN}", *parts))
        return "".join(form.prefix if part == "{TOKEN}" else self._part(part) for part in text.split())

    def _part(self, part: str) -> str:
        found = re.fullmatch(r"(\w+)\{(\d+)(?:(,)(\d*))?\}", part)
        if found is None:
            return part
        least = int(found[2])
        most = int(found[4]) if found[4] else least + 8 if found[3] else least
        return self.chars(found[1], self.random.randint(least, most))

    def password(self) -> str:
        """What people and generators choose: letters, digits and signs that need no quotes."""
        word = self.random.choice(_WORDS)
        return self.random.choice(
            (
                f"{word.title()}{self.random.randint(10, 9999)}!",
                f"{word}_{self.random.choice(_WORDS)}{self.random.randint(1, 99)}",
                self.chars("alnum", self.random.randint(12, 24)),
                f"{self.chars('alnum', 6)}-{self.chars('alnum', 6)}~{self.random.randint(0, 9)}",
                f"{word}{self.random.choice('!%*+^~')}{self.chars('alnum', 8)}",
            )
        )

    def word(self) -> str:
        """A word as a weak password is one: letters only."""
        return self.random.choice(_WORDS) + self.random.choice(_WORDS)

    def key(self) -> str:
        """A key without a prefix, as many services issue it."""
        return self.chars(self.random.choice(("alnum", "hex", "url")), self.random.choice((32, 40, 48)))

    def base64(self, count: int = 44) -> str:
        """A base64 text with its padding."""
        return self.chars("b64", count - 1) + "="


def _kinds(text: str) -> int:
    return sum(any(map(kind, text)) for kind in _KINDS)
