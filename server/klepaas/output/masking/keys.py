"""Private keys and password hashes, found by their structure: PEM, PGP, PuTTY, age, JWK, crypt, htpasswd."""

import base64
import binascii
import re

from klepaas.output.vault import MARK

__all__ = ["redact_keys"]

# Dashes may be four with blanks (SSH2). What is cut off before its end is masked to the end.
_BLOCK = re.compile(r"-{4,5} ?BEGIN ?(?P<kind>[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?)(?P<rest> ?-{4,5})")
_BLOCK_END = re.compile(r"-{4,5} ?END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)? ?-{4,5}")
_PUTTY = re.compile(
    r"(?P<before>Private-Lines: {0,4}\d{1,4})(?P<secret>(?:(?:\r?\n|\\n)(?!Private-)[A-Za-z0-9+/=]{8,80}(?![\w-]))++)"
)
_PUTTY_MAC = re.compile(r"(?P<before>Private-(?:MAC|Hash):(?:[ \t]|\r?\n|\\n){0,4})(?P<secret>[0-9A-Fa-f]{16,}+)")
# base64 of "-----BEGIN "; what it begins decides, certificates are public.
_ENCODED = re.compile(r"LS0tLS1CRUdJTi[A-Za-z0-9+/_-]{10,}+={0,2}")
_JWK_PART = re.compile(
    r"(?P<before>\\{0,8}\"(?:d|p|q|dp|dq|qi|k)\\{0,8}\" ?: ?\\{0,8}\")(?P<secret>[A-Za-z0-9_-]{16,}+)"
)
_HASH = re.compile(
    r"\$(?:apr1|1|2[abxy]|5|6|y|7|gy|argon2(?:id|i|d)|scrypt|bcrypt-sha256|pbkdf2[a-z0-9-]{0,10})\$[A-Za-z0-9./$=,+-]{20,}+"
    r"|\{(?:S?SHA(?:256|384|512)?|S?MD5|CRYPT|PBKDF2[A-Z0-9-]{0,10})\}[A-Za-z0-9+/=$.]{16,}+"
    r"|(?<=\")md5[0-9a-f]{32}(?=\")"
    r"|\b(?:pbkdf2_sha(?:1|256|512)|scram-sha-256|SCRAM-SHA-256)\$[A-Za-z0-9+/=$:,.]{20,}+"
)


def redact_keys(text: str) -> str:
    """The text with private keys and password hashes masked; of blocks the first and last line go too."""
    if "BEGIN" in text and "PRIVATE" in text:
        text = _redact_blocks(text)
    if "Private-" in text:
        text = _PUTTY.sub(lambda match: f"{match['before']}\n{MARK}", text)
        text = _PUTTY_MAC.sub(lambda match: match["before"] + MARK, text)
    if "LS0tLS1CRUdJTi" in text:
        text = _ENCODED.sub(_redact_encoded, text)
    if '"kty' in text or '"kty\\' in text:
        text = _JWK_PART.sub(lambda match: match["before"] + MARK, text)
    if "$" in text or "{S" in text or "md5" in text or "{CRYPT" in text or "{PBKDF2" in text:
        text = _HASH.sub(MARK, text)
    return text


def _redact_blocks(text: str) -> str:
    pieces: list[str] = []
    done = 0
    while (begin := _BLOCK.search(text, done)) is not None:
        end = _BLOCK_END.search(text, begin.end())
        pieces += [text[done : begin.start()], MARK]
        done = len(text) if end is None else end.end()
    return "".join(pieces) + text[done:]


def _redact_encoded(match: re.Match[str]) -> str:
    head = match.group()[:76].translate(_URL_SAFE)
    try:
        decoded = base64.b64decode(head[: len(head) // 4 * 4])
    except binascii.Error:
        return MARK
    return MARK if b"PRIVATE" in decoded else match.group()


_URL_SAFE = str.maketrans("-_", "+/")
