"""The real client in front of an endpoint that goes wrong: each fault and the attempts it gets."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest

from clawd.errors import ClawdError, ContextOverflow, ProviderBusy, ProviderError, TimedOut
from clawd.llm.faults import retry_after
from clawd.llm.patience import Patience
from clawd.secrets import Secret
from clawd.testing.model import (
    ScriptedModel,
    Step,
    call,
    cut,
    cut_in_arguments,
    empty,
    empty_body,
    end_without_finish,
    error,
    fail,
    fail_inside,
    flood,
    garbage,
    hang,
    html,
    length,
    overflow,
    reset,
    say,
    stall,
)

if TYPE_CHECKING:
    from tests.llm.conftest import Conversation

QUOTA = error("You exceeded your current quota", "insufficient_quota")

FOR_GOOD: dict[str, tuple[Step, str, int]] = {
    "429 without Retry-After": (fail(429), "provider_busy", 3),
    "429 with a long Retry-After": (fail(429, headers={"Retry-After": "3600"}), "provider_busy", 1),
    "429 told not to retry": (fail(429, headers={"x-should-retry": "false"}), "provider_busy", 1),
    "429 for want of money": (fail(429, QUOTA), "provider_quota", 1),
    "402": (fail(402), "provider_quota", 1),
    "500": (fail(500), "provider_busy", 3),
    "503": (fail(503, "<html>upstream</html>"), "provider_busy", 3),
    "529": (fail(529), "provider_busy", 3),
    "400": (fail(400), "provider_refused", 1),
    "401": (fail(401), "provider_auth", 1),
    "403": (fail(403), "provider_auth", 1),
    "404": (fail(404), "provider_model", 1),
    "422": (fail(422), "provider_refused", 1),
    "307": (fail(307, headers={"Location": "http://127.0.0.1:9/"}), "provider_redirect", 1),
    "context too long": (overflow(), "context_overflow", 1),
    "hang-up before an answer": (reset(), "provider_unreachable", 3),
    "cut in the text": (cut("half of it"), "provider_cut", 3),
    "cut in tool arguments": (cut_in_arguments("f", '{"a": "b'), "provider_cut", 3),
    "no finish reason": (end_without_finish("all of it?"), "provider_cut", 3),
    "empty body": (empty_body(), "provider_cut", 3),
    "a web page": (html(), "provider_garbage", 1),
    "an event that is not JSON": (garbage(), "provider_garbage", 1),
    "a line that is no event": (garbage(b"hello\n\n"), "provider_garbage", 1),
    "null choices": (garbage(b'data: {"choices": null}\n\n'), "provider_garbage", 1),
    "choices of a wrong type": (garbage(b'data: {"choices": 7}\n\n'), "provider_garbage", 1),
    "invalid UTF-8": (
        garbage(b'data: {"choices":[{"delta":{"content":"\xff\xfe"}}]}\n\n'),
        "provider_garbage",
        1,
    ),
    "nested too deep": (garbage(b"data: " + b"[" * 100_000 + b"\n\n"), "provider_garbage", 1),
    "100 MB": (flood(100), "provider_garbage", 1),
    "an object instead of a stream": (fail(200, {"choices": []}), "provider_garbage", 1),
    "an error with status 200": (fail(200, error("no such thing")), "provider_failed", 3),
    "an error inside the stream": (fail_inside("it broke"), "provider_failed", 3),
    "a 429 inside the stream": (fail_inside("slow down", 429), "provider_busy", 3),
    "an overflow inside the stream": (fail_inside("prompt is too long"), "context_overflow", 1),
}

KINDS: dict[str, type[ClawdError]] = {
    "provider_busy": ProviderBusy,
    "provider_unreachable": ProviderBusy,
    "context_overflow": ContextOverflow,
}


@pytest.mark.parametrize("name", FOR_GOOD)
async def test_a_fault_that_stays(server: ScriptedModel, talk: Conversation, name: str) -> None:
    """The documented number of attempts, then one clear error that names the host, not the key."""
    step, code, attempts = FOR_GOOD[name]
    server.rule("m", lambda _: step)
    with pytest.raises(ClawdError) as caught:
        await talk.ask()
    failure = caught.value
    assert (failure.code, len(server.requests)) == (code, attempts)
    assert type(failure) is KINDS.get(code, ProviderError)
    assert f"127.0.0.1:{server.port}" in failure.message
    assert len(failure.message) < 500
    await server.until(lambda: not server.at_once["m"])
    server.rule("m", lambda _: say("well again"))
    assert (await talk.ask()).reply.text == "well again"


TRANSIENT = {
    name: step
    for name, (step, _, attempts) in FOR_GOOD.items()
    if attempts > 1 and name not in ("cut in the text", "no finish reason")
}


@pytest.mark.parametrize("name", TRANSIENT)
async def test_a_fault_that_passes(server: ScriptedModel, talk: Conversation, name: str) -> None:
    """After one fault that may pass, the answer comes as if nothing had been."""
    server.script("m", [TRANSIENT[name], say("here I am")])
    heard = await talk.ask()
    assert "".join(heard.deltas) == heard.reply.text == "here I am"
    assert len(server.requests) == 2


async def test_waits_as_long_as_it_is_asked_to(server: ScriptedModel, talk: Conversation) -> None:
    """No request, of any session, is made before the time that Retry-After names."""
    talk.pool.patience = Patience(attempts=1)
    server.script("m", [fail(429, headers={"retry-after-ms": "200"})])
    model = talk.model()
    with pytest.raises(ProviderBusy):
        await talk.ask(model=model)
    assert (await talk.ask(model=model)).reply.text == "ok"
    first, second = server.requests
    assert second.time - first.time >= 0.19


def test_reads_retry_after_in_every_form() -> None:
    """Milliseconds, seconds, a date; nonsense counts as nothing."""
    assert retry_after({"retry-after-ms": "1500", "retry-after": "9"}) == 1.5
    assert retry_after({"retry-after": "2"}) == 2
    date = retry_after({"retry-after": formatdate(time.time() + 30, usegmt=True)})
    assert date is not None
    assert 25 < date <= 31
    assert retry_after({"retry-after": "soon"}) is None
    assert retry_after({"retry-after": "-1"}) is None
    assert retry_after({}) is None


@pytest.mark.parametrize(
    "step", [hang(), stall("")], ids=["before headers", "before the first word"]
)
async def test_silence_before_the_first_word(
    server: ScriptedModel, talk: Conversation, step: Step
) -> None:
    """The first word has a limit; two attempts, and nothing stays open."""
    talk.pool.patience = Patience(backoff=0.001, first_token=0.1, idle=5)
    server.rule("m", lambda _: step)
    with pytest.raises(TimedOut, match=r"within 0\.1 s"):
        await talk.ask()
    assert len(server.requests) == 2
    await server.until(lambda: not server.connections)


async def test_silence_in_the_middle(server: ScriptedModel, talk: Conversation) -> None:
    """A stream that stalls is asked for again; what was heard is not heard twice."""
    talk.pool.patience = Patience(backoff=0.001, first_token=5, idle=0.1)
    server.script("m", [stall("one two "), say("one two three")])
    heard = await talk.ask()
    assert "".join(heard.deltas) == heard.reply.text == "one two three"
    server.rule("m", lambda _: stall("one "))
    with pytest.raises(TimedOut, match="did not go on"):
        await talk.ask()
    await server.until(lambda: not server.at_once["m"])


async def test_a_call_has_a_limit_over_all(server: ScriptedModel, talk: Conversation) -> None:
    """``timeout_seconds`` ends a call, its attempts and pauses included."""
    server.rule("m", lambda _: stall("never ends "))
    with pytest.raises(TimedOut, match=r"did not end its answer within 0\.2 s"):
        await talk.ask(model=talk.model(timeout_seconds=0.2))
    assert len(server.requests) == 1


async def test_a_cut_text_is_not_given_twice(server: ScriptedModel, talk: Conversation) -> None:
    """The next attempt's text is held back as long as it repeats what was given."""
    server.script("m", [cut("one two "), cut("one "), say("one two three four")])
    heard = await talk.ask()
    assert "".join(heard.deltas) == heard.reply.text == "one two three four"
    assert len(server.requests) == 3


