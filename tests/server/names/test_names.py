"""What a name may be: whatever passes leaves a URL what it was."""

import re
import time
import urllib.parse

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from klepaas import names
from klepaas.errors import BadRequest
from klepaas.names import Check
from klepaas.testing import time_budget

# What becomes one segment of a path.
SEGMENTS = [names.OBJECT, names.NAMESPACE, names.WORKLOAD, names.CONTAINER]
IDENTIFIERS = [*SEGMENTS, names.ENVIRONMENT_VARIABLE, names.QUANTITY]
ALL = [value for value in vars(names).values() if isinstance(value, Check)]

HOSTILE = ["", ".", "..", "../x", "%2e%2e", "a/b", "x" * 254, "a\x00b", "-n", "a b", "a\n", "?x=1"]
MORE_HOSTILE = [
    *(
        "/",
        "//",
        "...",
        "a..b",
        "..a",
        "a..",
        ".a",
        "a.",
        "-",
        "--all",
        "a-",
        "a%",
        "a%2fb",
        "%00",
        "a#b",
        "a?b",
        "a&b",
    ),
    *("a;b", "a\\b", "\\..\\", "a\tb", "\ta", "a\r", " a", "a ", "a\u2028", "\u2024\u2024", "\uff0e\uff0e"),
    *("a\u200b", "<a>"),
    *(
        "\u202ea",
        "á",
        "１",
        "a\ud800",
        "a\x85",
        "$(id)",
        "`id`",
        "a|b",
        "a>b",
        "{a}",
        "[a]",
        "~",
        "*",
        "@",
        "a@b",
        "<a>",
    ),
]

# Text that tends to be near the border: what names are made of, and what must not be in them.
_NEAR = st.text(alphabet=st.sampled_from("ab9Z.-_:/%\\ ~\x00\n\u202e"), max_size=12)
_ANY = st.one_of(_NEAR, st.text(max_size=260), st.from_regex(r"[a-z.:/%-]{1,20}", fullmatch=True))


def _passes(check: Check, value: str) -> bool:
    try:
        check.check(value, "name")
    except BadRequest:
        return False
    return True


@pytest.mark.parametrize("check", SEGMENTS, ids=lambda check: check.noun)
@given(value=_ANY)
def test_a_name_that_passes_stays_one_segment_of_a_path(check: Check, value: str) -> None:
    if not _passes(check, value):
        return
    assert value not in ("", ".", "..")
    assert not re.search(r"[/%\x00\s\\?#]", value)
    assert value[0].isalnum()
    assert value[0].isascii()
    quoted = urllib.parse.quote(value, safe="")
    for url in (
        str(httpx.URL("http://127.0.0.1:1").join(f"/api/v1/namespaces/prod/pods/{quoted}")),
        str(httpx.Request("DELETE", f"http://127.0.0.1:1/api/v1/namespaces/prod/pods/{quoted}").url),
        urllib.parse.urljoin("http://127.0.0.1:1", f"/api/v1/namespaces/prod/pods/{quoted}"),
    ):
        parts = urllib.parse.urlsplit(url)
        *before, last = parts.path.split("/")
        assert before == ["", "api", "v1", "namespaces", "prod", "pods"]
        assert urllib.parse.unquote(last) == value
        assert (parts.query, parts.fragment) == ("", "")


@given(value=_ANY)
def test_a_kind_that_passes_has_no_segment_that_climbs(value: str) -> None:
    if _passes(names.KIND, value):
        segments = value.split("/")
        assert len(segments) <= 3
        assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9.-]*", segment) for segment in segments)
        assert not any(".." in segment or segment.endswith((".", "-")) for segment in segments)


@given(value=_ANY)
def test_an_image_that_passes_has_no_part_that_climbs_or_looks_like_an_option(value: str) -> None:
    if _passes(names.IMAGE, value):
        assert value
        assert not value.startswith("-")
        assert not re.search(r"[\s%\x00\\?#]|(^|/)\.{0,2}(/|$)", value)


# What is hostile to a path but right for a kind or an image.
_RIGHT = [(names.IMAGE, "a/b"), (names.IMAGE, "x" * 254), (names.KIND, "a/b")]


@pytest.mark.parametrize(
    ("check", "value"),
    [
        pytest.param(check, value, id=f"{check.noun}-{value!a:.20}")
        for check in (*IDENTIFIERS, names.KIND, names.IMAGE)
        for value in HOSTILE
        if (check, value) not in _RIGHT
    ],
)
def test_a_hostile_text_is_no_name(check: Check, value: str) -> None:
    with pytest.raises(BadRequest) as caught:
        check.check(value, "name")
    assert "name" in caught.value.line
    assert caught.value.line.isprintable()
    assert len(caught.value.line) < 300


@pytest.mark.parametrize("value", MORE_HOSTILE, ids=ascii)
@pytest.mark.parametrize("check", SEGMENTS, ids=lambda check: check.noun)
def test_nothing_else_that_rewrites_a_path_is_a_name(check: Check, value: str) -> None:
    with pytest.raises(BadRequest):
        check.check(value, "name")


