"""HTTPS_PROXY, HTTP_PROXY and NO_PROXY mean what they mean to kubectl: Go's rules, in a table."""

import pytest

from klepaas.observability import safe_text
from klepaas.outbound import UnusableProxy, proxy_at, proxy_for

BOTH = {"HTTPS_PROXY": "http://secure.corp:3128", "HTTP_PROXY": "plain.corp:8080"}
DIRECT, SECURE, PLAIN = None, "secure.corp:3128", "plain.corp:8080"


def _place(url: str, **environment: str) -> str | None:
    found = proxy_for(url, environment)
    return found.place if found else None


@pytest.mark.parametrize(
    ("url", "no_proxy", "place"),
    [
        ("https://api.cluster.example", "", SECURE),
        ("http://api.cluster.example", "", PLAIN),
        ("https://localhost:6443", "", DIRECT),
        ("https://127.0.0.1:6443", "", DIRECT),
        ("https://127.8.9.10", "", DIRECT),
        ("https://[::1]:6443", "", DIRECT),
        ("https://10.1.2.3", "", SECURE),
        ("https://10.1.2.3", "10.0.0.0/8", DIRECT),
        ("https://11.1.2.3", "10.0.0.0/8", SECURE),
        ("https://[fd00::7]", "fd00::/8", DIRECT),
        ("https://10.1.2.3:6443", "10.1.2.3", DIRECT),
        ("https://10.1.2.3:6443", "10.1.2.3:6443", DIRECT),
        ("https://10.1.2.3:443", "10.1.2.3:6443", SECURE),
        ("https://[fd00::7]:6443", "[fd00::7]:6443", DIRECT),
        ("https://[fd00::7]:6443", "fd00::7", DIRECT),
        ("https://cluster.example", "cluster.example", DIRECT),
        ("https://API.Cluster.Example", "cluster.EXAMPLE", DIRECT),
        ("https://notcluster.example", "cluster.example", SECURE),
        ("https://api.cluster.example", ".cluster.example", DIRECT),
        ("https://cluster.example", ".cluster.example", SECURE),
        ("https://api.cluster.example", "*.cluster.example", DIRECT),
        ("https://cluster.example", "*.cluster.example", SECURE),
        ("https://cluster.example:6443", "cluster.example:6443", DIRECT),
        ("https://cluster.example", "cluster.example:6443", SECURE),
        ("https://cluster.example", "cluster.example:443", DIRECT),
        ("https://cluster.example", "*", DIRECT),
        ("https://cluster.example", "other.example, ,cluster.example", DIRECT),
        ("https://cluster.example", "10.0.0.0/99,/,:443", SECURE),
        ("https://쇼핑.example", "쇼핑.example", DIRECT),
    ],
)
def test_a_proxy_is_chosen_as_gos_programs_choose_it(url: str, no_proxy: str, place: str | None) -> None:
    assert _place(url, NO_PROXY=no_proxy, **BOTH) == place
    lower = {name.lower(): value for name, value in BOTH.items()}
    assert _place(url, no_proxy=no_proxy, **lower) == place


def test_upper_case_counts_before_lower_case_and_an_empty_variable_does_not_count() -> None:
    assert _place("https://a.example", HTTPS_PROXY="http://one:1", https_proxy="http://two:2") == "one:1"
    assert _place("https://a.example", HTTPS_PROXY="", https_proxy="http://two:2") == "two:2"
    assert _place("https://a.example", HTTP_PROXY="http://one:1", ALL_PROXY="http://two:2") is None


def test_a_request_header_of_a_cgi_server_is_no_proxy() -> None:
    assert _place("http://a.example", HTTP_PROXY="http://evil:1", REQUEST_METHOD="GET") is None


@pytest.mark.parametrize(
    "value", ["socks5://user:canary-pw@proxy:1", "ftp://user:canary-pw@proxy", "http://:0", "http://a:b:c"]
)
def test_a_proxy_that_cannot_be_used_is_refused_by_the_name_of_its_variable_without_its_credentials(value: str) -> None:
    with pytest.raises(UnusableProxy, match="HTTPS_PROXY") as caught:
        proxy_for("https://a.example", {"HTTPS_PROXY": value})
    assert "canary" not in caught.value.text


def test_the_credentials_of_a_proxy_stand_in_no_text_of_ours() -> None:
    proxy = proxy_at("http://person:canary%20password@proxy.corp:3128", "HTTPS_PROXY")
    assert str(proxy) == "proxy proxy.corp:3128 (from HTTPS_PROXY)"
    assert "canary" not in repr(proxy)
    for form in ("canary password", "canary%20password", "cGVyc29uOmNhbmFyeSBwYXNzd29yZA=="):
        assert form not in safe_text(f"407 from the proxy: {form}")