@pytest.mark.parametrize("other", ["something else", "one", "one three", "One two three"])
async def test_a_cut_text_that_comes_back_different_begins_anew(
    server: ScriptedModel, talk: Conversation, other: str
) -> None:
    """R06: what was shown is given up, said so, and the other answer comes whole, not glued."""
    server.script("m", [cut("one two "), say(other)])
    heard = await talk.ask()
    assert "".join(heard.deltas) == heard.reply.text == other
    assert talk.given_up == ["one two "]
    assert len(server.requests) == 2


async def test_a_cut_text_that_comes_back_as_a_call(
    server: ScriptedModel, talk: Conversation
) -> None:
    """What was shown is no part of an answer without a word."""
    server.script("m", [cut("one two "), call("f")])
    heard = await talk.ask()
    assert (heard.deltas, heard.reply.text, len(heard.reply.calls)) == ([], "", 1)
    assert talk.given_up == ["one two "]


async def test_an_answer_may_begin_anew_more_than_once(
    server: ScriptedModel, talk: Conversation
) -> None:
    """Each attempt is measured against what was shown last."""
    server.script("m", [cut("one two "), cut("one more "), say("one more time")])
    heard = await talk.ask()
    assert "".join(heard.deltas) == heard.reply.text == "one more time"
    assert talk.given_up == ["one two "]
    server.script("m", [cut("one "), cut("two "), say("three")])
    assert "".join((await talk.ask()).deltas) == "three"
    assert talk.given_up == ["one ", "two "]


