"""URLs read strictly: what two programs could understand differently is refused.

Host names are spelled as they will be asked for: in lower case, IDNA, without the final dot.
Numbers (``127.1``, ``0x7f000001``, ``0177.0.0.1``, ``①②⑦.⓪.⓪.①``) become the address that a
browser or the C library would make of them, before anything looks at it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote, urljoin

import idna

from clawd.errors import Invalid
from clawd.fences import quoted
from clawd.net.addresses import Address, plain

LONGEST = 8192
PORTS = {"http": 80, "https": 443}

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?://(?P<authority>[^/?#]*))?"
    r"(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?:#.*)?",
    re.DOTALL,
)
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_LONGEST_NAME = 253
_PATH_SAFE = "/%:@!$&'()*+,;=~-._"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes. ``host`` is a name or the canonical text of ``address``.

    ``path`` is the request's target: a path with its query, in ASCII. ``written`` is the host as
    it stood in the URL; ``user``: it named a user, which is never sent.
    """

    scheme: str
    host: str
    port: int
    path: str
    address: Address | None = None
    written: str = ""
    user: bool = False

    @property
    def authority(self) -> str:
        """The host, with the port where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme, host and port: who hears what is sent."""
        return f"{self.scheme}://{self.authority}"

    @property
    def url(self) -> str:
        """The URL, in ASCII, without its fragment."""
        return f"{self.origin}{self.path}"

    def join(self, location: str) -> Target:
        """Where a redirect leads; ``Invalid`` as for `parse`."""
        _check_characters(location)
        try:
            joined = urljoin(self.url, location)
        except ValueError:
            raise _invalid(location, "cannot be read") from None
        return parse(joined)


def parse(url: str) -> Target:
    """A URL's parts; ``Invalid`` (``invalid_url``, ``unsupported_scheme``) says what is wrong."""
    url = url.strip(" ")
    _check_characters(url)
    match = _URL.fullmatch(url)
    if match is None:
        raise _invalid(url, "has no scheme", "begin it with https://")
    scheme = match["scheme"].lower()
    if scheme not in PORTS:
        raise Invalid(
            "unsupported_scheme",
            f"{scheme[:40]}: is not fetched",
            hint="only http:// and https:// addresses are",
        )
    authority = match["authority"]
    if not authority:
        raise _invalid(url, "names no host", f"write it as {scheme}://host/path")
    user, _, place = authority.rpartition("@")
    written, port = _split_port(url, scheme, place)
    host, address = _host(url, written)
    query = match["query"] or ""
    path = quote(match["path"] or "/", safe=_PATH_SAFE) + quote(query, safe=_PATH_SAFE + "?")
    return Target(scheme, host, port, path, address, written, "@" in authority or bool(user))


def _check_characters(url: str) -> None:
    if len(url) > LONGEST:
        raise _invalid(url, f"has {len(url)} characters, more than {LONGEST}")
    for character in url:
        if character < " " or "\x7f" <= character < "\xa0":
            raise _invalid(url, "holds a control character")
        if "\ud800" <= character <= "\udfff":
            raise _invalid(url, "holds half a character (a lone surrogate)")
    if "\\" in re.split(r"[?#]", url, maxsplit=1)[0]:
        raise _invalid(url, "holds a backslash, which programs read differently")


def _split_port(url: str, scheme: str, place: str) -> tuple[str, int]:
    if place.startswith("["):
        host, bracket, rest = place[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise _invalid(url, "has no closing bracket after its IPv6 address")
        host, port = f"[{host}]", rest[1:]
    else:
        host, _, port = place.partition(":")
    if not port:
        return host, PORTS[scheme]
    if not _PORT.fullmatch(port) or not 1 <= int(port) <= 65535:
        raise _invalid(url, "has no valid port", "ports are 1 to 65535")
    return host, int(port)


def _host(url: str, written: str) -> tuple[str, Address | None]:
    if written.startswith("["):
        try:
            six = IPv6Address(written[1:-1])
        except ValueError:
            raise _invalid(url, "has no valid IPv6 address in its brackets") from None
        if six.scope_id is not None:
            raise _invalid(url, "names a network interface")
        address = plain(six)
        return str(address), address
    name = _ascii(url, written).removesuffix(".")
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        four = _ipv4(url, labels)
        return str(four), four
    if len(name) > _LONGEST_NAME or not all(map(_LABEL.fullmatch, labels)):
        raise _invalid(url, "has no valid host name")
    return name, None


def _ascii(url: str, host: str) -> str:
    if host.isascii():
        return host.lower()
    if len(host) > _LONGEST_NAME:
        raise _invalid(url, "has no valid host name")
    try:
        return idna.encode(host, uts46=True).decode("ascii").lower()
    except UnicodeError:
        raise _invalid(url, "has no valid host name") from None


def _ipv4(url: str, labels: list[str]) -> IPv4Address:
    """The address that one to four decimal, octal or hexadecimal numbers stand for."""
    numbers = [_number(label) for label in labels]
    head, last = numbers[:-1], numbers[-1]
    fits = len(numbers) <= 4 and all(0 <= number <= 255 for number in head)
    if not fits or not 0 <= last < 256 ** (5 - len(numbers)):
        raise _invalid(url, "has a host that is neither a name nor an address")
    shift = 24
    value = last
    for number in head:
        value |= number << shift
        shift -= 8
    return IPv4Address(value)


def _number(label: str) -> int:
    """-1 for what is no number."""
    if not _NUMBER.fullmatch(label) or len(label) > 40:
        return -1
    if label.startswith("0x"):
        return int(label[2:] or "0", 16)
    if len(label) > 1 and label.startswith("0"):
        return int(label, 8) if all(digit in "01234567" for digit in label) else -1
    return int(label)


def _invalid(url: str, what: str, hint: str = "") -> Invalid:
    return Invalid("invalid_url", f"the address {quoted(url)} {what}", hint=hint or "mend it")
