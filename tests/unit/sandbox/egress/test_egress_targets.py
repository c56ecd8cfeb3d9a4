"""Where a request wants to go."""

import pytest
from hypothesis import given, strategies as st

from trilemma.errors import SpecError
from trilemma.sandbox.egress.target import Target, absolute_target, tunnel_target


@pytest.mark.parametrize(
    ("raw", "target"),
    [
        (b"http://example.org", Target("http", "example.org", 80, "/")),
        (b"HTTPS://Example.Org/a?b", Target("https", "example.org", 443, "/a?b")),
        (b"https://example.org:8443?x", Target("https", "example.org", 8443, "/?x")),
        (b"http://[::1]:8080/", Target("http", "::1", 8080, "/")),
        (b"http://0x7f.1/", Target("http", "127.0.0.1", 80, "/")),
        (
            b"http://a.example/http://b.example/",
            Target("http", "a.example", 80, "/http://b.example/"),
        ),
        (b"http://a.example//b.example", Target("http", "a.example", 80, "//b.example")),
    ],
)
def test_an_absolute_target_is_read(raw: bytes, target: Target) -> None:
    assert absolute_target(raw) == target


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"/",
        b"*",
        b"example.org:443",
        b"ftp://example.org/",
        b"file:///etc/passwd",
        b"http:/example.org",
        b"http:///path",
        b"http://",
        b"http://user:pw@example.org/",
        b"http://example.org@evil.example/",
        b"http://example.org:80@evil.example/",
        b"http://example.org\\@evil.example/",
        b"http://example.org#@evil.example/",
        b"http://example.org/#fragment",
        b"http://example.org:/",
        b"http://example.org:0/",
        b"http://example.org:99999/",
        b"http://example.org:80:80/",
        b"http://::1/",
        b"http://[::1]x/",
        b"http://[fe80::1%25eth0]/",
        b"http://exa mple.org/",
        b"http://ex\xc3\xa4mple.org/",
        b"http://example.org/\x00",
        b"http://example.org/" + b"a" * 9000,
    ],
)
def test_other_targets_are_refused(raw: bytes) -> None:
    with pytest.raises(SpecError):
        absolute_target(raw)


def test_a_tunnel_target_is_read() -> None:
    assert tunnel_target(b"EXAMPLE.org.:443") == Target("tunnel", "example.org", 443)
    assert tunnel_target(b"[::ffff:10.0.0.1]:22") == Target("tunnel", "10.0.0.1", 22)


@pytest.mark.parametrize(
    "raw",
    [b"example.org", b"example.org:", b":443", b"https://example.org:443", b"a@b:443", b"::1:443"],
)
def test_other_tunnel_targets_are_refused(raw: bytes) -> None:
    with pytest.raises(SpecError):
        tunnel_target(raw)


def test_the_host_field_names_the_port_only_where_it_is_not_the_usual() -> None:
    assert absolute_target(b"https://example.org:443/").authority == "example.org"
    assert absolute_target(b"http://example.org:443/").authority == "example.org:443"
    assert absolute_target(b"http://[::1]/").authority == "[::1]"


@given(
    st.binary(max_size=80) | st.from_regex(rb"https?://[a-z.:@\[\]%0-9]{0,30}/?", fullmatch=True)
)
def test_whatever_comes_is_read_or_refused(raw: bytes) -> None:
    try:
        target = absolute_target(raw)
    except SpecError:
        return
    assert target.path.startswith("/")
    again = f"{target.scheme}://{target.authority}{target.path}".encode()
    assert absolute_target(again) == target
