"""What a value after a secret's name tells: nothing at all, where the secret is, or the secret itself."""

import re

from klepaas.output.masking.names import Secrecy
from klepaas.output.vault import MARK

__all__ = ["is_harmless_value", "is_hidden_value", "is_path", "is_reference", "is_said_elsewhere"]

# Without braces: a digit in small letters is that of a password, $ecret123, rather than of a variable.
_BARE_VARIABLE = (
    r"(?:[A-Z_][A-Z0-9_]{0,100}|[A-Za-z_]{1,100}(?:-[A-Za-z_-]{1,60})?)(?:(?:::?|->|[./])[\w.:/>-]{0,100})?"
)
# What goes before a colon in braces and says where a value comes from; behind any other name a default stands.
_SOURCES = (
    r"(?:env|ENV|oc\.env|file|directory|vault|ssm|secrets?|secretsmanager|secret[mM]anager|configmaps|config|self|opt|param"
    r"|s3|cf|aws|sls|sm|kms|op|keyvault|k8s|sops|gcp|azure|sys|system|dotenv)"
)
# ${X}, ${env:X}, ${vault:path:key}; with an empty default, or with what is said where there is no value.
_BRACED = rf"(?:{_SOURCES}(?:::?[\w./-]{{1,100}}){{1,3}}|[A-Za-z_][\w./-]{{0,100}}(?::?[-=+]?|:?\?[^{{}}\n]{{0,100}}))"
# A value that points to another one. A default inside (${X:-y}, ${X:y}) would be a value.
_REFERENCE = re.compile(
    rf"\$(?:{_BARE_VARIABLE}|[({{]{_BRACED}(?:\[[^\]\s]{{1,60}}\])?[)}}])"  # $X, ${X}, $(X)
    r"|\$\((?!echo|printf)[a-z][^()\n]{1,200}\)"  # $(cat file)
    # {{ .Values.x }}, ${{ secrets.X }}; not one with a text in it, nor with one as its default.
    r"|\$?\{\{(?![ -]{0,3}[\"'])"
    r"(?:(?!default(?!\((?:''|\"\"|-?\w[\w.]{0,60})\)| [.$]))[^{}\n]){0,200}\}\}"
    r"|%[A-Za-z_][\w]{0,60}%|%\([\w.]{1,60}\)s|@[A-Z_]{2,60}@|#\{[\w.]{1,80}\}"
    r"|<[A-Za-z][\w .:/'\"-]{0,80}>|\[[A-Za-z][\w .-]{0,60}\]"  # a placeholder
    r"|(?:os\.environ|os\.getenv|process\.env|System\.getenv|getenv|env|secrets|var|vars|local|data|module|config|settings"
    r"|self|this|args|opts|options|cfg|conf|values|params|props|Values|ENV)[.(\[][\w.\"'()\[\]-]{1,120}"
    r"|(?:ref\+)?(?:vault|awssm|awsssm|gcpsecretmanager|azurekeyvault|op|sops|file|secretref|keyvault|env|k8s|aws-sm)"
    r":[/\w#.+@?=&-]{1,200}"
    r"|sha(?:1|256|384|512):[0-9a-f]{40,128}"
    r"|arn:aws[\w-]{0,10}:(?:secretsmanager|ssm|kms|iam):[\w:/*.+=@-]{1,200}"
    r"|projects/[\w-]{1,63}/(?:secrets|locations)/[\w/.-]{1,200}"
    r"|@Microsoft\.KeyVault\([^)\n]{1,200}\)"
    r"|!(?:Ref|GetAtt|Sub|vault)\s[\w.${}:/-]{1,120}"
)
_JOINED = re.compile(r"(?<=[})]):(?=[${])")
_PATH = re.compile(
    r"(?:file:/{0,3}|~/|\.{1,2}/|/(?:etc|var|run|opt|usr|home|tmp|mnt|secrets?|app|root|data|srv|vault|certs?|config|tls|ssl"
    r"|keys|dev|proc|bin|private)\b/?|[A-Z]:\\{1,2})[\w./\\@+ -]{0,200}"
    r"|[\w./-]{1,120}\.(?:pem|key|crt|cer|p12|pfx|jks|json|ya?ml|txt|env|conf|properties|toml|ini|kdbx|asc|gpg|pub)"
)
# What stands after a colon in prose, names a type, or says that there is no value.
_SAYS_NOTHING = re.compile(
    rf"(?:true|false|null|none|nil|~|yes|no|on|off|required|missing|invalid|expired|denied|failed|unknown|unset|empty|optional"
    rf"|not|is|was|must|the|a|an|error|redacted|str|string|text|int|integer|bool|boolean|bytes|object|array|secretstr|char"
    rf"|enabled?|disabled?|default|undefined|n/a|basic|bearer|digest|negotiate|oauth2?|oidc|ldap|saml|kerberos|trust|md5"
    rf"|scram-sha-256|rbac|hidden|masked|revoked|rotated|changed|updated|created|accepted|rejected|ok|valid|found"
    rf"|include|omit|same-origin|\$|\d{{1,5}}|\d{{1,9}}\.\d{{1,6}}|\d{{1,6}}(?:ms|s|m|h|d|k|b|kb|mb|gb|ki|mi|gi|%)"
    rf"|#{{1,3}}|[|>][-+0-9]{{0,2}}|\*{{2,}}|x{{3,}}|\.{{2,}}|-{{1,4}}|_{{2,}}|&[\w-]{{1,60}}|\*[\w-]{{1,60}}"
    rf"|{MARK}(?: \(\d{{1,9}} bytes\))?"
    rf"|없음|필수|만료|만료됨|오류|실패|틀림|불일치|변경|변경됨|입력|확인|재설정|생성됨|선택|미설정|숨김)?[.!]?",
    re.IGNORECASE,
)
_WORDS = re.compile(r"[A-Za-z]{1,40}(?:[-_./ ,:][A-Za-z]{1,40}){0,8}[.!?]?")
_HARMLESS = re.compile(
    r"-?\d{1,9}(?:\.\d{1,6})?(?:ms|s|m|h|d|w|k|g|t|ki|mi|gi|ti|kb|mb|gb|%)?"
    r"|(?:\d{1,3}\.){3}\d{1,3}(?::\d{1,5})?(?:/\d{1,2})?"
    r"|(?:https?|grpc|tcp|udp|wss?)://[a-z0-9.-]{1,120}(?::\d{1,5})?(?:/[\w./~%-]{0,200})?"
    r"|[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,8}(?::\d{1,5})?"
    r"|\d{4}-\d\d-\d\d(?:[T ][\d:.]{4,20}(?:Z|[+-]\d\d:?\d\d)?)?"
    r"|v?\d{1,5}(?:\.\d{1,6}){1,4}(?:[-+][\w.]{1,40})?",
    re.IGNORECASE,
)
# An address inside of the cluster or the pod, with a path of words and nothing else.
_LOCAL = re.compile(
    r"(?:https?://)?(?:localhost|127\.0\.0\.1|[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,3}\.svc(?:\.cluster\.local)?)"
    r"(?::\d{1,5})?(?:/[a-z0-9_.-]{0,40}){0,6}",
    re.IGNORECASE,
)
# password: must be at least 8 characters; password: 8자 이상, 영문과 숫자를 포함; password:  16 bytes
_SENTENCE = re.compile(
    r"(?:must|is|are|was|has|required|missing|invalid|unknown|not|cannot|should|expired|denied|same-site|may)[ ]"
    r"[a-z][a-z ,'/.-]{0,100}|[^ ]{0,20}[가-힣] [^\n]{0,200}[가-힣]|\d{1,6} bytes$|<(?:set to the key|none)\b"
)
# token = get_token(); password: z.string().min(8)
_CODE = re.compile(r"[A-Za-z_][\w.]{0,60}\([^\"'()]{0,60}\)(?:\.[\w.]{1,60}\([^\"'()]{0,60}\)){0,5};?")
_LONGEST_CHARS = 600
# secret: db-credentials names an object, as nobody's password does.
_OBJECT_NAME = re.compile(
    r"[a-z]{2,20}(?:-[a-z0-9]{1,20}){0,5}-(?:secrets?|tls|credentials?|creds|tokens?|auth|keys?|certs?|config)"
)


