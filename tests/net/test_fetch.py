"""Requests over real connections: pinned, bounded, and not led astray."""

from __future__ import annotations

import asyncio
import gzip
import time
import zlib
from collections.abc import AsyncIterator, Callable

import pytest

from clawd.errors import ClawdError, Invalid, Refused, TimedOut, Unreachable
from clawd.net.allowed import Allowed
from clawd.net.bounds import Bounds
from clawd.net.fetch import Fetcher
from clawd.net.headers import USER_AGENT
from clawd.testing.site import Handler, Site, Visit, redirect

HERE = Allowed.of(["127.0.0.1"])
SMALL = Bounds(size=100_000, seconds=5)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """A site with one page; tests add others."""
    async with Site({"/": "<p>hello</p>"}) as running:
        yield running


class Names:
    """A name server whose answers a test writes: the last one is given from then on."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, name: str) -> list[str]:
        self.asked.append(name)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def raw(*pieces: bytes, pause: float = 0) -> Handler:
    """A page that writes these bytes, and closes."""

    async def answer(visit: Visit) -> None:
        for piece in pieces:
            await visit.write(piece)
            await asyncio.sleep(pause)

    return answer


def endless(piece: bytes, pause: float = 0) -> Handler:
    """A page without an end."""

    async def answer(visit: Visit) -> None:
        await visit.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await visit.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await asyncio.sleep(pause)

    return answer


def packed(body: bytes, encoding: str) -> Handler:
    """A page with this body, said to be packed so."""

    async def answer(visit: Visit) -> None:
        await visit.answer(body, content_encoding=encoding)

    return answer


async def test_a_page_is_fetched_and_nothing_is_told_of_the_asker(site: Site) -> None:
    """One user agent, no cookies, no referrer, and the host as it was asked for."""
    response = await Fetcher().get(f"{site.url}/?a=b", HERE)
    assert (response.status, response.body) == (200, b"<p>hello</p>")
    assert response.head.content_type == "text/html"
    assert site.visits[0].headers == {
        "host": f"127.0.0.1:{site.port}",
        "user-agent": USER_AGENT,
        "accept-encoding": "gzip, deflate",
        "connection": "close",
    }


async def test_a_name_is_looked_up_once_and_the_address_that_was_checked_is_used() -> None:
    """Rebinding: between the check and the connection the name may say what it likes."""
    async with Site({"/": "inside"}) as inside:
        names = Names(["127.0.0.2"], ["127.0.0.1"])
        with pytest.raises(Unreachable, match="connection refused"):
            # Nothing listens at 127.0.0.2, which may be asked; the second answer is not heard.
            await Fetcher(names).get(
                f"http://turning.example:{inside.port}/", Allowed.of(["127.0.0.2"])
            )
        assert names.asked == ["turning.example"]
        assert not inside.visits
        with pytest.raises(Refused) as caught:
            await Fetcher(names).get(
                f"http://turning.example:{inside.port}/", Allowed.of(["127.0.0.2"])
            )
        assert caught.value.code == "blocked_address"
        assert not inside.visits


async def test_a_redirect_is_looked_up_and_checked_again() -> None:
    """A name that was public when it was first asked is not trusted the second time."""
    async with Site(host="127.0.0.2") as outside:
        outside.pages["/"] = redirect(f"http://turning.example:{outside.port}/secret")
        names = Names(["127.0.0.2"], ["127.0.0.1"])
        with pytest.raises(Refused) as caught:
            await Fetcher(names).get(
                f"http://turning.example:{outside.port}/", Allowed.of(["127.0.0.2"])
            )
    assert caught.value.code == "blocked_redirect"
    assert "turning.example resolves to loopback (127.0.0.1)" in caught.value.message
    assert len(names.asked) == 2


@pytest.mark.parametrize(
    "place",
    [
        "http://127.0.0.1:{port}/secret",
        "//127.1:{port}/secret",
        "http://[::ffff:127.0.0.1]:{port}/secret",
        "http://0x7f.1:{port}/secret",
        "http://localhost:{port}/secret",
        "file:///etc/passwd",
        "http://good.example\\@127.0.0.1:{port}/secret",
        "http://\x01/",
        "gopher://127.0.0.1:{port}/_x",
        "http://\xe2\x91\xa0\xe2\x91\xa1\xe2\x91\xa6.0.0.1:{port}/secret",
    ],
)
async def test_no_redirect_leads_inside(place: str) -> None:
    """B26: a public page that points to this machine is refused, and this machine is not asked."""
    async with Site({"/secret": "the canary"}) as inside, Site(host="127.0.0.2") as outside:
        outside.pages["/"] = redirect(place.format(port=inside.port))
        with pytest.raises(ClawdError) as caught:
            await Fetcher(Names(["127.0.0.2"])).get(
                f"http://public.example:{outside.port}/", Allowed.of(["127.0.0.2"])
            )
        if "localhost" in place:
            # This name server calls it public: then it is public that is asked.
            assert caught.value.code == "connect_failed"
        else:
            assert caught.value.code == "blocked_redirect"
        assert not inside.visits
        assert len(outside.visits) == 1


async def test_redirects_are_followed_a_few_times(site: Site) -> None:
    """Five lead somewhere; six are a circle, as far as anyone can tell."""
    site.pages |= {f"/{n}": redirect(f"/{n - 1}") for n in range(2, 9)} | {"/1": redirect(".")}
    response = await Fetcher().get(f"{site.url}/5", HERE)
    assert response.url == f"{site.url}/"
    assert [url.rpartition("/")[2] for url in response.redirects] == ["5", "4", "3", "2", "1"]
    with pytest.raises(Refused) as caught:
        await Fetcher().get(f"{site.url}/6", HERE)
    assert caught.value.code == "too_many_redirects"


async def test_what_was_said_to_one_host_is_not_said_to_another(site: Site) -> None:
    """A redirect takes credentials along within its origin only."""
    async with Site({"/": "other"}) as other:
        site.pages |= {"/same": redirect("/"), "/other": redirect(f"{other.url}/")}
        said = {"Authorization": "Bearer canary", "X-Api-Key": "canary", "Accept": "text/html"}
        await Fetcher().get(f"{site.url}/same", HERE, headers=said)
        await Fetcher().get(f"{site.url}/other", HERE, headers=said)
        assert site.visits[1].headers["authorization"] == "Bearer canary"
        assert other.visits[0].headers["accept"] == "text/html"
        assert "canary" not in str(other.visits[0].headers)


async def test_what_is_posted_stays_where_it_was_posted(site: Site) -> None:
    """A body goes to the address that was given, and to no other."""
    site.pages |= {"/hook": "taken", "/moved": redirect("/hook", "307 Temporary Redirect")}
    response = await Fetcher().post(f"{site.url}/hook", b"{}", HERE, headers={"X-Signature": "s"})
    assert (response.body, site.visits[0].method, site.visits[0].body) == (b"taken", "POST", b"{}")
    assert site.visits[0].headers["x-signature"] == "s"
    with pytest.raises(Refused) as caught:
        await Fetcher().post(f"{site.url}/moved", b"{}", HERE)
    assert caught.value.code == "blocked_redirect"
    assert len(site.visits) == 2


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", "raw deflate", "GZIP", ""])
async def test_packed_pages_are_unpacked(site: Site, encoding: str) -> None:
    """In each form that servers send, whatever they call it."""
    text = b"the same text again and again " * 100
    forms: dict[str, Callable[[bytes], bytes]] = {
        "": bytes,
        "deflate": zlib.compress,
        "raw deflate": lambda data: zlib.compress(data)[2:-4],
    }
    body = forms.get(encoding, gzip.compress)(text)
    site.pages["/packed"] = packed(body, encoding.replace("raw ", ""))
    assert (await Fetcher().get(f"{site.url}/packed", HERE)).body == text


async def test_members_of_gzip_are_one_body(site: Site) -> None:
    """As concatenated files are."""
    site.pages["/two"] = packed(gzip.compress(b"one ") + gzip.compress(b"two") + b"\0\0", "gzip")
    assert (await Fetcher().get(f"{site.url}/two", HERE)).body == b"one two"


BOMB = gzip.compress(b"\0" * 20_000_000)
BAD_ANSWERS: dict[str, tuple[Handler, str]] = {
    "a bomb": (packed(BOMB, "gzip"), "response_too_large"),
    "a deflate bomb": (packed(zlib.compress(b"\0" * 20_000_000), "deflate"), "response_too_large"),
    "empty members": (packed(gzip.compress(b"") * 20_000, "gzip"), "response_too_large"),
    "a bomb in a bomb": (packed(gzip.compress(BOMB), "gzip, gzip"), "unsupported_encoding"),
    "brotli": (packed(b"\x0b\x02\x80hello\x03", "br"), "unsupported_encoding"),
    "no gzip": (packed(b"plain text", "gzip"), "bad_response"),
    "half a gzip": (packed(gzip.compress(b"x" * 50_000)[:-9], "gzip"), "bad_response"),
    "too long, it says": (
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n"),
        "response_too_large",
    ),
    "endless": (endless(b"x" * 8192), "response_too_large"),
    "cut short": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf"), "bad_response"),
    "nothing": (raw(), "bad_response"),
    "noise": (raw(b"\x00\xff" * 400), "bad_response"),
    "no HTTP": (raw(b"220 smtp.example ESMTP\r\n"), "bad_response"),
    "endless header": (raw(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000), "bad_response"),
    "many headers": (
        raw(b"HTTP/1.1 200 OK\r\n" + b"X-Y: z\r\n" * 300 + b"Content-Length: 0\r\n\r\n"),
        "bad_response",
    ),
    "a wrong length": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\n"), "bad_response"),
    "two lengths": (
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n12345"),
        "bad_response",
    ),
    "a wrong chunk": (
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        "bad_response",
    ),
    "another protocol": (
        raw(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
        "bad_response",
    ),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
async def test_a_bad_answer_is_one_error_and_soon(site: Site, name: str) -> None:
    """B27: bombs, streams without an end and broken HTTP end the call, not the daemon."""
    page, code = BAD_ANSWERS[name]
    site.pages["/bad"] = page
    began = time.monotonic()
    with pytest.raises(ClawdError) as caught:
        await Fetcher().get(f"{site.url}/bad", HERE, bounds=SMALL)
    assert caught.value.code == code, caught.value.message
    assert str(site.port) in caught.value.message
    assert time.monotonic() - began < 4


async def test_many_small_pieces_are_too_many(site: Site) -> None:
    """A body of chunks of one byte costs its reader a thousand times what it costs its writer."""
    site.pages["/dust"] = endless(b"x")
    with pytest.raises(Unreachable, match="more pieces than it may"):
        await Fetcher().get(f"{site.url}/dust", HERE, bounds=Bounds(pieces=1000))


@pytest.mark.parametrize(
    ("bounds", "code", "pause"),
    [
        (Bounds(seconds=0.3), "timeout", 0.01),
        (Bounds(idle_seconds=0.1), "response_timeout", 5),
    ],
)
async def test_a_slow_answer_has_a_limit(
    site: Site, bounds: Bounds, code: str, pause: float
) -> None:
    """B27: a byte now and then does not hold a turn, and neither does silence."""
    site.pages["/slow"] = endless(b"x", pause)
    with pytest.raises(TimedOut) as caught:
        await Fetcher().get(f"{site.url}/slow", HERE, bounds=bounds)
    assert caught.value.code == code


async def test_a_name_server_that_does_not_answer_is_within_the_limit() -> None:
    """The time of a request begins before its first lookup."""

    async def silent(_name: str) -> list[str]:
        await asyncio.Event().wait()
        return []

    with pytest.raises(TimedOut, match=r"took longer than 0\.1 s"):
        await Fetcher(silent).get("http://slow.example/", HERE, bounds=Bounds(seconds=0.1))


async def test_a_body_that_is_not_wanted_is_not_read(site: Site) -> None:
    """What the head says is enough to leave an image where it is."""
    site.pages["/big"] = raw(
        b"HTTP/1.1 200 OK\r\nContent-Type: Image/PNG; q=1\r\nContent-Length: 999999999\r\n\r\nab"
    )
    response = await Fetcher().get(
        f"{site.url}/big", HERE, wanted=lambda head: head.content_type != "image/png"
    )
    assert (response.skipped, response.body) == (True, b"")
    assert response.head.content_length == 999_999_999


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Bad", "a\r\nHost: evil.example"),
        ("X-Bad", "half \ud800"),
        ("X-Bad", "ü"),
        ("X-Bad", "x" * 5000),
        ("X Bad", "x"),
        ("", "x"),
        ("X-\ud800", "x"),
        ("Host", "evil.example"),
        ("content-length", "5"),
        ("Transfer-Encoding", "chunked"),
    ],
)
async def test_a_header_that_would_break_the_request_is_refused(
    site: Site, name: str, value: str
) -> None:
    """Its value may be a key: it is not repeated."""
    with pytest.raises(Invalid) as caught:
        await Fetcher().get(site.url, HERE, headers={name: value})
    assert caught.value.code == "invalid_header"
    assert value == "x" or value not in caught.value.message
    assert not site.visits


async def test_an_address_that_does_not_answer_gives_way_to_the_next(site: Site) -> None:
    """A host with two addresses is there when one of them is."""
    names = Names(["127.0.0.2", "127.0.0.1"])
    both = Allowed.of(["127.0.0.0/8"])
    response = await Fetcher(names).get(f"http://two.example:{site.port}/", both)
    assert response.body == b"<p>hello</p>"
    assert site.visits[0].headers["host"] == f"two.example:{site.port}"


@pytest.mark.parametrize(
    ("entries", "reached"),
    [
        (["127.0.0.1"], True),
        (["127.0.0.0/8"], True),
        (["nas.lan"], True),
        (["NAS.lan."], True),
        (["*.lan"], True),
        (["lan"], False),
        (["*.nas.lan"], False),
        (["other.lan", "10.0.0.0/8", "::1"], False),
        ([], False),
    ],
)
async def test_the_operator_names_what_may_be_reached(
    site: Site, entries: list[str], reached: bool
) -> None:
    """A network or a host opens itself, and nothing beside it."""
    fetcher = Fetcher(Names(["127.0.0.1"]))
    url = f"http://nas.lan:{site.port}/"
    if reached:
        assert (await fetcher.get(url, Allowed.of(entries))).status == 200
    else:
        with pytest.raises(Refused) as caught:
            await fetcher.get(url, Allowed.of(entries))
        assert '"127.0.0.1" in this session\'s tools.allowNets' in caught.value.hint
        assert not site.visits


@pytest.mark.parametrize("answer", [[], ["no address"], ["127.0.0.1", ""]])
async def test_a_name_without_an_address_says_so(answer: list[str]) -> None:
    """Whatever the name server said instead."""
    with pytest.raises(Unreachable, match=r"the host gone\.example cannot be resolved"):
        await Fetcher(Names(answer)).get("http://gone.example/", HERE)


async def test_a_name_with_a_hundred_addresses_is_not_looked_through() -> None:
    """One that is private could hide among them."""
    many = [f"8.8.{n}.1" for n in range(100)]
    with pytest.raises(Unreachable, match="more than 16 addresses"):
        await Fetcher(Names(many)).get("http://many.example/", HERE)


async def test_proxies_of_the_environment_are_not_asked(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy resolves names anew: what was checked here would mean nothing there."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    assert (await Fetcher().get(site.url, HERE)).status == 200
