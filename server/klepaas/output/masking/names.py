"""Names of fields, variables and flags that hold secrets: DB_PASSWORD, apiKey, client.secret, 비밀번호.

This is the one judge of names: of texts, of objects, of arguments and of details. A name is judged by its words. Some
words name a secret wherever they stand, some only together with another one ("access key"), and the last word may say
that the value only tells something about the secret: where it is, how long it is valid, how many there are. Of names
that are used for secrets and for other things the value decides, in `klepaas.output.masking.values`.

No expression is compiled here: every start imports this.
"""

import enum
import functools
import string

from klepaas.output.masking import name_words as lists

__all__ = ["STEMS", "Secrecy", "is_secret_name", "secrecy", "split_words"]


class Secrecy(enum.IntEnum):
    """How surely a name holds a secret.

    Attributes:
        PLAIN: It does not, whatever the value looks like.
        UNCERTAIN: It names an object, an identifier or a switch as often as a secret: the form of the value decides.
        SOFT: It is used for secrets and for other things: in prose the form of the value decides, in configuration a
            wrong guess costs only a masked value.
        SECRET: It does, unless the value says that it is elsewhere, or that there is none.
    """

    PLAIN = 0
    UNCERTAIN = 1
    SOFT = 2
    SECRET = 3


# Every secret name contains one of these, in lower case.
# Each alternative begins with a letter of its own: a group at the beginning would make the search two times slower.
STEMS = (
    r"pass|pwd|pswd|secret|token|key|cred|auth|bearer|cookie|session|sid\b|dsn|sig\b|signature|hmac|salt|jwt|psk|otp"
    r"|mnemonic|webhook|conn\w{0,7}[-_. ]?str|docker\w{0,6}cfg|docker_?config|pins?\b|seed|pats?\b|pws?\b"
    r"|identified|jaas|backup[-_. ]?codes?|recovery[-_. ]?codes?"
    r"|비밀|암호|인증|비번|패스워드|토큰|시크릿|개인키|보안키|접근키|액세스키|서명키|api키"
)
_LONGEST_CHARS = 200
_SIGNS = dict.fromkeys((code for code in range(128) if not chr(code).isalnum()), " ")


def is_secret_name(name: str) -> bool:
    """Whether a field, variable or flag of this name usually holds a secret.

    Args:
        name: The name as written; words are told apart by case and by what is neither letter nor digit. Of a path or a
            prefixed key (`example.com/token`) the last part counts.
    """
    return secrecy(name) >= Secrecy.SOFT


@functools.lru_cache(maxsize=4096)
def secrecy(name: str) -> Secrecy:
    """How surely a field, variable or flag of this name holds a secret."""
    before, _, last = name[-_LONGEST_CHARS:].strip("/").rpartition("/")
    if before.endswith(lists.DIGESTS):
        return Secrecy.PLAIN
    found = split_words(last)
    if not found:
        return Secrecy.PLAIN
    if not last.isascii() and (korean := _judge_korean(found)) is not None:
        return korean
    rated = max([_rate(found, at) for at in range(len(found))])
    return _judge(found, rated, last) if rated else rated


def split_words(name: str) -> list[str]:
    """The words of a name, in lower case: `dbPassword2` has db, password, 2."""
    bare = name.rstrip(string.digits)
    number = name[len(bare) :].split()
    if bare.islower() or bare.isupper():
        found = bare.lower().translate(_SIGNS).split()
        if "".join(found).isalpha():
            return found + number
    pieces: list[str] = []
    for before, char, after in zip(f" {bare}", bare, f"{bare[1:]} ", strict=False):
        is_start = char.isupper() and (before.islower() or before.isdigit() or (before.isupper() and after.islower()))
        pieces.append(" " if is_start or (char.isdigit() and before.islower()) else "")
        pieces.append(char.lower() if char.isalnum() else " ")
    return "".join(pieces).split() + number


def _judge(found: list[str], rated: Secrecy, name: str) -> Secrecy:
    """The judgement of a name with words of a secret: what the first and the last ones say of it.

    Args:
        found: The words of the name.
        rated: How surely one of them means a secret.
        name: The name; the first word of its last part, behind a dot, may ask for a secret.
    """
    first = next(iter(split_words(name.rpartition(".")[2])), "") if "." in name else found[0]
    end = "".join(found[-3:])
    if end.endswith(lists.NO_SECRET_ENDS) or _names_existing(first, found[-1]):
        return Secrecy.PLAIN
    if tuple(found[-2:]) in lists.HARD_PAIRS:
        return rated
    if found[-1] in ("id", "ids"):
        return Secrecy.PLAIN if {"secret", "access", "private"}.isdisjoint(found) else Secrecy.UNCERTAIN
    if found[-1] in lists.ABOUT:
        return Secrecy.PLAIN
    doubtful = (
        end.endswith(lists.OFTEN_NO_SECRET_ENDS)
        or found[-1] in lists.WHOSE
        or first in lists.ASKS
        or (found[-1] not in ("key", "keys") and _is_only_about(found))
    )
    return Secrecy.UNCERTAIN if doubtful else rated


def _names_existing(first: str, last: str) -> bool:
    """Whether a name says that there is such an object, or that there is no secret: existingSecret, noPassword."""
    return first in ("existing", "no") or (first.startswith("existing") and last.endswith(("secret", "secrets")))


def _is_only_about(found: list[str]) -> bool:
    """Whether the words of a secret stand in the middle of a name, and are of those that say what it is about."""
    return not any(
        _rate(found, at) is not Secrecy.PLAIN
        for at, word in enumerate(found)
        if word not in lists.IN_THE_MIDDLE or at == len(found) - 1
    )


def _rate(found: list[str], at: int) -> Secrecy:
    """How surely one word of a name, with the one before it, means a secret."""
    word = found[at]
    before = found[at - 1] if at else ""
    if (before, word) in lists.HARD_PAIRS or word in lists.SECRET_WORDS or word.endswith(lists.SECRET_ENDS):
        return Secrecy.SECRET
    if word.endswith(("key", "keys")):
        return _rate_key(word.removesuffix("s").removesuffix("key") or before)
    if word.endswith("tokens"):
        owner = word.removesuffix("tokens") or before
        if not lists.COUNTS.isdisjoint(found):
            return Secrecy.PLAIN
        return Secrecy.SOFT if not owner or owner in lists.TOKEN_OWNERS else Secrecy.UNCERTAIN
    is_soft = word in lists.SOFT_WORDS or word.endswith(lists.SOFT_ENDS)
    return Secrecy.SOFT if is_soft and not word.endswith(lists.NO_SECRET_ENDS) else Secrecy.PLAIN


def _rate_key(owner: str) -> Secrecy:
    if owner in lists.KEYS:
        return Secrecy.SECRET
    return Secrecy.SOFT if owner in lists.SOFT_KEYS else Secrecy.PLAIN


def _judge_korean(found: list[str]) -> Secrecy | None:
    """The judgement of a name with Korean words in it; None where none of them means a secret."""
    rated: Secrecy | None = None
    for word in found:
        stem = max(
            (stem for stem in lists.KOREAN if stem in word), key=lambda stem: (word.rfind(stem), len(stem)), default=""
        )
        if stem:
            behind = word[word.rfind(stem) + len(stem) :]
            rated = max(
                rated or Secrecy.PLAIN, Secrecy.PLAIN if behind.startswith(lists.KOREAN_ABOUT) else Secrecy.SECRET
            )
    return Secrecy.PLAIN if rated and found[-1].startswith(lists.KOREAN_ABOUT) else rated
