"""Whatever a model writes as an address: one clear error, or one way to spell it."""

from __future__ import annotations

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from clawd.errors import Invalid
from clawd.net.addresses import kind_of
from clawd.net.urls import parse

WORDS = (
    "http:// https: // 127 0x7f 0177 . 1 ① 。 @ \\ # ? [ ] :: ffff : 80 / %31 a ü \u200b \ud800 -"
)
PIECES = st.lists(st.sampled_from([*WORDS.split(" "), " "]), max_size=14).map("".join)


@given(PIECES | PIECES.map("http://{}".format) | st.text(max_size=60))
def test_any_text_is_an_error_or_an_address_that_reads_back_as_itself(text: str) -> None:
    """What is asked for is ASCII, and means to the next reader what it means here."""
    try:
        target = parse(text)
    except Invalid:
        return
    assert target.url.isascii()
    assert target.url.isprintable()
    again = parse(target.url)
    assert (again.host, again.port, again.address) == (target.host, target.port, target.address)
    assert again.url == target.url


@given(st.ip_addresses())
def test_any_address_is_told_apart_as_what_it_is_to_a_host(address: object) -> None:
    """An address and its text are the same thing; nothing that Python calls private is public."""
    found = ip_address(str(address))
    assert kind_of(found) or not (found.is_private or found.is_loopback or found.is_multicast)