async def test_garbage_after_some_text_is_an_error(
    server: ScriptedModel, talk: Conversation
) -> None:
    """Half an answer is never shown as a whole one; the error quotes the garbage."""
    server.script("m", [garbage(before="so far so good ")])
    with pytest.raises(ProviderError, match="not json"):
        await talk.ask()


async def test_an_answer_has_a_length(server: ScriptedModel, talk: Conversation) -> None:
    """What no transcript could keep is given up at once: not after a hundred times as much."""
    server.script("m", [flood(20)])
    with pytest.raises(ProviderError, match="longer than 1 MiB"):
        await talk.ask()
    assert 1_000_000 < len("".join(talk.heard)) < 1_200_000


async def test_a_long_answer_of_single_tokens_is_whole(
    server: ScriptedModel, talk: Conversation
) -> None:
    """100,000 tokens, each in an event of 200 bytes, are 20 MB of stream and a fine answer."""
    text = "word " * 100_000
    server.script("m", [say(text)])
    assert (await talk.ask()).reply.text == text


async def test_empty_and_cut_answers_are_told_apart(
    server: ScriptedModel, talk: Conversation
) -> None:
    """An answer without a word, and one at the output limit, are replies that say so."""
    server.script("m", [empty(), length("too lo")])
    first, second = (await talk.ask()).reply, (await talk.ask()).reply
    assert (first.text, first.finish, first.calls) == ("", "stop", ())
    assert (second.text, second.finish) == ("too lo", "length")


async def test_a_server_that_is_not_running_is_asked_once(talk: Conversation) -> None:
    """Nothing on a port of this machine: said at once, with what to do."""
    async with ScriptedModel() as gone:
        url = gone.url
    began = time.monotonic()
    with pytest.raises(ProviderBusy, match="nothing listens there"):
        await talk.ask(model=talk.pool.model(url, Secret("x")))
    assert time.monotonic() - began < 0.4


async def test_a_server_that_hangs_up_is_not_called_slow(
    server: ScriptedModel, talk: Conversation
) -> None:
    """What the human reads is what happened: it was there, and it went away."""
    server.rule("m", lambda _: reset())
    with pytest.raises(ProviderBusy, match="the connection was lost before an answer"):
        await talk.ask()


async def test_an_unknown_host_is_named(talk: Conversation) -> None:
    """A name that cannot be resolved is said to be that."""
    with pytest.raises(ProviderBusy, match=r"nowhere\.invalid is out of reach: its name"):
        await talk.ask(model=talk.pool.model("https://nowhere.invalid/v1", Secret("x")))


@pytest.mark.parametrize("status", [200, 307, 400, 401, 403, 404, 429, 500])
async def test_an_endpoint_that_echoes_the_key(
    server: ScriptedModel, talk: Conversation, status: int
) -> None:
    """Whatever an endpoint quotes, the key is in no part of the error."""
    said = f"bad key {talk.key} in Bearer {talk.key}"
    server.rule("m", lambda _: fail(status, error(said)))
    with pytest.raises(ClawdError) as caught:
        await talk.ask()
    assert "canary" not in repr(caught.value) + str(caught.value.as_json())
    assert caught.value.__suppress_context__


async def test_garbage_that_echoes_the_key(server: ScriptedModel, talk: Conversation) -> None:
    """Also a web page and a broken event are shown without the key."""
    server.script("m", [html(f"<p>{talk.key}</p>"), garbage(f"data: {{{talk.key}\n\n".encode())])
    for _ in range(2):
        with pytest.raises(ProviderError, match=r"\*\*\*") as caught:
            await talk.ask()
        assert "canary" not in str(caught.value.as_json())


async def test_what_came_before_a_fault_was_given(
    server: ScriptedModel, talk: Conversation
) -> None:
    """What was read before a fault has been heard once, so that it can be kept as partial."""
    server.rule("m", lambda _: cut("some words "))
    with pytest.raises(ProviderError, match="after 11 characters"):
        await talk.ask()
    assert "".join(talk.heard) == "some words "
