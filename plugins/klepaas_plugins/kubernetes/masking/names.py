"""Names of fields, variables, flags and files that hold a secret, in configuration.

`klepaas.output.redaction` judges names anywhere, also in prose. Here it is known that the name is one of configuration,
so that more names count, and that a name may only describe a secret: `TOKEN_TTL`, `existingSecret`, `auth-mode`.
"""

import functools
import re

from klepaas.output.redaction import is_secret_name

__all__ = ["ends_secret", "holds_credentials", "is_container", "is_identity", "is_reference", "is_secret", "words"]


def words(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


# Names that hold a secret in configuration, where a wrong guess costs only a masked value.
_ENDS_SECRET = re.compile(
    r"(?:pass|password|passwd|passphrase|secret|apikey|secretkey|accesskey|privatekey|credential|masterauth|htpasswd|authtok)s?$"
    r"|token$|(?:^|(?:^|[-_.])(?:api|auth|access|refresh|bearer|user|admin|bot)[-_.]?)tokens$"
    r"|(?:^|[-_.])(?:pw|pat|psk|otp|pin|salt|mnemonic|jaas|auth|dsn)s?$|(?:^|[-_.])seed$"
    r"|jaas[-_.]config$|licen[cs]e[-_.]?key$|(?:account|shared[-_.]?access|storage)[-_.]?key$|preshared[-_.]?key$",
    re.IGNORECASE,
)
# Korean, which other words may be written around: 데이터베이스비밀번호, 암호값.
_KOREAN = re.compile("비밀번호|패스워드|암호(?!화)|인증키|비밀키|개인키|접근키|액세스키|시크릿|보안키|API키|토큰(?!화)")
# The last word of a name that describes a secret, or says where it is.
_DESCRIBES = words("""
    mode modes type types kind method methods ttl lifetime expiry expiration expires expire seconds minutes
    hours days age ref refs name names file files filename path paths dir directory issuer issuers audience
    audiences enabled enable disabled policy policies length len size count limit limits provider providers
    header headers prefix suffix algorithm alg format version interval timeout period class store namespace
    namespaces selector template rotation scope scopes domain samesite server service host hosts port realm
    required optional strategy review reviewers url uri endpoint endpoints id location region description
    title label message usage webhook signin proxy cache change encryption hashing depth page
    location backend driver source volume mount
    lookup regex pattern field column level requests window burst
""")
# A key that leads to a place which is the secret: everybody who knows it may write there.
_SECRET_PLACE = re.compile(r"webhook|(?:^|[-_.])(?:hook|dsn)|connection|callback", re.IGNORECASE)
_SECRET_ID = re.compile(r"session[-_.]?id$", re.IGNORECASE)
# The first word of a name that asks for a secret, counts it, or names an existing one.
_ASKS = words("""
    existing use enable enabled disable allow allowed skip create require required needs has is max min num number
    generate rotate verify validate check total mount automount ignore public no without
""")
# What the name is about, where it does not end so.
_ABOUT = words("auth authorization oauth bearer cookie authentication seed")
# Names of Secrets, and words that only sound alike.
_NO_SECRET = re.compile(
    r"(?:^|[-_.a-z])(?:tls|ca|ssl|certs?|certificates?|pull|registry)[-_. ]?secrets?$|(?:CA|TLS|SSL)[-_.]?Secrets?$"
    r"|(?:password|passwd|token|username)[-_.]?keys?$|(?:prompt|completion|total|max|min|input|output|num)[-_]?tokens$"
    r"|^secretKeys$|(?:proxy|fastcgi|uwsgi|grpc|scgi|memcached)_pass$|(?:by|com|encom|sur|tres|over|under)pass$",
    re.IGNORECASE,
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WORDS = re.compile(r"[-_./:\s]")
_CONTAINERS = words("""
    auth authorization authentication authn authz cookie cookies oauth session bearer jwt
""")
_REFERENCE = words("""
    name namespace key keys kind apiVersion optional path audience aud group version resource type driver secretName
    configMap fieldPath mode defaultMode expirationSeconds enabled mountPath subPath readOnly valueFrom fileName
    filename method algorithm existingSecret behavior envs files in scheme bearerFormat description
""")
_REFERENCE_ENDS = ("Ref", "Refs", "Name", "Selector", "_ref", "_name", "File", "Path", "Env", "PasswordKey", "TokenKey")
# What stands beside a password, in a field for both.
_IDENTITY = words("username user userID email database host port issuer role source provider")
_CREDENTIALS = re.compile(r"(?:^|[-_.])(?:credentials?|creds)$", re.IGNORECASE)


@functools.lru_cache(maxsize=4096)
def is_secret(name: str) -> bool:
    """Whether a configuration key, field, variable or flag of this name usually holds a secret."""
    prefix, _, tail = name[-200:].rpartition("/")
    if prefix.endswith("checksum"):
        return False
    if _KOREAN.search(tail):
        return True
    if not _has_secret_word(tail) or _NO_SECRET.search(tail):
        return False
    parts = _WORDS.split(_CAMEL.sub("_", tail))
    last = parts[-1].lower()
    if last in ("url", "uri", "endpoint", "id") and (_SECRET_PLACE.search(tail) or _SECRET_ID.search(tail)):
        return True
    if last in _DESCRIBES or parts[0].lower() in _ASKS:
        return False
    # In the middle of a name these words say what it is about: auth-tls-verify-depth.
    rest = [part for part in parts[:-1] if part.lower() not in _ABOUT]
    return len(rest) == len(parts) - 1 or last in ("key", "keys") or _has_secret_word("_".join([*rest, parts[-1]]))


def _has_secret_word(name: str) -> bool:
    return is_secret_name(name) or _ENDS_SECRET.search(name) is not None


def ends_secret(name: str) -> bool:
    """Whether a name is that of a secret itself, not of something about secrets: `password`, not `secretGenerator`."""
    parts = _WORDS.split(_CAMEL.sub("_", name))
    return _has_secret_word(parts[-1]) or _has_secret_word("_".join(parts[-2:])) or _KOREAN.search(name) is not None


def is_container(name: str) -> bool:
    """Whether fields below a field of this name are judged by their own names: `auth.username`, `secrets.enabled`."""
    return name.lower() in _CONTAINERS


def is_reference(name: str) -> bool:
    """Whether a field of this name, inside one with a secret's name, only says where the secret is."""
    return name in _REFERENCE or name.endswith(
        ("Ref", "Refs", "Name", "Selector", "_ref", "_name", "File", "Path", "Env", "PasswordKey", "TokenKey")
    )


def is_identity(name: str) -> bool:
    """Whether a field of this name says whose credentials they are, inside a field for all of them."""
    return name in _IDENTITY


def holds_credentials(name: str) -> bool:
    """Whether a field of this name holds a whole login, not passwords alone."""
    return _CREDENTIALS.search(_CAMEL.sub("_", name)) is not None
