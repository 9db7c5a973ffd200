"""The one check for every text that a caller hands in.

Why it is strict: in every Python Kubernetes client a name of "", "." or ".." rewrites the URL, and the delete of one
object becomes the delete of its collection or namespace. So each text parameter of each tool says what it is, in its
annotation, and the gate checks it before the tool runs:

    async def k8s_logs(name: Annotated[str, names.OBJECT], namespace: Annotated[str | None, names.NAMESPACE] = None)

A text parameter without a check cannot be registered (`klepaas.tools`). Clients still quote what they put into a URL:
two locks, one door.

Sources: RFC 1123; Kubernetes, "Object Names and IDs" and apimachinery's validation of path segment names.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from klepaas.errors import BadRequest
from klepaas.output.quoting import quote

__all__ = [
    "ANNOTATION_VALUE",
    "APPLICATION",
    "CONTAINER",
    "CONTEXT",
    "COUNTED_TEXT",
    "ENVIRONMENT_ASSIGNMENT",
    "ENVIRONMENT_VARIABLE",
    "FIELD_SELECTOR",
    "HTTP_PATH",
    "IMAGE",
    "KIND",
    "LABEL_SELECTOR",
    "NAMESPACE",
    "OBJECT",
    "QUANTITY",
    "TEXT",
    "WORKLOAD",
    "Check",
]

_QUOTED_MAX_CHARS = 40
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
# Most objects are RFC 1123 subdomains; RBAC objects may hold ":" and upper case (system:node, Admin). Each segment of
# the pattern begins and ends with a letter or digit, so ".", ".." and "-n" cannot match.
_OBJECT = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9._:]*[A-Za-z0-9])?")
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9]*([-.][A-Za-z0-9]+)*(/v[0-9][a-z0-9]*)?(/[A-Za-z][A-Za-z0-9]*)?")
# A kubeconfig takes any text; letters of every script and spaces inside are what people use.
_CONTEXT = re.compile(r"\w(?:[\w .:@/=+()-]*[\w.:@/=+()-])?")
_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_SELECTOR = re.compile(r"[A-Za-z0-9_./=!<>(), :\-]+")
_IMAGE = re.compile(
    r"(?:[a-zA-Z0-9][a-zA-Z0-9.-]*(?::[0-9]{1,5})?/)?[a-z0-9]+(?:[._-]+[a-z0-9]+)*"
    r"(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[a-f0-9]{64})?"
)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_NAME_MAX_CHARS = 253
_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?")
_HTTP_PATH = re.compile(r"/[A-Za-z0-9._~/-]*")
# Control characters of both sets, and halves of characters, which no UTF-8 document can hold.
# What is text nowhere, whatever a rule says: NUL, and halves of a character, which no encoding takes.
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True)
class Check:
    """What a text parameter is, and the rule that it must keep.

    Attributes:
        noun: What the parameter is, for the message ("namespace").
        accepts: The rule.
        rule: The rule in words, for the message.
        max_chars: Longest accepted text, in characters.
        quotable: Whether an error may quote the value. Free text may be a secret.
        is_assignment: Whether the text is NAME=value. A list of such also takes a map, and a record of one hides the
            value alone.
    """

    noun: str
    accepts: Callable[[str], bool]
    rule: str
    max_chars: int = 253
    quotable: bool = True
    is_assignment: bool = False

    def check(self, value: str, parameter: str) -> None:
        """Refuse a value that breaks the rule.

        Args:
            value: What the caller sent.
            parameter: The parameter's name, for the message.

        Raises:
            BadRequest: The value is empty, too long or not of this form.
        """
        if len(value) > self.max_chars:
            raise BadRequest(f"{parameter} has {len(value)} characters; a {self.noun} has at most {self.max_chars}")
        if _NO_TEXT.search(value) is not None or not self.accepts(value):
            shown = f"{parameter}={quote(value, _QUOTED_MAX_CHARS)}" if self.quotable else parameter
            raise BadRequest(f"{shown} is not a valid {self.noun}", next_step=f"Use {self.rule}")


def _matches(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda value: pattern.fullmatch(value) is not None


def _is_object_name(value: str) -> bool:
    return _OBJECT.fullmatch(value) is not None and ".." not in value


def _is_text(value: str) -> bool:
    return _CONTROL.search(value) is None


def _is_assignment(value: str) -> bool:
    name, _, text = value.partition("=")
    return len(name) <= _NAME_MAX_CHARS and _VARIABLE.fullmatch(name) is not None and _is_text(text)


OBJECT = Check("object name", _is_object_name, "letters, digits, '-', '.' or ':' with a letter or digit at both ends")
# What a new workload may be called; whatever else is made under its name has its own rule.
WORKLOAD = Check(
    "workload name",
    _matches(_SUBDOMAIN),
    "lower-case letters, digits, '-' and '.', with a letter or digit at both ends of each part",
)
# What runs already: a workload's name has up to 253 characters and dots, a label's value capitals and underscores.
APPLICATION = Check(
    "application name",
    _matches(_LABEL_VALUE),
    "letters, digits, '-', '.' and '_', beginning and ending with a letter or digit",
)
NAMESPACE = Check("namespace", _matches(_LABEL), "lower-case letters, digits and '-', at most 63 characters", 63)
CONTAINER = Check("container name", _matches(_LABEL), "lower-case letters, digits and '-', at most 63 characters", 63)
KIND = Check("kind", _matches(_KIND), "a kind, plural or short name such as Pod, pods, po, or pods.metrics.k8s.io")
CONTEXT = Check("context", _matches(_CONTEXT), "a context name of the server's own kubeconfig")
LABEL_SELECTOR = Check("label selector", _matches(_SELECTOR), "for example app=web,tier!=cache", max_chars=1000)
FIELD_SELECTOR = Check("field selector", _matches(_SELECTOR), "for example status.phase=Running", max_chars=1000)
IMAGE = Check("image", _matches(_IMAGE), "an image reference such as registry.example/team/web:1.2", max_chars=512)
ENVIRONMENT_VARIABLE = Check(
    "environment variable name", _matches(_VARIABLE), "letters, digits, '_', '.' or '-', not beginning with a digit"
)
QUANTITY = Check("quantity", _matches(_QUANTITY), "a Kubernetes quantity such as 250m, 0.5, 128Mi or 1Gi", max_chars=32)
HTTP_PATH = Check("HTTP path", _matches(_HTTP_PATH), "a path such as /healthz", max_chars=512)
# Text that never becomes part of a URL, a name or a command.
TEXT = Check("text", _is_text, "text without control characters", max_chars=4000, quotable=False)
ANNOTATION_VALUE = TEXT
COUNTED_TEXT = Check("value", _is_text, "text without control characters", max_chars=32768, quotable=False)
ENVIRONMENT_ASSIGNMENT = Check(
    "environment variable",
    _is_assignment,
    "NAME=value, or NAME alone to remove it; a name is letters, digits, '_', '.' or '-', not beginning with a digit",
    max_chars=COUNTED_TEXT.max_chars + _NAME_MAX_CHARS + 1,
    quotable=False,
    is_assignment=True,
)
