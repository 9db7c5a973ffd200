"""Every token format that the table lists is masked wherever a token stands, and words that begin alike are not."""

import re
from collections import Counter

import pytest

from klepaas.output.masking.token_table import DISTINCT, PLAIN, TokenFormat
from klepaas.output.redaction import MARK, looks_secret, redact_text

from .samples import Samples

FORMATS = (*DISTINCT, *PLAIN)
FRAMES = (
    "{}",
    "got {} from the issuer",
    '{"note":"{}","n":1}',
    "first\\n{}\\nlast",  # inside of a JSON text
    "https://api.example/v1/run?x=%22{}%22&page=2",
    "a\n- {}\n",
    "('{}')",
    "see: <{}>",
)


def _id(form: TokenFormat) -> str:
    return f"{form.source.replace(' ', '-')}-{form.prefix}"


def _frame(frame: str, token: str) -> str:
    return frame.replace("{}", token)


@pytest.mark.parametrize("form", FORMATS, ids=_id)
def test_a_token_of_each_format_is_masked_whole_wherever_it_stands(form: TokenFormat) -> None:
    samples = Samples(7)
    for frame in FRAMES:
        token = samples.token(form)
        redacted = redact_text(_frame(frame, token))
        assert MARK in redacted, frame
        assert not any(token[at : at + 12] in redacted for at in range(len(token) - 11)), (frame, redacted)
        assert redact_text(redacted) == redacted


@pytest.mark.parametrize("form", DISTINCT, ids=_id)
def test_the_first_half_of_a_token_with_a_prefix_of_its_own_is_masked(form: TokenFormat) -> None:
    token = Samples(8).token(form)
    half = token[: len(token) // 2 + 4]
    if len(half) < len(form.prefix) + 20 or "{TOKEN}" in form.body:
        return
    assert half not in redact_text(f"got {half}")


@pytest.mark.parametrize("form", FORMATS, ids=_id)
def test_a_token_is_known_by_its_form_alone(form: TokenFormat) -> None:
    assert looks_secret(Samples(9).token(form))


def test_each_format_stands_once_and_names_its_source() -> None:
    counts = Counter((form.prefix, form.body) for form in FORMATS)
    assert [form for form, count in counts.items() if count > 1] == []
    assert all(
        re.fullmatch(
            r"(?:gitleaks|trufflehog|betterleaks|veles) [a-z0-9 -]+|credsweeper .+|.+ documentation, .+", form.source
        )
        for form in FORMATS
    )
    assert len({form.source for form in FORMATS if form.source.startswith("gitleaks ")}) >= 118


def test_tokens_of_kubernetes_itself_are_masked() -> None:
    samples = Samples(3)
    bootstrap = f"{samples.chars('lowernum', 6)}.a1{samples.chars('lowernum', 12)}b2"
    service_account = f"eyJ{samples.chars('url', 90)}.eyJ{samples.chars('url', 700)}.{samples.chars('url', 342)}"
    for text in (f"kubeadm join 10.0.0.1:6443 {bootstrap} --x", f"{bootstrap}   23h   authentication", service_account):
        redacted = redact_text(text)
        assert bootstrap not in redacted
        assert service_account[-40:] not in redacted
        assert MARK in redacted


@pytest.mark.parametrize(
    "text",
    [
        "pat.example.internal sat.example.internal key-value-store live_reload_enabled_for_all",
        "sk-learn-intelex-extension-for-scikit",
        "re_export_everything_from_the_module secret_manager_enabled_for_this_cluster",
        "dapibus.dose.token-review api_organisation_and_everything",
        "hf_transformers_cache_directory_is_missing",
        "task-runner-2026-11-30T10:00:00Z glance-api-7d4b9c6f5d-x2x9z",
        "registry.example/team/web@sha256:" + "0123456789abcdef" * 4,
        "commit 0123456789abcdef0123456789abcdef01234567",
        "app.3f2a1b4c5d6e7f80.js vendor.9f8e7d6c5b4a3f2e.css",
        "storage.googleapis.com.internal.example",
        "s.SomethingThatIsALongName",
        "6f1c2d3e-4b5a-6978-8877-665544332211",
        "SKIPPED_BECAUSE_OF_THE_POLICY_OF_THIS_CLUSTER",
        "EAAA_is_not_a_prefix_of_words_in_capitals",
        "npm_package_version=1.2.3 npm_config_registry=https://registry.example npm_lifecycle_event=prestart2",
        "xai-model-serving-gateway-2-in-production-with-a-name-that-is-as-long-as-a-token-of-it-really-is",
        "db-backup-cronjob-29384756-x7k2p eu1.metrics.example.com/api/v1 keyJsonSerializer.registerModule.apply",
        "continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MTIzNDU2LCJzdGFydCI6Im5naW54XHUwMDAwIn0",
        "api.v1.public.internal-gateway.example v2.local.development-environment-2",
    ],
)
def test_words_that_begin_like_a_token_are_left_alone(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize("escape", ["\\n", "\\x1f", "\\033", "\\u0022", "\\U00000022", "%3D", "\x1b[m", "\x1b[1;31m"])
def test_a_token_is_masked_behind_every_escape_of_a_character(escape: str) -> None:
    token = f"hf_{Samples(5).chars('letter', 34)}"
    assert redact_text(f"got{escape}{token}") == f"got{escape}{MARK}"


def test_a_web_token_is_masked_behind_the_prefix_of_its_issuer() -> None:
    samples = Samples(6)
    token = f"eyJ{samples.chars('url', 30)}.{samples.chars('url', 60)}.{samples.chars('url', 43)}"
    for prefix in ("wrka-", "issuer_", "Bearer-", ""):
        assert token[-20:] not in redact_text(f"got {prefix}{token}")