@pytest.mark.parametrize("value", [*HOSTILE, *MORE_HOSTILE], ids=ascii)
def test_a_context_is_never_a_path_of_its_own(value: str) -> None:
    """A context is looked up, never put into a path; it may hold `/` and `@`, as those of clouds do."""
    if _passes(names.CONTEXT, value):
        assert re.fullmatch(r"\w[\w .:@/=+()-]*", value)
        assert ".." not in value.split("/")


@pytest.mark.parametrize("value", ["a\x00", "a%00", "a\nb", "a\u202e", "a;b", "a&b", "a?b", "x" * 1001])
@pytest.mark.parametrize("check", [names.LABEL_SELECTOR, names.FIELD_SELECTOR], ids=lambda check: check.noun)
def test_a_selector_cannot_leave_its_query_parameter(check: Check, value: str) -> None:
    assert not _passes(check, value)


@pytest.mark.parametrize("value", ["", "x", "/a b", "/a\n", "/a?b", "/%2e", "http://evil/", "/\x00"])
def test_a_http_path_is_a_plain_path(value: str) -> None:
    assert not _passes(names.HTTP_PATH, value)


@pytest.mark.parametrize("check", [names.TEXT, names.COUNTED_TEXT], ids=lambda check: check.noun)
@pytest.mark.parametrize("value", ["a\x00", "\x1b[31m", "\x9b31m", "a\x7f", "half \ud800"], ids=ascii)
def test_text_without_control_characters_is_not_quoted_when_it_is_refused(check: Check, value: str) -> None:
    with pytest.raises(BadRequest) as caught:
        check.check(f"hunter2{value}", "message")
    assert "hunter2" not in caught.value.line
    check.check("tab\t, line\nfeed, 한국어, فارسی and 🚀", "message")


@pytest.mark.parametrize(
    ("check", "value"),
    [
        *((names.OBJECT, value) for value in ("web", "a", "0", "web-7d4b9c6f5d-x2x9z", "kube-root-ca.crt")),
        *((names.OBJECT, value) for value in ("system:controller:deployment-controller", "system:node:ip-10-0-0-1")),
        *((names.OBJECT, value) for value in ("my.crd.example.com", "v1beta1.metrics.k8s.io", "ip-10-0.ec2.internal")),
        *((names.OBJECT, value) for value in ("system::leader-locking-kube-scheduler", "10.96.0.1", "Admin", "a_b")),
        (names.OBJECT, "sh.helm.release.v1.web.v1"),
        (names.OBJECT, "x" * 253),
        *((names.NAMESPACE, value) for value in ("default", "kube-system", "a", "0", "x" * 63)),
        (names.WORKLOAD, "shop"),
        (names.CONTAINER, "istio-proxy"),
        *((names.KIND, value) for value in ("Pod", "pods", "po", "pods.metrics.k8s.io", "apps/v1/Deployment")),
        *((names.KIND, value) for value in ("Deployment.apps", "v1/Pod", "certificates.cert-manager.io")),
        *((names.CONTEXT, value) for value in ("kind-kind", "gke_my-project_asia-northeast3_prod", "minikube")),
        (names.CONTEXT, "arn:aws:eks:ap-northeast-2:123456789012:cluster/prod"),
        (names.CONTEXT, "user@cluster.example"),
        *((names.IMAGE, value) for value in ("nginx", "nginx:1.27", "registry.example:5000/team/web:1.2", "a/b")),
        (names.IMAGE, "registry.example/org/app_x/web-y@sha256:" + "0" * 64),
        (names.IMAGE, "registry.example/web:1.0@sha256:" + "a" * 64),
        *((names.LABEL_SELECTOR, value) for value in ("app=web,tier!=cache", "env in (prod, dev)", "!canary")),
        (names.LABEL_SELECTOR, "app.kubernetes.io/name=web"),
        (names.FIELD_SELECTOR, "status.phase!=Running,metadata.name=web"),
        *((names.ENVIRONMENT_VARIABLE, value) for value in ("A", "_x", "DB_PASSWORD", "spring.datasource.url")),
        *((names.QUANTITY, value) for value in ("0", "250m", "0.5", "128Mi", "1Gi", "2k")),
        *((names.HTTP_PATH, value) for value in ("/", "/healthz", "/api/v1/~ready_now.html")),
    ],
    ids=lambda value: value.noun if isinstance(value, Check) else str(value),
)
def test_names_that_are_in_use_pass(check: Check, value: str) -> None:
    check.check(value, "name")


@pytest.mark.parametrize("check", ALL, ids=lambda check: check.noun)
@pytest.mark.parametrize(
    "piece", ["a", "a.", "a-", "a/", "a:", "a_", "-.", "a.-_", ".", "a=b,", "a/a:", "0", "9.", "@sha256:", "\x00"]
)
def test_a_rule_takes_linear_time_even_without_its_length_limit(check: Check, piece: str) -> None:
    hostile = piece * (100_000 // len(piece)) + "!"
    began = time.thread_time()
    check.accepts(hostile)
    check.accepts(f"/{hostile}")
    assert time.thread_time() - began < time_budget(3, "a pattern would backtrack")


@pytest.mark.parametrize("check", ALL, ids=lambda check: check.noun)
def test_a_text_that_is_too_long_is_not_even_looked_at(check: Check) -> None:
    with pytest.raises(BadRequest, match="at most"):
        check.check("a" * (check.max_chars + 1), "name")
