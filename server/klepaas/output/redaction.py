"""Secrets in text: found by what stands before them, by their form, or because klepaas itself holds them.

Prevention comes first: a plugin does not fetch a secret, or masks the field that it knows to be one. This is the net
under it, on every way out. It works on text without knowing what the text means, so it is a best effort for strangers'
formats and exact for values given to `Vault.keep`.

Redaction is one-way: `MARK` never turns back into a value, and a document that contains it must not be applied.
"""

import base64
import json
import re
import urllib.parse

__all__ = ["MARK", "Vault", "is_secret_name", "looks_secret", "redact_text", "vault"]

MARK = "‹redacted›"

_SECRET_WORDS = (
    r"pass(?:word|wd|phrase)?|pwd|secrets?|token|api[-_.]?keys?|access[-_.]?keys?|secret[-_.]?keys?|private[-_.]?keys?"
    r"|client[-_.]?secret|client[-_.]?key(?:[-_.]?data)?|credentials?|auth(?:orization)?|bearer|session[-_.]?id|cookie"
    r"|signing[-_.]?key|encryption[-_.]?key|connection[-_.]?string|dsn|\.?dockerconfig(?:json)?|webhook[-_.]?url"
)
# A secret word is the name's end or one of its parts: DB_PASSWORD, passwordHash, api.key; not "tokens_total".
_SECRET_NAME = re.compile(rf"(?:^|[^a-z0-9]|(?<=[a-z0-9])(?=[A-Z]))(?:{_SECRET_WORDS})(?:$|[^a-z0-9])", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_HARMLESS_NAME = re.compile(
    r"(?:secretName|secretRef|secretKeyRef|tokenExpirationSeconds|automountServiceAccountToken|expirationSeconds"
    r"|serviceAccountToken|imagePullSecrets|auth-?url|token-?ttl|passwordPolicy)$",
    re.IGNORECASE,
)

_FORMS = re.compile(
    "|".join(
        (
            r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)",
            r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",  # JSON web token
            r"\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}",
            r"\bglpat-[A-Za-z0-9_-]{16,}",
            r"\bxox[abeoprs]-[A-Za-z0-9-]{8,}|\bxapp-[A-Za-z0-9-]{8,}",
            r"https://hooks\.slack\.com/[A-Za-z0-9/_-]+",
            r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
            r"\bAIza[A-Za-z0-9_-]{30,}|\bya29\.[A-Za-z0-9_-]{20,}",
            r"\bsk-[A-Za-z0-9_-]{20,}|\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",
            r"\bnpm_[A-Za-z0-9]{30,}|\bpypi-[A-Za-z0-9_-]{30,}|\bdckr_pat_[A-Za-z0-9_-]{20,}",
            r"\bhvs\.[A-Za-z0-9_-]{20,}",
        )
    )
)
_USERINFO = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]{1,20}://)(?P<user>[^\s/@:'\"]{0,128}):(?P<secret>[^\s/@'\"]{1,256})@"
)
_BEARER = re.compile(r"(?P<word>\b(?:bearer|basic|token)\s+)(?P<secret>[A-Za-z0-9._~+/=-]{12,})", re.IGNORECASE)
# name=value, name: value, "name": "value", --name value; the value ends at a space, a quote or a separator.
_ASSIGNED = re.compile(
    r"(?P<name>[A-Za-z0-9_.-]{0,64}?(?:" + _SECRET_WORDS + r")(?:[-_.]?[A-Za-z0-9]{1,24}){0,2})"
    r"(?P<between>\\?[\"']?\s{0,3}(?:=>|[=:])\s{0,3}|\s+(?=[^\s-]*\d)(?<=\s))"
    r"(?P<value>\\?\"(?:[^\"\\\n]|\\[^\"\n])*\\?\"?|'[^'\n]*'?|[^\s,;&\"'<>{}\[\]]+)",
    re.IGNORECASE,
)
_FLAG = re.compile(
    r"(?P<flag>--?[A-Za-z0-9_.-]{0,64}?(?:" + _SECRET_WORDS + r")[=\s]+)(?P<value>[^\s\"']+)", re.IGNORECASE
)
_PLAIN = re.compile(
    r"[\"'\\]*(?:true|false|null|none|nil|~|yes|no|on|off|required|missing|invalid|\d{1,5}|" + MARK + r")[\"'\\]*",
    re.IGNORECASE,
)
_HIGH_ENTROPY = re.compile(r"(?=[^\s]*[0-9])(?=[^\s]*[A-Za-z])[A-Za-z0-9+/_=-]{32,}")


def is_secret_name(name: str) -> bool:
    """Whether a field, variable or flag of this name usually holds a secret."""
    if _HARMLESS_NAME.search(name):
        return False
    return _SECRET_NAME.search(_CAMEL.sub("_", name)) is not None


def looks_secret(value: str) -> bool:
    """Whether a value's own form says that it is a secret."""
    return (
        _FORMS.search(value) is not None
        or _USERINFO.search(value) is not None
        or _HIGH_ENTROPY.fullmatch(value) is not None
    )


def redact_text(text: str) -> str:
    """The text with `MARK` in place of everything that looks like a secret."""
    text = _FORMS.sub(MARK, text)
    text = _USERINFO.sub(lambda match: f"{match['scheme']}{match['user']}:{MARK}@", text)
    text = _BEARER.sub(lambda match: f"{match['word']}{MARK}", text)
    text = _FLAG.sub(_flag, text)
    return _ASSIGNED.sub(_assignment, text)


def _flag(match: re.Match[str]) -> str:
    if _PLAIN.fullmatch(match["value"]) or not is_secret_name(match["flag"].strip("-= \t")):
        return match.group()
    return f"{match['flag']}{MARK}"


def _assignment(match: re.Match[str]) -> str:
    value = match["value"]
    if _PLAIN.fullmatch(value) or not is_secret_name(match["name"]) or MARK in value:
        return match.group()
    quote = value[: len(value) - len(value.lstrip("\\\"'"))]
    return f"{match['name']}{match['between']}{quote}{MARK}{quote if value.endswith(quote) else ''}"


class Vault:
    """The secrets that klepaas itself holds (tokens it sends upstream), so that no text can carry them out.

    It finds a value as it is, in base64, URL-encoded and JSON-escaped. A value under 6 characters is not kept: it would
    blank out ordinary text.
    """

    def __init__(self) -> None:
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def keep(self, secret: str) -> None:
        """Remember a secret."""
        if len(secret) < 6 or secret in self._forms:
            return
        encoded = base64.b64encode(secret.encode()).decode()
        self._forms |= {secret, encoded, encoded.rstrip("="), urllib.parse.quote(secret, safe="")}
        self._forms.add(json.dumps(secret)[1:-1])
        ordered = sorted(self._forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(re.escape(form) for form in ordered))

    def redact(self, text: str) -> str:
        """The text with `MARK` in place of every secret that is kept."""
        return self._pattern.sub(MARK, text) if self._pattern else text


# One for the process: what a log handler or an error of any server must not print is the same for all of them.
vault = Vault()
