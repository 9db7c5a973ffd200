"""What the comparison with public scanners leaves out, and that it leaves out nothing else."""

import base64

import pytest
from masking.exclusions import reason_to_exclude

from .samples import Samples

SAMPLES = Samples(11)
TOKEN = SAMPLES.chars("alnum", 40)
JSON = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').decode().rstrip("=")
KEY = base64.b64encode(b"\x30\x82\x04\xbe\x02\x01\x00\x30" + b"\x0d" * 60).decode()


@pytest.mark.parametrize(
    ("rule", "text", "secret"),
    [
        ("example-client-id", TOKEN, TOKEN),
        ("example-project-url.1", f"https://{TOKEN}.example", f"https://{TOKEN}.example"),
        ("example-token", "xoxs-9-6-55-21", "xoxs-9-6-55-21"),
        ("example-token", f"{TOKEN}\\x", f"{TOKEN}\\x"),
        ("example-url", "db://a/b:secret-word-of-it@host", "secret-word-of-it"),
        ("example-jwt", f"eyJ{TOKEN}.x.y", f"eyJ{TOKEN}.x.y"),
        ("example-key", f"MII{TOKEN}", f"MII{TOKEN}"),
    ],
)
def test_a_sample_is_left_out_for_a_reason_that_the_sample_shows(rule: str, text: str, secret: str) -> None:
    assert reason_to_exclude(rule, text, secret)


@pytest.mark.parametrize(
    ("rule", "text", "secret"),
    [
        ("example-token", TOKEN, TOKEN),
        ("example-client-secret", TOKEN, TOKEN),
        ("example-client-id-and-secret", TOKEN, TOKEN),
        ("example-url", "db://user:secret-word-of-it@host", "secret-word-of-it"),
        ("example-jwt", f"{JSON}.{JSON}.{TOKEN}", f"{JSON}.{JSON}.{TOKEN}"),
        ("example-key", KEY, KEY),
    ],
)
def test_a_sample_that_may_be_a_secret_is_counted(rule: str, text: str, secret: str) -> None:
    assert reason_to_exclude(rule, text, secret) is None
