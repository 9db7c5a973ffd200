"""What refused a request, read from the text and the causes of an API server's answer, and never from its HTTP code.

A webhook's denial carries whatever code the webhook chose, 401, 404, 429 and 503 among them; an admission policy gives
422, 403 or 413; quotas, Pod Security and missing rights share 403. The text tells them apart, from its beginning: what
follows is the webhook's own and may quote any other. A text that is not here is judged by its code (`errors`).

Sources of the texts: kubernetes/apiserver, pkg/admission/plugin/webhook/errors and policy/validating; kubernetes,
plugin/pkg/admission (resourcequota, limitranger, namespace lifecycle), pkg/registry/rbac/escalation_check.go;
k8s.io/pod-security-admission; apiserver, endpoints/handlers/responsewriters; answers of a real 1.36 API server
(`tests/fixtures/k8s-recordings`).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = ["Refusal", "find_refusal", "refusal_of"]


class Refusal(StrEnum):
    """What refused a request. The same body gets the same answer again, but for the first two."""

    WEBHOOK_UNREACHABLE = "webhook unreachable"
    NAMESPACE_ENDING = "namespace ending"
    WEBHOOK = "webhook"
    POLICY = "policy"
    QUOTA = "quota"
    POD_SECURITY = "pod security"
    ESCALATION = "escalation"
    RIGHTS = "rights"
    ADMISSION = "admission"
    """Another admission plugin: a limit range, a priority class, a service account that is not there."""


@dataclass(frozen=True, kw_only=True)
class _Row:
    """How a text begins, and what it means.

    Attributes:
        pattern: How it begins, after what it is about.
        refusal: What that means.
        forbids: Whether it only follows "... is forbidden: ".
    """

    pattern: str
    refusal: Refusal
    forbids: bool = False

    def fits(self, text: str, *, forbids: bool) -> bool:
        return (forbids or not self.forbids) and re.match(self.pattern, text) is not None


_ROWS = (
    _Row(pattern=r'admission webhook "[^"]{1,300}" denied the request', refusal=Refusal.WEBHOOK),
    _Row(pattern=r"failed (?:to call|calling) webhook", refusal=Refusal.WEBHOOK_UNREACHABLE),
    _Row(
        pattern=r'admission plugin "[^"]{1,300}" failed to complete (?:mutation|validation)',
        refusal=Refusal.WEBHOOK_UNREACHABLE,
    ),
    _Row(
        pattern=r"(?:Validating|Mutating)AdmissionPolicy '[^']{1,300}' with binding '[^']{0,300}' denied request",
        refusal=Refusal.POLICY,
    ),
    _Row(
        pattern=r"unable to create new content in namespace \S{1,300} because it is being terminated",
        refusal=Refusal.NAMESPACE_ENDING,
    ),
    _Row(pattern=r"exceeded quota: |failed quota: ", refusal=Refusal.QUOTA, forbids=True),
    _Row(pattern=r'violates PodSecurity "', refusal=Refusal.POD_SECURITY, forbids=True),
    _Row(
        pattern=r'user "[^"]{0,300}" .{0,2000}?is attempting to grant RBAC permissions not currently held',
        refusal=Refusal.ESCALATION,
        forbids=True,
    ),
    _Row(pattern=r'User "[^"]{0,300}" cannot [a-z]+ (?:resource|path) ', refusal=Refusal.RIGHTS, forbids=True),
)
# How klepaas and the API server begin a sentence, before what was refused and why.
_OURS, _OURS_END = "Cannot ", "): "
_INNER = "Internal error occurred: "
_FORBIDDEN = re.compile(r'(?:[^"\n]{0,300}(?:"[^"\n]{0,300}" )?is )?forbidden: ')
_ENDING = "NamespaceTerminating"


def refusal_of(status: Mapping[str, Any]) -> Refusal | None:
    """What refused a request, as its answer says. The message is compared as it came, and shown to nobody.

    Args:
        status: The answer: a Status of the API.
    """
    details = status.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    found = [one for one in causes if isinstance(one, dict)] if isinstance(causes, list) else []
    return find_refusal(str(status.get("message") or ""), found)


def find_refusal(text: str, causes: Iterable[Mapping[str, Any]] = ()) -> Refusal | None:
    """What refused a request. None: the text does not tell, so the answer's code decides.

    Args:
        text: The message of a Status, or a sentence of klepaas' that ends with it.
        causes: The Status' `details.causes`.
    """
    if any(cause.get("reason") == _ENDING for cause in causes):
        return Refusal.NAMESPACE_ENDING
    if text.startswith(_OURS):
        text = text.partition(_OURS_END)[2] or text
    text = text.removeprefix(_INNER)
    head = _FORBIDDEN.match(text)
    rest = text if head is None else text[head.end() :]
    found = next((row.refusal for row in _ROWS if row.fits(rest, forbids=head is not None)), None)
    return Refusal.ADMISSION if found is None and head is not None else found
