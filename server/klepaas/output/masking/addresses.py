"""Secrets inside addresses: user information, drivers' own forms, signatures. Only the secret part is masked."""

import re

from klepaas.output.masking.values import is_reference
from klepaas.output.vault import MARK

__all__ = ["contains_credentials", "redact_addresses"]

# The last @ before a blank or quote ends the secret: unencoded passwords contain @ and, where no port can stand, /.
_USERINFO = re.compile(
    r"(?P<before>(?://|%2[fF]%2[fF]|\\/\\/)(?:(?!%3[aA])[^\s/@:'\"<>]){0,128}+(?::|%3[aA]))"
    r"(?P<secret>[^\s/'\"<>\\]{1,256}(?=@(?!sha256:))|(?!\d{1,5}[/?,\s])[^\s'\"<>\\]{1,256}(?=@(?!sha256:)|%40))"
)
# A line end stands in the password, or before or behind it: a terminal or a text of YAML wrapped the address.
_WRAPPED = re.compile(
    r"(?P<before>[a-z][a-z0-9+.-]{1,30}://[^\s/@:'\"<>]{0,64}:)(?!\d{1,5}\s)"
    r"(?P<secret>[^\s/@'\"<>]{0,128}\\?\r?\n[ \t]{0,40}[^\s/@'\"<>]{0,128})(?=@[\w\[.-])"
)
# https://TOKEN@host
_USER_ONLY = re.compile(r"(?P<before>://)(?P<secret>[A-Za-z0-9_.~-]{16,256})(?=@)")
_GO = re.compile(
    r"(?P<before>(?:^|(?<=[\s\"'=`(]))[^\s:/@\"'=`(]{1,64}:)(?P<secret>[^\s\"'`]{1,128})(?=@(?:tcp6?|udp|unix)\()",
    re.MULTILINE,
)
_ORACLE = re.compile(
    r"(?P<before>\b(?:jdbc:oracle:[a-z0-9]{2,8}:|(?:sqlplus|expdp|impdp|rman|sqlldr)\s(?:-\w{1,10}\s){0,3})[^\s/@:\"']{1,64}/)"
    r"(?P<secret>[^\s@\"']{1,128})(?=@)"
)
# A line of .pgpass: host:port:database:user:password.
_PGPASS = re.compile(
    r"^(?P<before>(?=[^:\n]{0,100}[A-Za-z*])[^\s:/]{1,100}:(?:\d{4,5}|\*):[^\s:/]{1,64}:[^\s:/]{1,64}:)(?P<secret>[^\s:]{1,128})$",
    re.MULTILINE,
)
_SIGNATURE = re.compile(
    r"(?P<before>[?&;](?:sig|hmac|code|ticket|assertion|[a-z-]{0,20}(?:signature|credential|security-token))=)"
    r"(?P<secret>[^\s&\"'<>;,‹]{8,}+)",
    re.IGNORECASE,
)


def redact_addresses(text: str) -> str:
    """The text with the secret part of each address masked."""
    if "//" in text or "%2" in text or "\\/" in text:
        text = _USERINFO.sub(_mask, text)
        if "\n" in text:
            text = _WRAPPED.sub(_mask, text)
        text = _USER_ONLY.sub(_mask_random, text)
    if "(" in text and "@" in text:
        text = _GO.sub(_mask, text)
    if "/" in text and "@" in text:
        text = _ORACLE.sub(_mask, text)
    if ":" in text:
        text = _PGPASS.sub(_mask, text)
    return _SIGNATURE.sub(_mask, text)


def contains_credentials(text: str) -> bool:
    """Whether a text holds an address with a password in it."""
    return any(found.search(text) is not None for found in (_USERINFO, _GO, _ORACLE))


def _mask(match: re.Match[str]) -> str:
    secret = match["secret"]
    return match.group() if is_reference(secret) or secret == MARK else match["before"] + MARK


def _mask_random(match: re.Match[str]) -> str:
    """A single name before @ is masked where it looks like a token: long, with digits and letters."""
    secret = match["secret"]
    random = any(map(str.isdigit, secret)) and any(map(str.isalpha, secret)) and "." not in secret
    return match["before"] + MARK if random else match.group()
