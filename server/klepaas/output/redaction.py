"""Secrets in text: found by what stands before them, by their form, or because klepaas itself holds them.

Prevention comes first: a plugin does not fetch a secret, or masks the field that it knows to be one. This is the net
under it, on every way out. It works on text without knowing what the text means, so it is a best effort for strangers'
formats and exact for values given to `Vault.keep`.

Redaction is one-way: `MARK` never turns back into a value, and a document that contains it must not be applied.
"""

import re

from klepaas.output.vault import MARK, Vault, vault

__all__ = ["MARK", "Vault", "is_secret_name", "looks_secret", "redact_text", "vault"]

# Words that a name has among its parts: DB_PASSWORD, passwordHash, api.key; not tokens_total, not compass.
_WORDS = (
    r"pass(?:word|wd|phrase)?|pwd|secret|token|api[-_.]?keys?|access[-_.]?keys?|secret[-_.]?keys?|private[-_.]?keys?"
    r"|client[-_.]?key(?:[-_.]?data)?|credentials?|auth(?:orization)?|bearer|session[-_.]?id|cookie"
    r"|signing[-_.]?key|encryption[-_.]?key|connection[-_.]?string|dsn|\.?dockerconfig(?:json)?|webhook[-_.]?url"
)
_SECRET_NAME = re.compile(
    rf"(?:^|[^a-z0-9])(?:{_WORDS})(?:$|[^a-z0-9])"
    # Written together: PGPASSWORD, requirepass, authtoken.
    r"|(?:password|passwd|passphrase|secret|token|(?:api|access|secret|private)key|(?:db|user|root|require)pass)$",
    re.IGNORECASE,
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# It tells where the secret is, or something about it.
_HARMLESS_NAME = re.compile(
    r"(?:tokenExpirationSeconds|automountServiceAccountToken|serviceAccountToken|imagePullSecrets|auth-?url"
    r"|(?:pass(?:word|wd)?|token|secret|key|credentials?|auth)[-_.]?"
    r"(?:files?|paths?|dir|names?|refs?|keyref|ttl|policy|type|length|lifetime|expir(?:y|es|ation)))$",
    re.IGNORECASE,
)

# Each form, behind what must stand in a text for the form to be there: looking for that is twenty times faster.
_FORMS = tuple(
    (needles, re.compile(form))
    for needles, form in (
        (
            ("-----BEGIN ",),
            r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)",
        ),
        (("eyJ",), r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),  # JSON web token
        (("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"\bgh[pousr]_[A-Za-z0-9]{20,}"),
        (("github_pat_",), r"\bgithub_pat_[A-Za-z0-9_]{20,}"),
        (("glpat-",), r"\bglpat-[A-Za-z0-9_-]{16,}"),
        (("xox",), r"\bxox[abeoprs]-[A-Za-z0-9-]{8,}"),
        (("xapp-",), r"\bxapp-[A-Za-z0-9-]{8,}"),
        (("hooks.slack.com",), r"https://hooks\.slack\.com/[A-Za-z0-9/_-]+"),
        (("AKIA", "ASIA"), r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
        (("AIza",), r"\bAIza[A-Za-z0-9_-]{30,}"),
        (("ya29.",), r"\bya29\.[A-Za-z0-9_-]{20,}"),
        (("sk-",), r"\bsk-[A-Za-z0-9_-]{20,}"),
        (("_live_", "_test_"), r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}"),
        (("npm_",), r"\bnpm_[A-Za-z0-9]{30,}"),
        (("pypi-",), r"\bpypi-[A-Za-z0-9_-]{30,}"),
        (("dckr_pat_",), r"\bdckr_pat_[A-Za-z0-9_-]{20,}"),
        (("hvs.",), r"\bhvs\.[A-Za-z0-9_-]{20,}"),
    )
)
_USERINFO = re.compile(
    r"(?P<before>\b[a-z][a-z0-9+.-]{1,20}://[^\s/@:'\"]{0,128}:)(?P<secret>[^\s/'\"]{1,256})(?=@)", re.IGNORECASE
)
_SIGNATURE = re.compile(r"(?P<before>[?&](?:sig|[a-z-]{0,20}signature)=)(?P<secret>[^\s&\"'<>]+)", re.IGNORECASE)
# After these words prose goes on with letters ("basic authentication"), a credential with something else among them.
_BEARER = re.compile(
    r"(?P<before>\b(?i:bearer|basic|token)[ \t]+)(?=\S{0,200}?(?:[0-9=+/_]|[a-z][A-Z]))"
    r"(?P<secret>[A-Za-z0-9._~+/=-]{12,})"
)
# The name in name=value, name: value, "name": "value" (quotes escaped or not) or --name value.
_NAME = re.compile(
    r"(?<![A-Za-z0-9_.-])[A-Za-z0-9_.-]++(?=\\{0,8}[\"']?[ \t]{0,16}[=:])|(?<!\S)--?[A-Za-z][A-Za-z0-9_.-]*+(?=[ \t])"
)
_VALUE = re.compile(
    r"(?P<between>\\{0,8}+[\"']?+[ \t]{0,16}+(?:=>|:=|[=:]=?+)?+[ \t]{0,16}+"
    r"(?:(?i:bearer|basic|digest|negotiate|token)[ \t]++)?+)"
    r"(?P<value>\"(?:[^\"\\\n]|\\.)*+\"?"
    r"|'[^'\n]*+'?"
    r"|(?P<quote>\\{1,8}+[\"'])(?:(?!(?<!\\)(?P=quote))[^\n])*+(?:(?P=quote))?"
    r"|[^\s,;&\"'<>{}\[\]()][^\s,;&\"'<>]*+)"
)
# What stands after a colon in prose, says that there is no value, or names another place.
_PLAIN = re.compile(
    r"[\"'\\]*+(?:true|false|null|none|nil|~|yes|no|on|off|required|missing|invalid|expired|denied|failed|unknown|unset|empty"
    rf"|not|is|was|must|the|a|an|error|redacted|\$|\$[({{][A-Za-z_][\w.-]*[)}}]*|\d{{1,5}}|[|>][-+]?|{MARK})?[\"'\\]*",
    re.IGNORECASE,
)
_LINE_START = re.compile(r"(?:^|\n)[ \t]*(?:-[ \t]+)?[\"']?\Z")
_WORD_BEFORE = re.compile(r"[A-Za-z]{2}[ \t]\Z")
_REASON = re.compile(r"(?:[A-Z][a-z]+){3,}")
_PROSE_AFTER = re.compile(r"[A-Za-z]{2,} [a-z]{2,}\b")
_HIGH_ENTROPY = re.compile(r"(?=[^\s]*[0-9])(?=[^\s]*[A-Za-z])[A-Za-z0-9+/_=-]{32,}")


def is_secret_name(name: str) -> bool:
    """Whether a field, variable or flag of this name usually holds a secret."""
    if _HARMLESS_NAME.search(name):
        return False
    return _SECRET_NAME.search(_CAMEL.sub("_", name)) is not None


def looks_secret(value: str) -> bool:
    """Whether a value's own form says that it is a secret."""
    return (
        any(form.search(value) is not None for form in _forms_in(value))
        or _USERINFO.search(value) is not None
        or _HIGH_ENTROPY.fullmatch(value) is not None
    )


def redact_text(text: str) -> str:
    """The text with `MARK` in place of everything that looks like a secret."""
    for form in _forms_in(text):
        text = form.sub(MARK, text)
    lowered = text.lower()
    for needles, pattern in ((("://",), _USERINFO), (("sig",), _SIGNATURE), (("bearer", "basic", "token"), _BEARER)):
        if any(needle in lowered for needle in needles):
            text = pattern.sub(lambda match: match["before"] + MARK, text)
    return _redact_named(text)


def _forms_in(text: str) -> list[re.Pattern[str]]:
    return [form for needles, form in _FORMS if any(needle in text for needle in needles)]


def _redact_named(text: str) -> str:
    """Mask the value after each name that usually holds a secret."""
    pieces: list[str] = []
    done = 0
    for name in _NAME.finditer(text):
        if name.start() < done or not is_secret_name(name.group().strip("-.")):
            continue
        found = _VALUE.match(text, name.end())
        if found is None or _PLAIN.fullmatch(found["value"].rstrip(")]}")) or _is_prose(text, name, found):
            continue
        start, end = _extent(text, name, found)
        pieces += [text[done:start], _masked(text[start:end])]
        done = end
    return "".join(pieces) + text[done:]


def _is_prose(text: str, name: re.Match[str], found: re.Match[str]) -> bool:
    """Whether a sentence goes on after the colon: 'failed to refresh token: connection refused'."""
    between, value = found["between"], found["value"]
    if between[:1] in ("'", '"') and between[1:2].isspace() and value[0] not in "\"'\\":
        return True  # volume "db-password" : secret "db-password" not found
    if not between.startswith(":") or _PROSE_AFTER.match(text, found.start("value")) is None:
        return False
    before = text[max(0, name.start() - 40) : name.start()]
    return _WORD_BEFORE.search(before) is not None or _REASON.fullmatch(name.group()) is not None


def _extent(text: str, name: re.Match[str], found: re.Match[str]) -> tuple[int, int]:
    """Where the value begins and ends: without quotes, that of a line's own key goes on to the line's end."""
    start, end = found.span("value")
    if text[start] in "\"'" or found["quote"]:
        return start, end
    if found["between"].startswith(": ") and _LINE_START.search(text[max(0, name.start() - 200) : name.start()]):
        line_end = text.find("\n", end)
        end = len(text) if line_end < 0 else line_end
        return start, start + len(text[start:end].rstrip())
    return start, start + max(1, len(found["value"].rstrip(")]}")))


def _masked(value: str) -> str:
    """The mark in the value's own quotes, so that JSON and YAML stay what they are."""
    quote = value[: len(value) - len(value.lstrip("\\\"'"))] if value[0] in "\\\"'" else ""
    return f"{quote}{MARK}{quote if quote and value.endswith(quote) and len(value) > len(quote) else ''}"
