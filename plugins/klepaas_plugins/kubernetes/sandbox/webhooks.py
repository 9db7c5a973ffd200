"""Admission webhooks as a knob: what they would answer, without servers that answer it.

The texts and codes are those of an API server that calls real ones: a denial carries the webhook's own code, 400 when
it gives none, and no reason unless it gives one; a webhook that cannot be called is 500, unless its failures are
ignored. Webhooks are asked about writes of clients, also those that change nothing, and about what controllers create;
about the scale of an object as about the object itself; not about its status.

Source: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .model import Json
from .patch import merge_patch
from .policies import Change
from .resources import Resource
from .status import ApiError, bad_request

_LEAST_DENIAL = 400
_URL = "https://webhook.default.svc:443/"


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """One webhook, and what it does about each request that it is asked about.

    Attributes:
        resource: Plural of the kind that it is asked about, such as `configmaps`; `*` for every kind.
        name: As messages name it.
        operations: What it is asked about: CREATE, UPDATE, DELETE.
        denies: Whether it refuses.
        code: The refusal's HTTP status; None where it gives none.
        reason: The refusal's reason; empty where it gives none.
        message: The refusal's text; empty where it gives none.
        merge: Merge patch that it makes to what it is asked about; None where it changes nothing.
        failure: Why it cannot be called, such as `dial tcp 10.0.0.9:443: connect: connection refused`; empty when it
            can.
        delay_s: How long it takes to answer, in seconds.
        timeout_s: How long the API server waits for it, in seconds.
        ignores_failure: Whether a failed call lets the request through (failurePolicy Ignore).
        lets_dry_runs_through: Whether it refuses and fails only where something would be stored.
        supports_dry_run: False for an old one with side effects: every dry run is then refused.
        warnings: What it warns of where it lets a request through.
        times: How many requests it is asked about before it is gone; None for all.
    """

    resource: str
    name: str = "check.example.com"
    operations: tuple[str, ...] = ("CREATE", "UPDATE")
    denies: bool = False
    code: int | None = None
    reason: str = ""
    message: str = ""
    merge: Json | None = None
    failure: str = ""
    delay_s: float = 0.0
    timeout_s: float = 10.0
    ignores_failure: bool = False
    lets_dry_runs_through: bool = False
    supports_dry_run: bool = True
    warnings: tuple[str, ...] = ()
    times: int | None = None

    @property
    def wait_s(self) -> float:
        """How long the API server waits for its answer, in seconds."""
        return min(self.delay_s, self.timeout_s)

    @property
    def fault(self) -> str:
        """Why a call of it fails; empty when it does not."""
        if self.delay_s > self.timeout_s:
            return f'Post "{_URL}?timeout={self.timeout_s:g}s": context deadline exceeded'
        return f'Post "{_URL}?timeout={self.timeout_s:g}s": {self.failure}' if self.failure else ""

    def covers(self, resource: Resource, operation: str) -> bool:
        """Whether it is asked about an operation on a kind."""
        return self.resource in ("*", resource.plural) and operation in self.operations


class Webhooks:
    """The webhooks of one cluster, in the order they were added."""

    def __init__(self) -> None:
        self._added: list[Webhook] = []
        self._asked: dict[int, int] = {}

    def add(self, webhook: Webhook) -> None:
        """Ask a webhook from now on."""
        self._added.append(webhook)

    def clear(self) -> None:
        """Ask none any more."""
        self._added.clear()
        self._asked.clear()

    def wait_s(self, resource: Resource, operation: str) -> float:
        """How long a request waits for webhooks before it is carried out, in seconds."""
        return sum(one.wait_s for one in self._covering(resource, operation))

    def mutate(self, change: Change, warnings: list[str] | None = None) -> Json:
        """The object with what webhooks change in it; the same object when they change nothing.

        Args:
            change: what is to be admitted.
            warnings: gets what they warn of; None where nobody is told.

        Raises:
            ApiError: what a webhook that would change it refuses with.
        """
        obj = change.object
        for webhook in self._called(change.resource, change.operation, mutating=True):
            if _answers(webhook, change.dry_run) and webhook.merge:
                obj = merge_patch(obj, webhook.merge)
                (warnings if warnings is not None else []).extend(webhook.warnings)
        return obj

    def validate(self, change: Change, operation: str = "", warnings: list[str] | None = None) -> None:
        """Ask the webhooks that only refuse.

        Args:
            change: what is to be admitted.
            operation: as rules name it; empty for what the change says, which is never DELETE.
            warnings: gets what they warn of; None where nobody is told.

        Raises:
            ApiError: what a webhook refuses with.
        """
        for webhook in self._called(change.resource, operation or change.operation, mutating=False):
            if _answers(webhook, change.dry_run):
                (warnings if warnings is not None else []).extend(webhook.warnings)

    def _covering(self, resource: Resource, operation: str) -> Iterator[Webhook]:
        for webhook in self._added:
            used = self._asked.get(id(webhook), 0)
            if webhook.covers(resource, operation) and (webhook.times is None or used < webhook.times):
                yield webhook

    def _called(self, resource: Resource, operation: str, *, mutating: bool) -> Iterator[Webhook]:
        for webhook in self._covering(resource, operation):
            if (webhook.merge is not None) == mutating:
                self._asked[id(webhook)] = self._asked.get(id(webhook), 0) + 1
                yield webhook


def _answers(webhook: Webhook, dry_run: bool) -> bool:
    """Whether a webhook could be asked and lets a request through.

    Raises:
        ApiError: it could not be asked, or it refuses.
    """
    if dry_run and not webhook.supports_dry_run:
        raise bad_request(f'admission webhook "{webhook.name}" does not support dry run')
    if dry_run and webhook.lets_dry_runs_through:
        return True
    if webhook.fault:
        if webhook.ignores_failure:
            return False
        said = f'failed calling webhook "{webhook.name}": failed to call webhook: {webhook.fault}'
        causes = {"causes": [{"message": said}]}
        raise ApiError(500, f"Internal error occurred: {said}", "InternalError", causes)
    if webhook.denies:
        raise _denial(webhook)
    return True


def _denial(webhook: Webhook) -> ApiError:
    said = webhook.message or webhook.reason
    why = f": {said}" if said else " without explanation"
    code = webhook.code if webhook.code and webhook.code >= _LEAST_DENIAL else _LEAST_DENIAL
    return ApiError(code, f'admission webhook "{webhook.name}" denied the request{why}', webhook.reason)
