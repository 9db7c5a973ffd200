"""Names of fields, variables and flags that hold secrets: DB_PASSWORD, apiKey, client.secret, 비밀번호.

A name is judged by its words. Some words name a secret wherever they stand, some only together with another one
("access key"), and the last word may say that the value only tells something about the secret: where it is, how long
it is valid, how many there are. Soft names are used for secrets and for other things: their values decide.
"""

import enum
import functools
import re

__all__ = ["STEMS", "Secrecy", "is_secret_name", "secrecy"]


class Secrecy(enum.IntEnum):
    """How surely a name holds a secret."""

    PLAIN = 0
    SOFT = 1
    SECRET = 2


# Every secret name contains one of these, in lower case.
STEMS = (
    r"pass|pwd|pswd|secret|token|key|cred|auth|bearer|cookie|session|sid\b|dsn|sig\b|signature|hmac|salt|jwt|psk|otp"
    r"|mnemonic|webhook|conn\w{0,7}[-_. ]?str|docker\w{0,6}cfg|docker_?config|pin\b|seed|pat\b|pw\b|identified|jaas"
    r"|비밀|암호|인증|비번|패스워드|토큰|시크릿|개인키|보안키|접근키|액세스키|api키"
)
_SECRET_WORDS = frozenset(
    {
        "password",
        "passwords",
        "passwd",
        "passphrase",
        "passphrases",
        "passcode",
        "passwort",
        "pass",
        "pwd",
        "pswd",
        "pw",
    }
    | {"secret", "token", "apikey", "apikeys", "accesskey", "secretkey", "privatekey", "authkey", "psk", "htpasswd"}
    | {"credential", "credentials", "creds", "authtoken", "dockerconfigjson", "dockerconfig", "dockercfg", "mnemonic"}
    | {"authtok"}
    | {"masterauth", "keypass", "storepass", "sshpass", "passwds", "presharedkey", "accountkey", "signingkey", "totp"}
    | {
        "비밀번호",
        "암호",
        "인증키",
        "비번",
        "패스워드",
        "토큰",
        "시크릿",
        "비밀키",
        "개인키",
        "보안키",
        "액세스키",
        "접근키",
    }
    | {"identified", "rpcpassword", "bindpw", "rootpw"}
    | {"인증토큰", "api키", "시크릿키", "비밀값", "인증비밀번호"}
)
# Written together with what stands before: PGPASSWORD, requirepass, userToken in lower case.
_SECRET_ENDS = (
    *(
        "password",
        "passwd",
        "passphrase",
        "secret",
        "token",
        "apikey",
        "accesskey",
        "secretkey",
        "privatekey",
        "dbpass",
        "credential",
        "credentials",
    ),
    *(
        "userpass",
        "rootpass",
        "requirepass",
        "adminpass",
        "mysqlpass",
        "비밀번호",
        "비밀키",
        "인증키",
        "토큰",
        "패스워드",
    ),
)
# Each of these with "key" behind it.
_KEYS = frozenset(
    {
        "api",
        "access",
        "secret",
        "private",
        "client",
        "signing",
        "encryption",
        "master",
        "account",
        "shared",
        "preshared",
    }
    | {
        "auth",
        "jwt",
        "hmac",
        "fernet",
        "webhook",
        "consumer",
        "crypto",
        "cipher",
        "aes",
        "unseal",
        "recovery",
        "session",
    }
    | {"subscription", "instrumentation", "write", "ingest", "admin", "decryption", "sign", "cookie", "authorization"}
)
_SOFT_KEYS = frozenset(
    {"tls", "ssl", "ssh", "app", "license", "licence", "service", "storage", "deploy", "rsa", "root"}
)
_SOFT_WORDS = frozenset(
    {"auth", "authorization", "bearer", "cookie", "cookies", "dsn", "sig", "signature", "hmac", "salt", "jwt", "otp"}
    | {"pin", "seed", "pat", "sid", "jsessionid", "phpsessid"}
)
# Many tokens may be a number of them: these are the plurals of what one logs in with.
_SOFT_TOKENS = re.compile(r"(?:api|auth|access|refresh|bearer|user|admin|bot)tokens$")
# mailpass, but not bypass.
_SOFT_PASS = re.compile(r"(?<!by)(?<!com)(?<!sur)(?<!tres)(?<!over)(?<!under)pass$")
_HARD_PAIRS = frozenset(
    {("connection", "string"), ("conn", "string"), ("webhook", "url"), ("session", "id"), ("conn", "str")}
    | {("webhook", "secret"), ("recovery", "code"), ("recovery", "codes"), ("backup", "codes"), ("key", "data")}
    | {("jaas", "config")}
)
# As the last word: where the secret is, or something about it.
_ABOUT = frozenset(
    {"file", "files", "filename", "path", "paths", "dir", "directory", "folder", "location", "mount", "volume", "store"}
    | {"name", "names", "ref", "refs", "reference", "keyref", "selector", "template", "ttl", "policy", "type", "kind"}
    | {"length", "len", "size", "lifetime", "expiry", "expires", "expiration", "expire", "exp", "age", "timeout", "in"}
    | {"interval", "period", "rotation", "rotate", "renewal", "enabled", "disabled", "enable", "disable", "required"}
    | {
        "optional",
        "allowed",
        "url",
        "uri",
        "urls",
        "endpoint",
        "host",
        "hostname",
        "port",
        "server",
        "domain",
        "issuer",
    }
    | {"audience", "audiences", "scope", "scopes", "method", "methods", "mode", "provider", "providers", "driver"}
    | {
        "backend",
        "engine",
        "manager",
        "algorithm",
        "alg",
        "header",
        "headers",
        "prefix",
        "suffix",
        "format",
        "encoding",
    }
    | {"encoder", "version", "count", "counts", "total", "limit", "limits", "max", "min", "rate", "budget", "usage"}
    | {"bucket", "window", "index", "field", "fields", "column", "input", "label", "placeholder", "hint", "prompt"}
    | {"message", "msg", "error", "errors", "reason", "status", "state", "check", "checks", "validator", "validation"}
    | {"strength", "complexity", "requirements", "rules", "reset", "change", "changed", "updated", "created", "at"}
    | {"time", "date", "timestamp", "seconds", "secs", "minutes", "hours", "days", "ms", "namespace", "group", "role"}
    | {"roles", "username", "email", "realm", "config", "configuration", "settings", "options", "class", "handler"}
    | {"factory", "filter", "middleware", "plugin", "module", "review", "request", "projection", "sources", "mapping"}
    | {"attempts", "retries", "failures", "failed", "success", "duration", "latency", "controller", "operator", "csi"}
    | {"algorithms", "generated", "generation", "samesite", "secure", "httponly", "client", "service", "uid", "flow"}
    | {"created", "needed", "valid", "invalid", "missing", "only", "hash-algorithm", "rounds", "memory", "parallelism"}
    | {
        "exists",
        "by",
        "source",
        "changes",
        "separator",
        "delimiter",
        "verification",
        "stdin",
        "sync",
        "syncer",
        "hook",
        "hooks",
    }
)
# Names that are about secrets without a last word that says so.
_ABOUT_NAME = re.compile(
    r"(?:serviceaccounttoken|tokenreviews?|(?:image)?pullsecrets?|existing[a-z]{0,40}secret|(?:tls|ca|cert|image|external|sealed"
    r"|kubernetes|k8s|ssl|certificate|issuer|ingress|backend|source|target)secret|secretkeyref|passwordkey|tokenkey"
    r"|userpasswordkey|adminpasswordkey|credentialskey|publickey|nopass(?:word|wd)?|tokenset)$"
)
_SPLIT = re.compile(r"[^0-9A-Za-z가-힣]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[a-z])(?=[0-9])")
_LONGEST_CHARS = 200


