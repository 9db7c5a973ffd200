"""What an error means: its text and cause first, its code last."""

import json

import pytest

from klepaas.errors import (
    BadRequest,
    CircuitOpen,
    Conflict,
    Forbidden,
    KlepaasError,
    RateLimited,
    TimedOut,
    Unauthorized,
    Unavailable,
)
from klepaas_plugins.deployments.executor.failures import classify_error, classify_status
from klepaas_plugins.deployments.executor.observed import BLOCKING, Trouble
from klepaas_plugins.kubernetes.client import FieldConflict, OutcomeUnknown
from klepaas_plugins.kubernetes.errors import Act, error_for

CODES = (400, 401, 403, 404, 409, 413, 422, 429, 500, 503)
DECISIVE = {
    "webhook": 'admission webhook "policy.example.com" denied the request: images must be signed',
    "policy": "deployments \"web\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no",
    "quota": 'pods "web-1" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2',
    "pod security": 'pods "web" is forbidden: violates PodSecurity "restricted:latest": privileged',
    "escalation": 'roles "r" is forbidden: user "u" is attempting to grant RBAC permissions not currently held',
    "limit range": 'pods "web" is forbidden: maximum cpu usage per Container is 1, but limit is 2',
}
RIGHTS = 'deployments.apps "web" is forbidden: User "u" cannot patch resource "deployments" in API group "apps"'


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("text", DECISIVE.values(), ids=DECISIVE)
def test_a_text_of_admission_decides_whatever_its_code(code: int, text: str) -> None:
    assert classify_status(code, "", text) is Trouble.ADMISSION
    assert classify_status(code, "Unauthorized", text) is Trouble.ADMISSION


@pytest.mark.parametrize("code", CODES)
def test_a_terminating_namespace_ends_whatever_its_code(code: int) -> None:
    text = "unable to create new content in namespace shop because it is being terminated"
    assert classify_status(code, "Forbidden", text) is Trouble.NAMESPACE_ENDING
    causes = [{"reason": "NamespaceTerminating"}]
    assert classify_status(code, "Forbidden", "forbidden", causes) is Trouble.NAMESPACE_ENDING


@pytest.mark.parametrize(
    ("code", "reason", "text", "trouble"),
    [
        (401, "Unauthorized", "Unauthorized", Trouble.CREDENTIALS),
        (401, "", "who are you?", Trouble.UNREACHABLE),
        (403, "Forbidden", RIGHTS, Trouble.RIGHTS),
        (403, "Forbidden", 'User "u" cannot get path "/apis"', Trouble.RIGHTS),
        (429, "TooManyRequests", "too many requests", Trouble.RATE_LIMITED),
        (500, "InternalError", "etcdserver: request timed out", Trouble.UNREACHABLE),
        (502, "", "", Trouble.UNREACHABLE),
        (503, "", "service unavailable", Trouble.UNREACHABLE),
        (504, "Timeout", "timed out", Trouble.UNREACHABLE),
    ],
)
def test_of_the_rest_what_may_pass_is_waited_for_for_hours(code: int, reason: str, text: str, trouble: Trouble) -> None:
    found = classify_status(code, reason, text)
    assert found is trouble
    assert found in BLOCKING


def test_a_webhook_that_cannot_be_called_is_neither_a_denial_nor_an_outage() -> None:
    text = 'Internal error occurred: failed calling webhook "x": failed to call webhook: connection refused'
    assert classify_status(500, "InternalError", text) is Trouble.WEBHOOK_UNREACHABLE


def test_a_bad_body_is_refused_though_its_code_is_500() -> None:
    assert classify_status(500, "", "failed to create typed patch object: duplicate entries") is Trouble.REFUSED
    assert classify_status(422, "Invalid", "spec.replicas: Invalid value") is Trouble.REFUSED


def test_a_kind_or_namespace_that_is_missing_is_told_apart_from_an_object() -> None:
    assert classify_status(404, "NotFound", 'namespaces "shop" not found') is Trouble.NAMESPACE_MISSING
    assert classify_status(404, "NotFound", "the server could not find the requested resource") is Trouble.NOT_SERVED


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (Unauthorized("not logged in"), Trouble.CREDENTIALS),
        (Forbidden(f"Cannot apply Deployment web (context c): {RIGHTS}"), Trouble.RIGHTS),
        (Forbidden("Cannot apply Deployment web (context c): the credentials do not allow it"), Trouble.RIGHTS),
        (RateLimited("later"), Trouble.RATE_LIMITED),
        (TimedOut("no answer"), Trouble.UNREACHABLE),
        (Unavailable("refused"), Trouble.UNREACHABLE),
        (CircuitOpen("open"), Trouble.UNREACHABLE),
        (OutcomeUnknown("cut"), Trouble.STALE),
        (Conflict("the object has been modified"), Trouble.STALE),
        (FieldConflict("owned"), Trouble.OWNED),
        (BadRequest("invalid"), Trouble.REFUSED),
    ],
)
def test_an_error_of_the_client_means_the_same(error: KlepaasError, trouble: Trouble) -> None:
    assert classify_error(error) is trouble


@pytest.mark.parametrize("changes", [True, False])
@pytest.mark.parametrize("code", CODES)
def test_a_webhooks_denial_keeps_its_text_on_its_way_through_the_client_whatever_its_code(
    code: int, changes: bool
) -> None:
    error = _through_the_client(code, DECISIVE["webhook"], changes=changes)
    assert classify_error(error) is Trouble.ADMISSION
    assert not error.retryable
    assert "images must be signed" in error.what


@pytest.mark.parametrize("code", [403, 413, 422])
@pytest.mark.parametrize("text", DECISIVE.values(), ids=DECISIVE)
def test_an_answer_of_admission_keeps_its_text_on_its_way_through_the_client(code: int, text: str) -> None:
    assert classify_error(_through_the_client(code, text, changes=True)) is Trouble.ADMISSION


def _through_the_client(code: int, text: str, *, changes: bool) -> KlepaasError:
    body = {"kind": "Status", "status": "Failure", "message": text, "code": code}
    return error_for(Act("apply", "Deployment web", "c", "web", changes), code, json.dumps(body).encode())
