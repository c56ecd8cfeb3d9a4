"""Which addresses are public, and what the operator may open."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given, strategies as st

from trilemma.errors import SpecError
from trilemma.sandbox.egress.addresses import AddressClass, classify, is_own, reached
from trilemma.sandbox.egress.reach import Reach, parse_exemption


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("8.8.8.8", AddressClass.PUBLIC),
        ("192.0.1.1", AddressClass.PUBLIC),
        ("172.32.0.1", AddressClass.PUBLIC),
        ("2606:4700::1111", AddressClass.PUBLIC),
        ("127.0.0.1", AddressClass.LOOPBACK),
        ("127.255.255.254", AddressClass.LOOPBACK),
        ("::1", AddressClass.LOOPBACK),
        ("0.0.0.0", AddressClass.UNSPECIFIED),
        ("0.1.2.3", AddressClass.UNSPECIFIED),
        ("::", AddressClass.UNSPECIFIED),
        ("10.255.0.1", AddressClass.PRIVATE),
        ("172.16.0.1", AddressClass.PRIVATE),
        ("172.31.255.255", AddressClass.PRIVATE),
        ("192.168.1.1", AddressClass.PRIVATE),
        ("100.64.0.1", AddressClass.PRIVATE),
        ("fd12::1", AddressClass.PRIVATE),
        ("fec0::1", AddressClass.PRIVATE),
        ("169.254.1.1", AddressClass.LINK_LOCAL),
        ("fe80::1", AddressClass.LINK_LOCAL),
        ("fe80::1%eth0", AddressClass.LINK_LOCAL),
        ("169.254.169.254", AddressClass.METADATA),
        ("168.63.129.16", AddressClass.METADATA),
        ("100.100.100.200", AddressClass.METADATA),
        ("fd00:ec2::254", AddressClass.METADATA),
        ("224.0.0.251", AddressClass.MULTICAST),
        ("ff02::fb", AddressClass.MULTICAST),
        ("255.255.255.255", AddressClass.RESERVED),
        ("198.18.0.1", AddressClass.RESERVED),
        ("2002:7f00:1::", AddressClass.RESERVED),
        ("2001:0:7f00:1::", AddressClass.RESERVED),
        ("::127.0.0.1", AddressClass.RESERVED),
        ("::ffff:0:7f00:1", AddressClass.RESERVED),
        ("::ffff:127.0.0.1", AddressClass.LOOPBACK),
        ("::ffff:169.254.169.254", AddressClass.METADATA),
        ("64:ff9b::10.0.0.1", AddressClass.PRIVATE),
        ("64:ff9b::8.8.8.8", AddressClass.PUBLIC),
        ("64:ff9b:1::8.8.8.8", AddressClass.RESERVED),
    ],
)
def test_each_address_has_its_class(text: str, kind: AddressClass) -> None:
    assert classify(ip_address(text)) is kind


@given(st.ip_addresses(v=4))
def test_no_ipv6_form_makes_an_ipv4_address_public(address: IPv4Address) -> None:
    for prefix in ("::ffff:", "64:ff9b::"):
        wrapped = IPv6Address(f"{prefix}{address}")
        assert classify(wrapped) is classify(address)
        assert reached(wrapped) == address


@given(st.ip_addresses())
def test_what_the_standard_library_calls_private_is_not_public(
    address: IPv4Address | IPv6Address,
) -> None:
    if classify(address) is AddressClass.PUBLIC:
        assert reached(address).is_global


def test_the_addresses_of_this_machine_are_known() -> None:
    assert is_own(ip_address("127.0.0.1"))
    assert is_own(ip_address("::1"))
    assert not is_own(ip_address("8.8.8.8"))


def public(own: bool) -> Reach:
    return Reach((), own=lambda _: own)


def test_a_public_address_of_this_machine_is_refused() -> None:
    assert public(own=False).refusal(ip_address("8.8.8.8"), 443) is None
    assert public(own=True).refusal(ip_address("8.8.8.8"), 443) is AddressClass.OWN
    assert public(own=True).refusal(ip_address("64:ff9b::8.8.8.8"), 443) is AddressClass.OWN


@pytest.mark.parametrize(
    ("entry", "address", "port", "opens"),
    [
        ("10.0.0.0/8", "10.1.2.3", 80, True),
        ("10.0.0.7", "10.0.0.7", 80, True),
        ("10.0.0.7", "::ffff:10.0.0.7", 80, True),
        ("10.0.0.7", "10.0.0.8", 80, False),
        ("10.0.0.7:8443", "10.0.0.7", 8443, True),
        ("10.0.0.7:8443", "10.0.0.7", 80, False),
        ("[fd00::7]:443", "fd00::7", 443, True),
        ("fd00::/8", "fd00::7", 443, True),
        ("192.0.2.0/24", "192.0.2.9", 443, True),
        ("127.0.0.1:9", "127.0.0.1", 9, True),
        ("127.0.0.0/8", "127.0.0.1", 9, False),
        ("169.254.0.0/16", "169.254.169.254", 80, False),
        ("169.254.0.0/16", "169.254.1.1", 80, False),
        ("169.254.169.254", "169.254.169.254", 80, True),
        ("0.0.0.0/0", "127.0.0.1", 80, False),
        ("::/0", "::1", 80, False),
    ],
)
def test_the_operator_opens_what_is_named(entry: str, address: str, port: int, opens: bool) -> None:
    reach = Reach((entry,), own=lambda _: False)
    assert (reach.refusal(ip_address(address), port) is None) is opens


def test_a_range_does_not_open_this_machine() -> None:
    own = ip_address("10.0.0.5")
    assert Reach(("10.0.0.0/8",), own=own.__eq__).refusal(own, 80) is AddressClass.OWN
    assert Reach(("10.0.0.5",), own=own.__eq__).refusal(own, 80) is None


@pytest.mark.parametrize(
    "text",
    ["", "example.org", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.1:0", "10.0.0.1:x", "[::1", "[::1]x"],
)
def test_an_odd_entry_is_refused(text: str) -> None:
    with pytest.raises(SpecError):
        parse_exemption(text)
