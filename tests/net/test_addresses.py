"""What is public and what is not, whatever an address is dressed as."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from clawd.net.addresses import address_of, kind_of


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("0.0.0.0", "unspecified"),  # noqa: S104 - text
        ("0.1.2.3", "unspecified"),
        ("10.0.0.1", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.255.255", "private"),
        ("169.254.0.1", "link-local"),
        ("169.254.169.254", "metadata"),
        ("100.100.100.200", "metadata"),
        ("168.63.129.16", "metadata"),
        ("100.64.0.1", "shared"),
        ("100.127.255.255", "shared"),
        ("192.0.0.192", "reserved"),
        ("192.0.2.1", "documents"),
        ("198.51.100.7", "documents"),
        ("203.0.113.7", "documents"),
        ("192.88.99.1", "6to4"),
        ("198.18.0.1", "benchmarks"),
        ("198.19.255.255", "benchmarks"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.255", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::127.0.0.1", "loopback as IPv4 in IPv6"),
        ("::8.8.8.8", "reserved"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:10.0.0.1", "private"),
        ("::ffff:0:127.0.0.1", "loopback"),
        ("64:ff9b::127.0.0.1", "loopback behind NAT64"),
        ("64:ff9b::a9fe:a9fe", "metadata service behind NAT64"),
        ("64:ff9b:1::1", "translation"),
        ("2002:7f00:1::", "loopback as 6to4"),
        ("2002:a00:1::1", "private address as 6to4"),
        ("2002:808:808::1", "6to4 tunnel"),
        ("2001:0:7f00:1::1", "Teredo"),
        ("fe80::1", "link-local"),
        ("fe80::5efe:127.0.0.1", "loopback as ISATAP"),
        ("2606:4700::5efe:192.168.0.1", "private address as ISATAP"),
        ("2606:4700::200:5efe:127.0.0.1", "loopback as ISATAP"),
        ("fec0::1", "private"),
        ("fc00::1", "private"),
        ("fd00:ec2::254", "private"),
        ("ff02::1", "multicast"),
        ("100::1", "discarded"),
        ("2001:2::1", "benchmarks"),
        ("2001:10::1", "reserved"),
        ("2001:db8::1", "documents"),
        ("3fff::1", "documents"),
        ("5f00::1", "reserved"),
        ("4000::1", "reserved"),
    ],
)
def test_what_is_not_public_is_called_by_its_kind(text: str, kind: str) -> None:
    """Each range has its word, also inside of an address that only carries it."""
    assert kind in kind_of(ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "8.8.8.8",
        "1.1.1.1",
        "172.15.0.1",
        "172.32.0.1",
        "100.63.255.255",
        "100.128.0.1",
        "192.169.0.1",
        "198.20.0.1",
        "223.255.255.255",
        "2606:4700:4700::1111",
        "2001:4860:4860::8888",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2606:4700::5efe:8.8.8.8",
    ],
)
def test_what_is_public_has_no_kind(text: str) -> None:
    """The neighbours of every range are public, and so is what merely leads to them."""
    assert kind_of(ip_address(text)) == ""


def test_an_address_that_is_ipv4_in_disguise_is_ipv4() -> None:
    """It is compared, allowed and connected to as what it is."""
    assert str(address_of("::ffff:192.168.1.5")) == "192.168.1.5"
    assert str(address_of("::192.168.1.5")) == "::c0a8:105"
