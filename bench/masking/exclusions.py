"""Which drawn samples are no secrets: each rule has a reason, and the counts of what it leaves out are printed.

A scanner's expression is only a part of its rule. Some rules look for what leads to a secret, some judge afterwards
what the expression found, and some leave the length open. What is left out here is provably no secret of a service.
"""

import base64
import binascii
import json
import re

SHORTEST_CHARS = 16
_ID = re.compile(
    r"(?:[-. ](?:client-id|app-id|account-id|public-key|project-url|rest-url)|token-repository)(?:\.\d{1,2})?$"
)
_USERINFO = re.compile(r"://(?P<user>[^:]*):(?P<password>.*)@")
# RFC 3986, 3.2.1: what user information may hold without an escape, and what people leave without one.
_UNESCAPED = re.compile(r"[\w.~!$&'()*+,;=:%@#?|^-]*")
_DER_INTEGERS = (b"\x02\x01\x00\x30", b"\x02\x01\x00\x02")


def reason_to_exclude(rule: str, text: str, secret: str) -> str | None:
    """Why a drawn sample is no secret, or None where it is one.

    Args:
        rule: The name of the scanner's rule.
        text: The drawn text.
        secret: The part of it that the rule takes for the secret.
    """
    if _ID.search(rule) is not None:
        return "the rule names an id, an address or a public key, which leads to a secret"
    if len(secret.strip()) < SHORTEST_CHARS:
        return f"shorter than {SHORTEST_CHARS} characters: the expression leaves the length open, no service does"
    if "\\" in secret:
        return "a backslash inside: the expression has it for texts that are quoted"
    userinfo = _USERINFO.search(text)
    if userinfo is not None and not (_is_userinfo(userinfo["user"]) and _is_userinfo(userinfo["password"])):
        return "an address that is none: slashes or quotes in its user information"
    if secret.startswith("eyJ") and not _holds_json(secret.partition(".")[0]):
        return "base64 that begins as JSON and holds none; the scanner decodes it afterwards"
    if secret.startswith("MII") and not _holds_key(secret):
        return "base64 that begins as a key or a certificate and is no key; the scanner decodes it afterwards"
    return None


def _is_userinfo(text: str) -> bool:
    return _UNESCAPED.fullmatch(text) is not None


def _decode(text: str) -> bytes | None:
    text = "".join(text.split()).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(text[: len(text) // 4 * 4], validate=True)
    except binascii.Error:
        return None


def _holds_json(text: str) -> bool:
    decoded = _decode(text)
    if decoded is None:
        return False
    try:
        json.loads(decoded)
    except ValueError:
        return False
    return True


def _holds_key(text: str) -> bool:
    decoded = _decode(text)
    return decoded is not None and decoded[4:8] in _DER_INTEGERS