def is_reference(value: str) -> bool:
    """Whether a value only points to another one: a variable, a template, an entry of a secret store.

    A default that is masked already, as in ${NAME:‹redacted›}, leaves it what it is. Two may be joined: ${A}:${B}.
    """
    parts = _JOINED.split(value.replace(MARK, ""))
    return all(_REFERENCE.fullmatch(part) is not None for part in parts)


def is_path(value: str) -> bool:
    """Whether a value is a path of a file, as PASSWORD=/run/secrets/db."""
    return _PATH.fullmatch(value) is not None


def is_said_elsewhere(value: str) -> bool:
    """Whether what stands after a secret's name is no secret: nothing, a type, a reference, a place, a sentence."""
    return (
        _SAYS_NOTHING.fullmatch(value) is not None
        or is_reference(value)
        or is_path(value)
        or _OBJECT_NAME.fullmatch(value) is not None
        or (len(value) <= _LONGEST_CHARS and _says_where_or_how(value))
    )


def _says_where_or_how(value: str) -> bool:
    """Whether a value is an address inside of the cluster, a sentence about the secret, code that gets it, its size."""
    return any(matches(value) is not None for matches in (_LOCAL.fullmatch, _SENTENCE.match, _CODE.fullmatch))


def is_harmless_value(value: str) -> bool:
    """Whether a value after a name that is used for secrets and other things is none.

    Words, numbers, durations, dates, addresses without credentials, versions and host names are harmless.
    """
    return is_said_elsewhere(value) or _WORDS.fullmatch(value) is not None or _HARMLESS.fullmatch(value) is not None


def is_hidden_value(secrecy: Secrecy, value: str, *, in_configuration: bool = False) -> bool:
    """Whether a value is a secret, by what its name says and by its own form.

    Args:
        secrecy: How surely its name holds a secret.
        value: The value without its quotes.
        in_configuration: Whether the name is known to be one of configuration, where names that are used for secrets
            and for other things count as those of secrets.
    """
    if secrecy is Secrecy.PLAIN or is_said_elsewhere(value):
        return False
    is_sure = secrecy is Secrecy.SECRET or (in_configuration and secrecy is Secrecy.SOFT)
    return is_sure or not is_harmless_value(value)
