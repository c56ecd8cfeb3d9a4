"""Rules for destinations."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from trilemma.errors import SpecError
from trilemma.policy.hostrule import HostRule, canonical_name, listed
from trilemma.policy.publicsuffix import spans_owners


def covers(rule: HostRule, host: str, **changes: Any) -> bool:
    request = {"port": 443, "scheme": "https", "method": "GET", **changes}
    return rule.covers(host=host, **request)


def test_a_rule_covers_its_host_and_nothing_else() -> None:
    rule = HostRule(host="example.org")
    assert covers(rule, "example.org")
    assert covers(rule, "example.org", method="HEAD")
    for host in ("www.example.org", "example.org.evil.net", "notexample.org", "example.or", ""):
        assert not covers(rule, host)


def test_by_default_only_reading_over_https() -> None:
    rule = HostRule(host="example.org")
    assert not covers(rule, "example.org", method="POST")
    assert not covers(rule, "example.org", scheme="http")
    assert not covers(rule, "example.org", port=8443)


def test_a_wildcard_covers_what_is_below_and_not_the_name_itself() -> None:
    rule = HostRule(host="*.example.org")
    assert covers(rule, "www.example.org")
    assert covers(rule, "a.b.example.org")
    for host in ("example.org", "wwwexample.org", "www.example.org.evil.net", ".example.org.x"):
        assert not covers(rule, host)


def test_methods_cannot_bind_a_tunnel_but_host_and_port_do() -> None:
    rule = HostRule(host="example.org")
    assert covers(rule, "example.org", scheme="tunnel", method="CONNECT")
    assert not covers(rule, "example.org", scheme="tunnel", method="CONNECT", port=22)
    assert not covers(rule, "example.net", scheme="tunnel", method="CONNECT")
    clear = HostRule(host="example.org", schemes=("http",), ports=(80,))
    assert not covers(clear, "example.org", scheme="tunnel", method="CONNECT", port=80)


TOO_WIDE = [
    "*",
    "*.",
    "*.*",
    "*.com",
    "*.co.uk",
    "*.github.io",
    "*.amazonaws.com",
    "*.s3.amazonaws.com",
    "*.windows.net",
    "*.ck",
    "*.foo.ck",
    "*.example",
    "*.xn--55qx5d.cn",
    "*.公司.cn",
]
NO_HOST = [
    "ex*mple.org",
    "**.example.org",
    "a.*.example.org",
    "*.127.0.0.1",
    "*.::1",
    ".",
    "a..b",
    "-a.example",
    "a-.example",
    "http://a.example",
    "a.example:443",
    "a.example/x",
    "user@a.example",
    "a%2eexample",
    "fe80::1%eth0",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
]


@pytest.mark.parametrize(
    "host", [*TOO_WIDE, *NO_HOST, "", "a b", "a\nb", "a" * 64 + ".example", "a." * 130 + "example"]
)
def test_a_host_that_is_too_wide_or_no_host_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match=r"is not a|is too wide|carries a zone"):
        HostRule(host=host)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("Example.ORG", "example.org"),
        ("example.org.", "example.org"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("localhost", "localhost"),
        ("_dmarc.example.org", "_dmarc.example.org"),
    ],
)
def test_hosts_are_made_canonical(written: str, canonical: str) -> None:
    assert canonical_name(written) == canonical
    assert canonical_name(canonical) == canonical


@given(st.text(max_size=30))
def test_any_text_is_canonical_once_or_refused(text: str) -> None:
    try:
        name = canonical_name(text)
    except SpecError:
        return
    assert name == canonical_name(name)
    assert name.isascii()
    assert not set(name) & set(" %@/\\*[]\n\t")


def test_who_owns_what_is_below_a_name() -> None:
    for shared in ("com", "jp", "co.jp", "github.io", "windows.net", "foo.ck", "unknowntld"):
        assert spans_owners(shared), shared
    for owned in ("example.org", "wikipedia.org", "bbc.co.uk", "www.ck", "docs.python.org"):
        assert not spans_owners(owned), owned


GET = {"host": "example.org", "port": 443, "scheme": "https", "method": "GET"}
THIS = [HostRule(host="example.org")]
OTHER = [HostRule(host="example.net")]


def test_every_list_that_is_given_must_cover() -> None:
    assert listed([THIS, None], **GET)  # type: ignore[arg-type]
    assert listed([None, THIS], **GET)  # type: ignore[arg-type]
    assert listed([THIS, [*OTHER, *THIS]], **GET)  # type: ignore[arg-type]
    assert not listed([THIS, OTHER], **GET)  # type: ignore[arg-type]
    assert not listed([THIS, []], **GET)  # type: ignore[arg-type]
    assert not listed([None, None], **GET)  # type: ignore[arg-type]
    assert not listed([], **GET)  # type: ignore[arg-type]
