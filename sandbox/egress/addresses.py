"""Classes of addresses: everything that is not plainly the public internet has a name here."""

import errno
import socket
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address


class AddressClass(StrEnum):
    """What an address is, as far as a sandbox is concerned."""

    PUBLIC = "public"
    PRIVATE = "private"
    LOOPBACK = "loopback"
    LINK_LOCAL = "link_local"
    METADATA = "metadata"
    MULTICAST = "multicast"
    RESERVED = "reserved"
    UNSPECIFIED = "unspecified"
    OWN = "own"
    """An address of this machine."""


# Most specific first: the first network that holds an address names its class.
_V4 = (
    # Metadata services, also where their address lies outside every special range.
    ("169.254.169.254/32", AddressClass.METADATA),
    ("169.254.170.0/24", AddressClass.METADATA),
    ("100.100.100.200/32", AddressClass.METADATA),
    ("168.63.129.16/32", AddressClass.METADATA),
    ("192.0.0.192/32", AddressClass.METADATA),
    ("0.0.0.0/8", AddressClass.UNSPECIFIED),
    ("10.0.0.0/8", AddressClass.PRIVATE),
    ("100.64.0.0/10", AddressClass.PRIVATE),
    ("127.0.0.0/8", AddressClass.LOOPBACK),
    ("169.254.0.0/16", AddressClass.LINK_LOCAL),
    ("172.16.0.0/12", AddressClass.PRIVATE),
    ("192.0.0.0/24", AddressClass.RESERVED),
    ("192.0.2.0/24", AddressClass.RESERVED),
    ("192.88.99.0/24", AddressClass.RESERVED),
    ("192.168.0.0/16", AddressClass.PRIVATE),
    ("198.18.0.0/15", AddressClass.RESERVED),
    ("198.51.100.0/24", AddressClass.RESERVED),
    ("203.0.113.0/24", AddressClass.RESERVED),
    ("224.0.0.0/4", AddressClass.MULTICAST),
    ("240.0.0.0/4", AddressClass.RESERVED),
    ("0.0.0.0/0", AddressClass.PUBLIC),
)
_V6 = (
    ("fd00:ec2::254/128", AddressClass.METADATA),
    ("fd20:ce::254/128", AddressClass.METADATA),
    ("::/128", AddressClass.UNSPECIFIED),
    ("::1/128", AddressClass.LOOPBACK),
    ("fc00::/7", AddressClass.PRIVATE),
    ("fec0::/10", AddressClass.PRIVATE),
    ("fe80::/10", AddressClass.LINK_LOCAL),
    ("ff00::/8", AddressClass.MULTICAST),
    # Protocol assignments, with Teredo; documentation; 6to4. The last hides an IPv4 address.
    ("2001::/23", AddressClass.RESERVED),
    ("2001:db8::/32", AddressClass.RESERVED),
    ("2002::/16", AddressClass.RESERVED),
    ("3fff::/20", AddressClass.RESERVED),
    ("2000::/3", AddressClass.PUBLIC),
    ("::/0", AddressClass.RESERVED),
)
_V4_CLASSES = tuple((IPv4Network(network), name) for network, name in _V4)
_V6_CLASSES = tuple((IPv6Network(network), name) for network, name in _V6)
_NAT64 = IPv6Network("64:ff9b::/96")
_NO_WAY_THERE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}


def reached(address: Address) -> Address:
    """The address that is really reached: the IPv4 one inside a mapped or NAT64 address."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def classify(address: Address) -> AddressClass:
    """The class of an address by its number alone."""
    final = reached(address)
    if isinstance(final, IPv4Address):
        return next(name for network, name in _V4_CLASSES if final in network)
    return next(name for network, name in _V6_CLASSES if final in network)


def is_own(address: Address) -> bool:
    """Whether this machine has the address.

    Asks the kernel's routing: towards an address of its own, a machine speaks from that very
    address. Nothing is sent. An address that cannot be checked counts as own.
    """
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
            return str(probe.getsockname()[0]) == str(address)
    except OSError as error:
        return error.errno not in _NO_WAY_THERE
