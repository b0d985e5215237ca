"""What an address is: public, or one that nothing from outside may make this machine talk to.

The standard library's ``is_global`` is of no use here: it calls ``::127.0.0.1``,
``64:ff9b::7f00:1``, ``2002:7f00:1::`` and multicast global. So each range stands here by name,
and of IPv6 what is not known to be public is not public.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

_METADATA = frozenset(
    IPv4Address(text) for text in ("169.254.169.254", "100.100.100.200", "168.63.129.16")
)
"""Where clouds tell a machine its own secrets; the last one is public by its number."""

_V4 = tuple(
    (IPv4Network(network), kind)
    for network, kind in (
        ("127.0.0.0/8", "loopback"),
        ("10.0.0.0/8", "a private address"),
        ("172.16.0.0/12", "a private address"),
        ("192.168.0.0/16", "a private address"),
        ("169.254.0.0/16", "a link-local address"),
        ("100.64.0.0/10", "a shared address of a provider's network"),
        ("0.0.0.0/8", "an unspecified address"),
        ("192.0.0.0/24", "a reserved address"),
        ("192.0.2.0/24", "an address for documents"),
        ("198.51.100.0/24", "an address for documents"),
        ("203.0.113.0/24", "an address for documents"),
        ("192.88.99.0/24", "a 6to4 relay"),
        ("198.18.0.0/15", "an address for benchmarks"),
        ("224.0.0.0/4", "a multicast address"),
        ("240.0.0.0/4", "a reserved address"),
    )
)

_PUBLIC_V6 = IPv6Network("2000::/3")
_V6 = tuple(
    (IPv6Network(network), kind)
    for network, kind in (
        ("::1/128", "loopback"),
        ("::/128", "an unspecified address"),
        ("fe80::/10", "a link-local address"),
        ("fec0::/10", "a private address"),
        ("fc00::/7", "a private address"),
        ("ff00::/8", "a multicast address"),
        ("64:ff9b:1::/48", "a private translation (NAT64)"),
        ("100::/64", "a discarded address"),
        ("2001::/32", "a Teredo tunnel"),
        ("2001:2::/48", "an address for benchmarks"),
        ("2001:db8::/32", "an address for documents"),
        ("3fff::/20", "an address for documents"),
        ("2001::/23", "a reserved address"),
        ("2002::/16", "a 6to4 tunnel"),
    )
)

_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_CARRIERS = (
    # Where the IPv4 address stands: how far its last bit is from the right.
    (IPv6Network("::/96"), 0, "IPv4 in IPv6"),
    (IPv6Network("::ffff:0:0:0/96"), 0, "IPv4 in IPv6"),
    (IPv6Network("2002::/16"), 80, "6to4"),
)
_ISATAP = 0x5EFE


def address_of(text: str) -> Address:
    """An address as it is talked to: one that IPv6 merely spells differently is IPv4."""
    return plain(ip_address(text))


def plain(address: Address) -> Address:
    """The IPv4 address that ``::ffff:a.b.c.d`` is to every system, and all others as they are."""
    if isinstance(address, IPv6Address) and address in _MAPPED:
        return _tail(address)
    return address


def kind_of(address: Address) -> str:
    """What an address is, in words such as ``loopback``; "" for one that is public."""
    address = plain(address)
    return _kind_of_v4(address) if isinstance(address, IPv4Address) else _kind_of_v6(address)


def _kind_of_v4(address: IPv4Address) -> str:
    if address in _METADATA:
        return "a cloud's metadata service"
    return next((kind for network, kind in _V4 if address in network), "")


def _kind_of_v6(address: IPv6Address) -> str:
    if address in _NAT64:
        # The way to every IPv4 host on a network that has IPv6 alone: as good as its target.
        inner = _kind_of_v4(_tail(address))
        return f"{inner} behind NAT64" if inner else ""
    known = next((kind for network, kind in _V6 if address in network), "")
    if known in ("loopback", "an unspecified address"):
        return known
    for network, shift, name in _CARRIERS:
        if address in network:
            inner = _kind_of_v4(_tail(address, shift))
            return f"{inner} as {name}" if inner else known or "a reserved address"
    if int(address) >> 32 & 0xFDFFFFFF == _ISATAP:
        # Bit 57 says only whether the IPv4 address is unique.
        inner = _kind_of_v4(_tail(address))
        if inner:
            return f"{inner} as ISATAP"
    if known:
        return known
    return "" if address in _PUBLIC_V6 else "a reserved address"


def _tail(address: IPv6Address, shift: int = 0) -> IPv4Address:
    return IPv4Address(int(address) >> shift & 0xFFFFFFFF)
