"""Chat completions as the official client asks for them, sent and read by hand.

The client says once what every request to its endpoint has in common: address, key, headers. What
it would do anew for each request, for each message in it and for each chunk of an answer costs more
than everything else in a turn, so requests are sent as bytes and the stream is read here.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from functools import partial

from clawd.errors import ProviderError
from clawd.llm import faults
from clawd.llm.assembly import Assembly
from clawd.llm.connections import OPENAI, Answer, Lost, Wire, addressed
from clawd.llm.endpoint import Endpoint
from clawd.llm.faults import Fault
from clawd.llm.limit import Limit
from clawd.llm.patience import Patience, Slots
from clawd.llm.port import ChatRequest, Item, Reply, Restarted, TextDelta
from clawd.llm.prices import Prices, usage_of
from clawd.llm.wire import EventLines, calls_already, decode, encode
from clawd.messages import Usage
from clawd.secrets import Secret

ANSWER_LIMIT = 1024 * 1024
"""The longest answer that is taken, in characters of text and arguments; a line holds it."""
STREAM_LIMIT = 64 * 1024 * 1024
"""The longest stream that is read, in bytes: some endpoints spend 300 on each token."""

_ERROR_LIMIT = 256 * 1024
"""So much is read of an answer that is no stream, in bytes."""
_AFTER_DONE = 1.0

_log = logging.getLogger(__name__)


class OpenAIChat:
    """The models of one endpoint with one key; see ``ChatModel``.

    ``timeout_seconds`` bounds the wait for a free slot and then each call with all its attempts;
    ``hide`` takes secrets out of what the endpoint says of its faults.
    """

    def __init__(
        self,
        endpoint: str,
        api_key: Secret | None,
        wire: Wire,
        *,
        max_concurrency: int = 8,
        timeout_seconds: float = 600,
        prices: Prices | None = None,
        context_window: int = 128_000,
        patience: Patience | None = None,
        hide: Callable[[str], str] = str,
        key_from: str = "apiKey of the provider template",
    ) -> None:
        self.context_window = context_window
        self._endpoint = Endpoint(endpoint, hide, key_from)
        self._timeout = timeout_seconds
        self._prices = prices or {}
        self._patience = patience or Patience()
        self._slots = Slots(max_concurrency)
        key = api_key.reveal() if api_key else ""
        self._key_is_valid = key.isascii() and key.isprintable()
        self._wire = wire
        self._address, headers = addressed(self._endpoint, key, "chat/completions")
        self._headers = headers | {"Accept": "text/event-stream", "Accept-Encoding": "identity"}

    async def stream(self, request: ChatRequest) -> AsyncIterator[Item]:
        """Text as it comes, and the reply last; tried again as `docs/models.md` says.

        After a fault in the middle, the text of the next attempt is held back as long as it
        repeats what was given; when it says something else, the answer begins anew.
        """
        if not self._key_is_valid:
            text = f"the API key for {self._endpoint.host} has characters that no key may have"
            hint = f"check {self._endpoint.key_from} for line breaks and quotes"
            raise ProviderError("provider_auth", text, hint=hint)
        body = encode(request, completion_limit=self._endpoint.hostname == OPENAI)
        spoken = _Spoken()
        answer = Assembly()
        async with self._slots.slot(self._timeout):
            clock = asyncio.get_running_loop().time
            deadline = clock() + self._timeout
            for attempt in itertools.count(1):
                spoken.begin()
                answer = Assembly()
                try:
                    await self._open(answer, deadline)
                    async with aclosing(
                        self._attempt(request.model, body, answer, deadline)
                    ) as texts:
                        async for text in texts:
                            for item in spoken.say(text):
                                yield item
                    for item in spoken.end():
                        yield item
                    break
                except Fault as fault:
                    pause = fault.wait or self._patience.pause(attempt)
                    if fault.wait is not None:
                        self._slots.close_for(fault.wait)
                    self._slots.left(answer)
                    if answer.begun and request.lost is not None:
                        request.lost(self._usage(request, body, answer))
                    if attempt >= fault.attempts or clock() + pause >= deadline:
                        raise fault.error from None
                    _log.info("%s: attempt %d: %s", request.session, attempt, fault.error.code)
                    if fault.wait is None:
                        await asyncio.sleep(pause)
                finally:
                    self._slots.left(answer)
        yield self._reply(request, body, answer)

    async def _open(self, who: object, deadline: float) -> None:
        try:
            await self._slots.opened(who, deadline)
        except TimeoutError:
            raise faults.silence(self._endpoint, self._timeout, "took no request", 1) from None

    async def _attempt(
        self, model: str, body: bytes, answer: Assembly, deadline: float
    ) -> AsyncGenerator[str, None]:
        """One request: what each read brings of the text. Raises ``Fault``.

        An endpoint sends each token as an event, and each would be a delta, an event of clawd's and
        a redraw of its own: what came together is taken together.
        """
        clock = asyncio.get_running_loop().time
        first = min(clock() + self._patience.first_token, deadline)
        response = await self._post(model, body, first)
        self._slots.took()
        limit, lines, size = Limit(), EventLines(), 0
        try:
            kind = response.headers.get("content-type", "").lower()
            if "html" in kind or "json" in kind:
                async with asyncio.timeout_at(deadline):
                    raise await self._no_stream(kind, model, response)
            while True:
                data = response.at_hand()
                if not data:
                    # Read on after the last event: a body at its end frees the connection.
                    idle = _AFTER_DONE if answer.done else self._patience.idle
                    when = clock() + idle if answer.begun or answer.done else first
                    with limit.until(min(when, deadline)):
                        data = await response.wait()
                if not data:
                    break
                size += len(data)
                if size > STREAM_LIMIT:
                    raise _too_long(self._endpoint, STREAM_LIMIT)
                if text := self._take(model, answer, lines, data):
                    yield text
        except TimeoutError:
            if not answer.done:
                raise self._silence(answer, clock() >= deadline) from None
        except Lost:
            # What follows the finish reason (the usage, the end mark) is not worth a retry.
            if answer.finish is None:
                raise faults.cut(self._endpoint, len(answer.text), self._patience) from None
        finally:
            limit.close()
            response.close()
        if answer.finish is None:
            raise faults.cut(self._endpoint, len(answer.text), self._patience)

    async def _post(self, model: str, body: bytes, limit: float) -> Answer:
        try:
            async with asyncio.timeout_at(limit):
                response = await self._wire.post(self._address, self._headers, body)
                if 200 <= response.status < 300:
                    return response
                said = await _beginning(response)
        except TimeoutError:
            raise faults.silence(
                self._endpoint,
                self._patience.first_token,
                "did not begin to answer",
                self._patience.stall_attempts,
            ) from None
        except Lost as error:
            raise faults.of_connection(error, self._endpoint, self._patience) from None
        raise faults.of_status(
            response.status,
            response.headers,
            said.decode(errors="replace"),
            model,
            self._endpoint,
            self._patience,
        )

    async def _no_stream(self, kind: str, model: str, response: Answer) -> Fault:
        """What a web page or a single object instead of a stream tells by its first part."""
        data = await _beginning(response)
        if "json" in kind and b'"error"' in data:
            return faults.of_body(data, model, self._endpoint, self._patience)
        return faults.garbage(self._endpoint, f"it sent {kind} instead of a stream", data)

    def _take(self, model: str, answer: Assembly, lines: EventLines, data: bytes) -> str:
        text = ""
        event = data
        try:
            for event in lines.feed(data):
                if event == b"[DONE]":
                    answer.done = True
                elif event:
                    chunk = decode(event)
                    if chunk.error is not None:
                        raise faults.inside_stream(
                            chunk.error, model, self._endpoint, self._patience
                        )
                    text += answer.take(chunk)
                    if answer.size > ANSWER_LIMIT:
                        raise _too_long(self._endpoint, ANSWER_LIMIT)
        except ValueError as error:
            raise faults.garbage(self._endpoint, str(error), event) from None
        return text

    def _silence(self, answer: Assembly, over: bool) -> Fault:
        patience = self._patience
        if over:
            return faults.silence(self._endpoint, self._timeout, "did not end its answer", 1)
        if answer.begun:
            return faults.silence(
                self._endpoint,
                patience.idle,
                "did not go on with its answer",
                patience.stall_attempts,
            )
        return faults.silence(
            self._endpoint, patience.first_token, "said no first word", patience.stall_attempts
        )

    def _usage(self, request: ChatRequest, body: bytes, answer: Assembly) -> Usage:
        return usage_of(answer.tokens, body, answer.text, self._prices.get(request.model))

    def _reply(self, request: ChatRequest, body: bytes, answer: Assembly) -> Reply:
        text = answer.text
        calls = answer.calls(partial(calls_already, body))
        if answer.nameless:
            _log.warning(
                "%s: dropped %d tool calls without a name", request.session, answer.nameless
            )
            if not calls and not text:
                raise faults.garbage(self._endpoint, "a tool call without a name").error
        usage = self._usage(request, body, answer)
        return Reply(text, calls, answer.finish or "stop", usage)


def _too_long(endpoint: Endpoint, limit: int) -> Fault:
    return faults.garbage(endpoint, f"it is longer than {limit // 1024**2} MiB")


async def _beginning(response: Answer) -> bytes:
    """The body as far as it may tell what went wrong; the connection is free afterwards."""
    data = b""
    try:
        while len(data) < _ERROR_LIMIT and (part := await response.wait()):
            data += part
    finally:
        response.close()
    return data


class _Spoken:
    """Lets text through once over several attempts."""

    def __init__(self) -> None:
        self._said = ""
        self._parts: list[str] = []
        self._repeated = 0
        self._repeating = False

    def begin(self) -> None:
        """Another attempt: as long as it repeats what was said, nothing of it is new."""
        self._said += "".join(self._parts)
        self._parts = []
        self._repeated = 0
        self._repeating = bool(self._said)

    def say(self, text: str) -> list[Item]:
        """What of this text is new, or all of the attempt once it says something else."""
        if not self._repeating:
            self._parts.append(text)
            return [TextDelta(text)] if text else []
        left = len(self._said) - self._repeated
        if not self._said.startswith(text[:left], self._repeated):
            return self._anew(text)
        self._repeated += min(len(text), left)
        self._repeating = self._repeated < len(self._said)
        return [] if len(text) <= left else self.say(text[left:])

    def end(self) -> list[Item]:
        """The attempt has ended well; an answer shorter than what was said is another answer."""
        return self._anew("") if self._repeating else []

    def _anew(self, text: str) -> list[Item]:
        whole = self._said[: self._repeated] + text
        self._said, self._parts, self._repeating = "", [whole], False
        return [Restarted(), TextDelta(whole)] if whole else [Restarted()]
