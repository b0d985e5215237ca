"""The forty URLs that must not reach this machine, and those that may be anything."""

from __future__ import annotations

import pytest

from clawd.errors import ClawdError
from clawd.net.allowed import Allowed
from clawd.net.fetch import Fetcher
from clawd.net.urls import parse


async def nobody(name: str) -> list[str]:
    """A resolver that answers as a machine does: what is called localhost is loopback."""
    if name == "localhost" or name.endswith((".localhost", ".nip.io")):
        return ["127.0.0.1", "::1"]
    if name == "both.example":
        return ["93.184.216.34", "127.0.0.1"]
    if name == "metadata.google.internal":
        return ["169.254.169.254"]
    raise OSError(name)


@pytest.mark.parametrize(
    ("url", "code", "words"),
    [
        ("file:///etc/passwd", "unsupported_scheme", "file:"),
        ("gopher://127.0.0.1:70/1", "unsupported_scheme", "gopher:"),
        ("ftp://127.0.0.1/", "unsupported_scheme", "ftp:"),
        ("data:text/html,hello", "unsupported_scheme", "data:"),
        ("javascript:alert(1)", "unsupported_scheme", "javascript:"),
        ("jar:http://127.0.0.1!/", "unsupported_scheme", "jar:"),
        ("http://127.0.0.1", "blocked_address", "127.0.0.1 resolves to loopback (127.0.0.1)"),
        ("HTTP://127.0.0.1:80/", "blocked_address", "loopback"),
        ("http://127.1", "blocked_address", "127.1 resolves to loopback (127.0.0.1)"),
        ("http://127.0.1", "blocked_address", "127.0.0.1"),
        ("http://2130706433", "blocked_address", "127.0.0.1"),
        ("http://0x7f000001", "blocked_address", "127.0.0.1"),
        ("http://0x7F.0x0.0x0.0x1", "blocked_address", "127.0.0.1"),
        ("http://0177.0.0.1", "blocked_address", "127.0.0.1"),
        ("http://017700000001/", "blocked_address", "127.0.0.1"),
        ("http://127.0.0.1.", "blocked_address", "127.0.0.1"),
        ("http://①②⑦.⓪.⓪.①", "blocked_address", "127.0.0.1"),
        (
            "http://\uff11\uff12\uff17\uff0e\uff11",
            "blocked_address",
            "127.0.0.1",
        ),
        ("http://127。0。0。1/", "blocked_address", "127.0.0.1"),
        ("http://127.0.0.\u200b1/", "blocked_address", "127.0.0.1"),
        ("http://[::1]", "blocked_address", "loopback (::1)"),
        ("http://[::]/", "blocked_address", "unspecified"),
        ("http://[::ffff:127.0.0.1]", "blocked_address", "(127.0.0.1)"),
        ("http://[::ffff:7f00:1]", "blocked_address", "(127.0.0.1)"),
        ("http://[::127.0.0.1]", "blocked_address", "loopback"),
        ("http://[64:ff9b::7f00:1]", "blocked_address", "NAT64"),
        ("http://[2002:7f00:1::]", "blocked_address", "6to4"),
        ("http://[2001:0:7f00:1::]", "blocked_address", "Teredo"),
        ("http://[fe80::5efe:127.0.0.1]", "blocked_address", "ISATAP"),
        ("http://[fe80::1%25eth0]/", "invalid_url", "interface"),
        ("http://[::1", "invalid_url", "bracket"),
        ("http://[127.0.0.1]/", "invalid_url", "IPv6"),
        ("http://169.254.169.254/latest/meta-data/", "blocked_address", "metadata"),
        ("http://metadata.google.internal/", "blocked_address", "metadata"),
        ("http://100.64.0.1", "blocked_address", "shared"),
        ("http://198.18.0.1", "blocked_address", "benchmarks"),
        ("http://0/", "blocked_address", "unspecified"),
        ("http://good@127.0.0.1/", "blocked_address", "127.0.0.1"),
        ("http://127.0.0.1#@good.com/", "blocked_address", "127.0.0.1"),
        ("http://127.0.0.1?@good.com/", "blocked_address", "127.0.0.1"),
        ("http://user:password@8.8.8.8/", "invalid_url", "user"),
        ("http://good.com\\@127.0.0.1/", "invalid_url", "backslash"),
        ("http://127.0.0.1\\@good.com/", "invalid_url", "backslash"),
        ("http:\\\\127.0.0.1/", "invalid_url", "backslash"),
        ("http://localhost.", "blocked_address", "loopback"),
        ("http://LOCALHOST/", "blocked_address", "loopback"),
        ("http://any.localhost:8080/", "blocked_address", "loopback"),
        ("http://127.0.0.1.nip.io/", "blocked_address", "loopback"),
        ("http://both.example/", "blocked_address", "loopback"),
        ("http://127.0.0.1%2f@good.com/", "unresolvable_host", "good.com"),
        ("http://127.0.0.1%00.good.com/", "invalid_url", "host name"),
        ("http://%31%32%37.0.0.1/", "invalid_url", "neither"),
        ("http://1.2.3.4.5/", "invalid_url", "neither"),
        ("http://256.0.0.1/", "invalid_url", "neither"),
        ("http://08.0.0.1/", "invalid_url", "neither"),
        ("http://0x/", "blocked_address", "unspecified"),
        ("http://4294967296/", "invalid_url", "neither"),
        ("http://a..b/", "invalid_url", "host name"),
        ("http://.../", "invalid_url", "host name"),
        ("http://-/", "invalid_url", "host name"),
        ("http://" + "a" * 64 + ".com/", "invalid_url", "host name"),
        ("http://" + "a." * 200 + "com/", "invalid_url", "host name"),
        ("http://ex ample.com/", "invalid_url", "host name"),
        ("http://exam\tple.com/", "invalid_url", "control"),
        ("http://example.com/\r\nHost: evil", "invalid_url", "control"),
        ("http://example.com/\x00", "invalid_url", "control"),
        ("http://example.com/\ud800", "invalid_url", "surrogate"),
        ("http://exam\ud800ple.com/", "invalid_url", "surrogate"),
        ("http://example.com:0/", "invalid_url", "port"),
        ("http://example.com:65536/", "invalid_url", "port"),
        ("http://example.com:80:80/", "invalid_url", "port"),
        ("http://example.com:\uff18\uff10/", "invalid_url", "port"),
        ("http:///etc/passwd", "invalid_url", "no host"),
        ("http:127.0.0.1/", "invalid_url", "no host"),
        ("//127.0.0.1/", "invalid_url", "scheme"),
        ("127.0.0.1", "invalid_url", "scheme"),
        ("", "invalid_url", "scheme"),
        ("http://" + "a" * 9000, "invalid_url", "9007 characters"),
    ],
)
async def test_what_is_not_public_or_not_clear_is_refused(url: str, code: str, words: str) -> None:
    """B25: no spelling reaches an address that is not public; the error says which it was."""
    with pytest.raises(ClawdError) as caught:
        await Fetcher(nobody).get(url, Allowed())
    assert (caught.value.code, words in caught.value.message) == (code, True), caught.value.message
    if code == "blocked_address":
        assert "tools.allowNets" in caught.value.hint


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("https://Example.COM", "https://example.com/"),
        (" https://example.com/a b?c=d e ", "https://example.com/a%20b?c=d%20e"),
        ("https://example.com:443/", "https://example.com/"),
        ("http://example.com:8080/x#part", "http://example.com:8080/x"),
        ("https://bücher.example/ä?ö=ü", "https://xn--bcher-kva.example/%C3%A4?%C3%B6=%C3%BC"),
        ("https://example.com/%41%zz?a[]=1", "https://example.com/%41%zz?a%5B%5D=1"),
        ("https://my_host.example./", "https://my_host.example/"),
        ("http://134744072/", "http://8.8.8.8/"),
        ("http://[2606:4700:0::1111]:81/", "http://[2606:4700::1111]:81/"),
        ("http://example.com?q=\\", "http://example.com/?q=%5C"),
    ],
)
def test_an_address_is_spelled_one_way(url: str, read: str) -> None:
    """What is asked for is what was checked, in ASCII."""
    assert parse(url).url == read
