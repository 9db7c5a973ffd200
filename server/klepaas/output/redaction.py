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

_NAMES_OF_IT = (
    r"pass(?:word|wd|phrase)?|pwd|secrets?|token|api[-_.]?keys?|access[-_.]?keys?|secret[-_.]?keys?|private[-_.]?keys?"
    r"|client[-_.]?secret|client[-_.]?key(?:[-_.]?data)?|credentials?|auth(?:orization)?|bearer|session[-_.]?id|cookie"
    r"|signing[-_.]?key|encryption[-_.]?key|connection[-_.]?string|dsn|\.?dockerconfig(?:json)?|webhook[-_.]?url"
)
# A secret word is the name's end or one of its parts: DB_PASSWORD, passwordHash, api.key; not "tokens_total".
_SECRET_NAME = re.compile(rf"(?:^|[^a-z0-9]|(?<=[a-z0-9])(?=[A-Z]))(?:{_NAMES_OF_IT})(?:$|[^a-z0-9])", re.IGNORECASE)
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
# The name in name=value, name: value, "name": "value" (quotes escaped or not) or --name value.
_NAME = re.compile(
    r"(?<![A-Za-z0-9_.-])[A-Za-z0-9_.-]++(?=\\?[\"']?\s{0,3}[=:])|(?<!\S)--?[A-Za-z][A-Za-z0-9_.-]*+(?=\s)"
)
_VALUE = re.compile(
    r"(?P<between>\\?[\"']?\s{0,3}(?:=>|[=:]=?)?\s{0,3})"
    r"(?P<value>\\?\"(?:[^\"\\\n]|\\[^\"\n])*+\\?\"?|'[^'\n]*+'?|[^\s,;&\"'<>{}\[\]()]++)"
)
# What stands after a colon in prose, or says that there is no value.
_PLAIN = re.compile(
    r"[\"'\\]*(?:true|false|null|none|nil|~|yes|no|on|off|required|missing|invalid|expired|denied|failed|unknown|unset|empty"
    rf"|not|is|was|must|the|a|an|error|redacted|\$|\d{{1,5}}|{MARK})?[\"'\\]*",
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
    return _redact_named(text)


def _redact_named(text: str) -> str:
    """Mask the value after each name that usually holds a secret."""
    pieces: list[str] = []
    done = 0
    for name in _NAME.finditer(text):
        if name.start() < done or not is_secret_name(name.group().strip("-.")):
            continue
        found = _VALUE.match(text, name.end())
        if found is None or _PLAIN.fullmatch(found["value"]) or MARK in found["value"]:
            continue
        pieces += [text[done : found.start("value")], _masked(found["value"])]
        done = found.end()
    return "".join(pieces) + text[done:]


def _masked(value: str) -> str:
    """The mark in the value's own quotes, so that JSON and YAML stay what they are."""
    quote = value[: len(value) - len(value.lstrip("\\\"'"))]
    return f"{quote}{MARK}{quote if quote and value.endswith(quote) else ''}"


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