def is_secret_name(name: str) -> bool:
    """Whether a field, variable or flag of this name usually holds a secret.

    Args:
        name: The name as written; words are told apart by case and by what is neither letter nor digit.
    """
    return secrecy(name) is not Secrecy.PLAIN


@functools.lru_cache(maxsize=4096)
def secrecy(name: str) -> Secrecy:
    """How surely a field, variable or flag of this name holds a secret."""
    if len(name) > _LONGEST_CHARS:
        name = name[-_LONGEST_CHARS:]
    words = [word.lower() for word in _SPLIT.split(name) if word]
    if not words or _ABOUT_NAME.search("".join(words[-3:])):
        return Secrecy.PLAIN
    if words[-1] == "id" and words[-2:] != ["session", "id"] and words[-2:] != ["private", "id"]:
        return Secrecy.SOFT if {"secret", "access", "private"} & set(words) else Secrecy.PLAIN
    found = max(_judge(words, index) for index in range(len(words)))
    if found is Secrecy.PLAIN or (words[-1] in _ABOUT and tuple(words[-2:]) not in _HARD_PAIRS):
        return Secrecy.PLAIN
    return found


def _judge(words: list[str], index: int) -> Secrecy:
    word = words[index]
    pair = (words[index - 1], word) if index else ("", word)
    if pair in _HARD_PAIRS or word in _SECRET_WORDS or word.endswith(_SECRET_ENDS):
        return Secrecy.SECRET
    if word in ("key", "keys"):
        if pair[0] in _KEYS:
            return Secrecy.SECRET
        return Secrecy.SOFT if pair[0] in _SOFT_KEYS else Secrecy.PLAIN
    soft = word in _SOFT_WORDS or _SOFT_TOKENS.search("".join(pair)) or _SOFT_PASS.search(word)
    return Secrecy.SOFT if soft else Secrecy.PLAIN
