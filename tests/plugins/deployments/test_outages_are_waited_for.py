"""Which errors of a cluster a change waits for: read from their text and cause, not from their code."""

import json

import pytest

from klepaas_plugins.deployments.outages import is_outage
from klepaas_plugins.kubernetes.errors import Act, error_for

APPLY = Act("apply", "deployment web", "prod", "web", changes=True)
READ = Act("read", "deployment web", "prod", "web")
DENIED = 'admission webhook "check.example.com" denied the request: not today'
CANNOT = 'deployments.apps "web" is forbidden: User "dev" cannot patch resource "deployments" in API group "apps"'
QUOTA = 'deployments.apps "web" is forbidden: exceeded quota: small, requested: pods=1, used: pods=4, limited: pods=4'


def _body(message: str, reason: str) -> bytes:
    return json.dumps({"kind": "Status", "message": message, "reason": reason}).encode()


@pytest.mark.parametrize("code", [400, 401, 403, 404, 409, 413, 422, 429, 500, 503])
def test_a_denial_of_a_webhook_decides_whatever_its_code(code: int) -> None:
    assert not is_outage(error_for(APPLY, code, _body(DENIED, "")))


@pytest.mark.parametrize(
    ("code", "message", "reason"),
    [
        (401, "Unauthorized", "Unauthorized"),
        (403, CANNOT, "Forbidden"),
        (429, "Too many requests, please try again later.", "TooManyRequests"),
        (500, "Internal error occurred: etcdserver: leader changed", "InternalError"),
        (503, "the server is currently unable to handle the request", "ServiceUnavailable"),
        (500, 'Internal error occurred: failed calling webhook "a": Post "https://a": refused', "InternalError"),
    ],
)
def test_credentials_rights_limits_and_outages_are_waited_for(code: int, message: str, reason: str) -> None:
    assert is_outage(error_for(READ, code, _body(message, reason)))


def test_a_quota_is_not_waited_for_although_its_code_is_that_of_missing_rights() -> None:
    assert not is_outage(error_for(APPLY, 403, _body(QUOTA, "Forbidden")))
