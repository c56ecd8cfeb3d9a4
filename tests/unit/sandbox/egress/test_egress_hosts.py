"""One host, one spelling."""

# ruff: noqa: RUF001 (look-alike characters are the point)

import pytest
from hypothesis import given, strategies as st

from trilemma.errors import SpecError
from trilemma.sandbox.egress.hosts import canonical_host, canonical_port


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("example.com", "example.com"),
        ("EXAMPLE.com.", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("ｅｘａｍｐｌｅ．com", "example.com"),
        ("example。com", "example.com"),
        ("exa\u00admple.com", "example.com"),
        ("r3---sn-abc.example", "r3---sn-abc.example"),
        ("_service.example", "_service.example"),
        ("localhost", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("127.0.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0x7F.0.0.0x1", "127.0.0.1"),
        ("0177.0.0.01", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("１２７.0.0.1", "127.0.0.1"),
        ("0", "0.0.0.0"),
        ("169.254.43518", "169.254.169.254"),
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("[0:0:0:0:0:0:0:1]", "::1"),
        ("[::ffff:127.0.0.1]", "127.0.0.1"),
        ("[::ffff:7f00:1]", "127.0.0.1"),
        ("[FD00::0001]", "fd00::1"),
    ],
)
def test_each_spelling_of_a_host_becomes_the_same(written: str, canonical: str) -> None:
    assert canonical_host(written) == canonical


@pytest.mark.parametrize(
    "written",
    [
        "",
        ".",
        "..",
        "a..b",
        ".example.com",
        "example.com..",
        "user@example.com",
        "good.example@evil.example",
        "good.example%2eevil.example",
        "%31%32%37.0.0.1",
        "example.com%00.evil.example",
        "example.com\x00.evil.example",
        "exam ple.com",
        "example.com\t",
        "example.com\r\nHost: evil",
        "a/b",
        "a\\b",
        "a?b",
        "a#b",
        "a:80",
        "-a.example",
        "a-.example",
        "*.example.com",
        "127.0.0.256",
        "127.0.0.1.1",
        "1.2.3.08",
        "0x",
        "4294967296",
        "1.2.3.4.5",
        "foo.127",
        "1_0.0.0.1",
        "[127.0.0.1]",
        "[example.com]",
        "[::1",
        "::1]",
        "[[::1]]",
        "[fe80::1%eth0]",
        "fe80::1%25eth0",
        "[::g]",
        "[1:2:3]",
        "xn--a",
        "xn--zzzzzz999999",
        "xn--EXAMPLE-.com",
        "a" * 64 + ".example",
        "a." * 130 + "example",
        "ℂ" * 2000,
        "exa‍mple⒈com",
    ],
)
def test_what_is_not_plainly_a_host_is_refused(written: str) -> None:
    with pytest.raises(SpecError):
        canonical_host(written)


@given(st.text(max_size=60) | st.from_regex(r"[a-zA-Z0-9.:\-\[\]x_%@]{1,40}", fullmatch=True))
def test_canonical_is_final_and_plain(text: str) -> None:
    try:
        canonical = canonical_host(text)
    except SpecError:
        return
    assert canonical_host(canonical) == canonical
    assert canonical == canonical.lower()
    assert canonical.isascii()
    assert not set(canonical) & set(" %@/\\?#[]\r\n\0")
    assert not canonical.endswith(".")


@given(st.ip_addresses(v=4), st.integers(0, 4))
def test_every_number_base_of_an_ipv4_address_is_the_same_host(address: object, form: int) -> None:
    octets = [int(part) for part in str(address).split(".")]
    number = int.from_bytes(bytes(octets), "big")
    spellings = [
        str(number),
        hex(number),
        "0" + oct(number)[2:],
        ".".join(hex(octet) for octet in octets),
        f"{octets[0]}.{number & 0xFFFFFF}",
    ]
    assert canonical_host(spellings[form]) == str(address)


@pytest.mark.parametrize("text", ["", "0", "65536", "-1", "+80", "8 0", "８０", "0x50", "1e3"])
def test_odd_ports_are_refused(text: str) -> None:
    with pytest.raises(SpecError, match="port"):
        canonical_port(text)


def test_a_port_is_read() -> None:
    assert canonical_port("443") == 443
