"""Secrets on command lines: after a flag with a secret's name, or where a program expects one."""

import re
from collections.abc import Callable, Sequence

from klepaas.output.redaction import MARK
from klepaas_plugins.kubernetes.masking.forms import is_pointer, masked
from klepaas_plugins.kubernetes.masking.names import is_secret

__all__ = ["mask_commands", "mask_words"]

_FLAG = re.compile(r"(?P<flag>--?[A-Za-z][A-Za-z0-9_.-]{0,100})(?:(?P<equals>=)(?P<value>[\s\S]*))?")
# What begins with a dash behind a flag that expects a secret, and is no flag.
_DASHED_VALUE = re.compile(r"-(?=[^0-9]*+[0-9])[^-=]{5,}")
_ASSIGNMENT = re.compile(r"(?P<name>[A-Za-z_][\w.-]{0,100})=(?P<value>[\s\S]+)")
# A word of a shell, in quotes or not.
_WORD = r"(?:\"[^\"\n]{1,400}\"|'[^'\n]{1,400}'|[^\s\"';|&<>()]{1,400})"
_GAP = r"[ \t]{1,16}"
_ARGUMENTS = r"(?=[ \t])[^\n;|&]{0,300}?(?<=[ \t])"
# Flags of one dash that only begin like a short one with its value glued on.
_LONG_FLAGS = r"(?:ort|id|ath|rotocol|lugin|refix|rint)"


def _expanded(form: str) -> str:
    parts = {"WORD": _WORD, "GAP": _GAP, "ARGUMENTS": _ARGUMENTS, "LONG": _LONG_FLAGS}
    return re.sub("|".join(parts), lambda match: parts[match.group()], form)


# What each program expects a secret after, behind a word that is in the text when the program is.
_POSITIONS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (needle, re.compile(_expanded(form)))
    for needle, form in (
        ("mysql", r"(?P<before>\b(?:mysql|mariadb)[\w-]{0,20}ARGUMENTS-p)(?!LONG)(?P<secret>WORD)"),
        ("mariadb", r"(?P<before>\bmariadb[\w-]{0,20}ARGUMENTS-p)(?!LONG)(?P<secret>WORD)"),
        ("mongo", r"(?P<before>\bmongo[\w-]{0,20}ARGUMENTS-pGAP)(?P<secret>WORD)"),
        ("redis-cli", r"(?P<before>\bredis-cliARGUMENTS-aGAP?)(?P<secret>WORD)"),
        ("redis-cli", r"(?P<before>(?i:\b(?:auth|requirepass|masterauth))GAP)(?P<secret>WORD)"),
        ("sshpass", r"(?P<before>\bsshpassARGUMENTS-pGAP?)(?P<secret>WORD)"),
        ("login", r"(?P<before>\blogin\b[^\n;|&]{0,300}?GAP-pGAP)(?P<secret>WORD)"),
        (
            "curl",
            r"(?P<before>(?<!\S)(?:-u|--user|--proxy-user|-U)(?:GAP|=)?[\"']?[^\s:\"']{1,128}:)(?P<secret>[^\s\"']{1,256})",
        ),
        ("ldap", r"(?P<before>\bldap\w{3,12}ARGUMENTS-wGAP?)(?P<secret>WORD)"),
        ("openssl", r"(?P<before>\bpass:)(?P<secret>WORD)"),
        ("htpasswd", r"(?P<before>\bhtpasswdGAP(?:-\w{1,8}GAP){0,4}\S{1,200}GAP\S{1,100}GAP)(?P<secret>WORD)"),
        ("chpasswd", r"(?P<before>\becho(?:GAP-\w)?GAP[\"']?[\w.-]{1,64}:)(?P<secret>[^\s\"'|]{1,256})"),
        ("-stdin", r"(?P<before>\b(?:echo|printf)(?:GAP-\w)?GAP)(?P<secret>WORD)(?=[ \t]{0,8}\|)"),
        ("--from-literal", r"(?P<before>--from-literal(?:=|GAP)[\"']?[\w.-]{1,253}=)(?P<secret>WORD)"),
        ("rabbitmqctl", r"(?P<before>\b(?:add_user|change_password)GAP\S{1,100}GAP)(?P<secret>WORD)"),
        ("alias", r"(?P<before>\balias set \S{1,100}GAP\S{1,200}GAP\S{1,200}GAP)(?P<secret>WORD)"),
        ("smb", r"(?P<before>(?<!\S)-UGAP?[\w.\\-]{1,64}%)(?P<secret>WORD)"),
        ("vault", r"(?P<before>\bvault loginGAP)(?!-)(?P<secret>WORD)"),
        ("configure set", r"(?P<before>\bset [\w.-]{0,60}(?:secret|token)[\w.-]{0,60}GAP)(?P<secret>WORD)"),
    )
)
_SQL = re.compile(
    r"(?P<before>\b(?:IDENTIFIED(?: WITH \w{1,40})? BY|PASSWORD(?:[ \t]*=)?)[ \t]{1,16}|\bPASSWORD\()"
    r"(?P<secret>'[^'\n]{1,256}'|\"[^\"\n]{1,256}\")",
    re.IGNORECASE,
)
_SHORT_FLAGS = {
    "mysql": ("-p",),
    "mariadb": ("-p",),
    "mongo": ("-p",),
    "redis-cli": ("-a",),
    "sshpass": ("-p",),
    "ldap": ("-w",),
}
_USER_FLAGS = ("-u", "--user", "-U", "--proxy-user")


def mask_commands(text: str) -> str:
    """A text with the secrets masked that programs take from a place of their command line."""
    for needle, form in _POSITIONS:
        if needle in text:
            text = form.sub(_position, text)
    if "identified" in (lowered := text.lower()) or "password" in lowered:
        text = _SQL.sub(_position, text)
    return text


def _position(match: re.Match[str]) -> str:
    secret = match["secret"]
    quote = secret[0] if secret[0] in "\"'" and secret.endswith(secret[0]) and len(secret) > 1 else ""
    inner = secret[1:-1] if quote else secret
    if not inner or inner.startswith("$") or is_pointer(inner) or MARK in inner:
        return match.group()
    return f"{match['before']}{quote}{MARK}{quote}"


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
        before = name if expects and (is_secret(name.lstrip("-")) or name in short or name in _USER_FLAGS) else ""
    return result


def _after_flag(word: str, flag: str, mask_named: Callable[[str, str], str]) -> str:
    if flag in _USER_FLAGS:
        name, colon, secret = word.partition(":")
        return f"{name}:{masked(secret)}" if colon and secret and not secret.startswith("$") else word
    name = flag.lstrip("-")
    return mask_named(name if is_secret(name) else "password", word)


def _other(word: str, short: set[str], mask_named: Callable[[str, str], str], mask_text: Callable[[str], str]) -> str:
    glued = next((flag for flag in short if word.startswith(flag) and len(word) > 2 and "\n" not in word), None)
    if (
        glued is not None
        and word[2:3] not in "-="
        and re.match(_LONG_FLAGS, word[2:]) is None
        and not is_pointer(word[2:])
    ):
        return glued + masked(word[2:])
    assignment = _ASSIGNMENT.fullmatch(word) if "\n" not in word else None
    if assignment is not None:
        return f"{assignment['name']}={mask_named(assignment['name'], assignment['value'])}"
    return mask_text(word)
