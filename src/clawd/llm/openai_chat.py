"""Chat completions through the official client, read by hand.

The client brings the connections, and says once what every request to its endpoint has in common:
address, key, headers. What it would do anew for each request, for each message in it and for each
chunk of an answer costs more than everything else in a turn, so requests are sent over its
connections as bytes and the stream is read here.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing

import httpx2

from clawd.errors import ProviderError
from clawd.llm import faults
from clawd.llm.assembly import Assembly
from clawd.llm.connections import OPENAI, addressed
from clawd.llm.endpoint import Endpoint
from clawd.llm.faults import Fault
from clawd.llm.patience import Patience, Slots
from clawd.llm.port import ChatRequest, Item, Reply, Restarted, TextDelta
from clawd.llm.prices import Prices, usage_of
from clawd.llm.reading import Reading
from clawd.llm.wire import EventLines, decode, encode
from clawd.messages import Usage
from clawd.secrets import Secret

ANSWER_LIMIT = 1024 * 1024
"""The longest answer that is taken, in characters of text and arguments; a line holds it."""
STREAM_LIMIT = 64 * 1024 * 1024
"""The longest stream that is read, in bytes: some endpoints spend 300 on each token."""

_ERROR_LIMIT = 64 * 1024
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
        http_client: httpx2.AsyncClient,
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
        self._http = http_client
        self._address, headers = addressed(self._endpoint, key, http_client, "chat/completions")
        headers |= {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
        self._headers = httpx2.Headers(headers)
        # Every other limit of time is ours: the client's know nothing of streams.
        limits = httpx2.Timeout(None, connect=self._patience.connect)
        self._extensions = {"timeout": limits.as_dict()}

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
        """One request: what each read brings of the text. Raises ``Fault``."""
        clock = asyncio.get_running_loop().time
        first = min(clock() + self._patience.first_token, deadline)
        response = await self._post(model, body, first)
        self._slots.took()
        try:
            kind = response.headers.get("content-type", "").lower()
            if "html" in kind or "json" in kind:
                async with asyncio.timeout_at(deadline):
                    raise await self._no_stream(kind, model, response)
            async with aclosing(self._reads(response, answer, first, deadline)) as reads:
                lines = EventLines()
                async for data in reads:
                    if text := self._take(model, answer, lines, data):
                        yield text
        except TimeoutError:
            raise self._silence(answer, clock() >= deadline) from None
        except httpx2.HTTPError:
            # What follows the finish reason (the usage, the end mark) is not worth a retry.
            if answer.finish is None:
                raise faults.cut(self._endpoint, len(answer.text), self._patience) from None
        finally:
            await response.aclose()
        if answer.finish is None:
            raise faults.cut(self._endpoint, len(answer.text), self._patience)

    async def _reads(
        self, response: httpx2.Response, answer: Assembly, first: float, deadline: float
    ) -> AsyncGenerator[bytes, None]:
        """What the network brings, each read within its limit of time."""
        clock = asyncio.get_running_loop().time
        size = 0
        async with aclosing(Reading(_parts(response))) as reading:
            while not reading.ended:
                data = reading.at_hand()
                if not data and not reading.ended:
                    # Read on after the last event: a body at its end frees the connection.
                    begun = self._patience.idle if answer.begun else first - clock()
                    limit = clock() + (_AFTER_DONE if answer.done else begun)
                    try:
                        data = await reading.wait(min(limit, deadline))
                    except TimeoutError:
                        if answer.done:
                            return
                        raise
                if not data:
                    continue
                size += len(data)
                if size > STREAM_LIMIT:
                    raise _too_long(self._endpoint, STREAM_LIMIT)
                yield data

    async def _post(self, model: str, body: bytes, limit: float) -> httpx2.Response:
        request = httpx2.Request(
            "POST", self._address, headers=self._headers, content=body, extensions=self._extensions
        )
        try:
            async with asyncio.timeout_at(limit):
                response = await self._http.send(request, stream=True)
                if response.is_success:
                    return response
                await response.aread()
        except TimeoutError:
            raise faults.silence(
                self._endpoint,
                self._patience.first_token,
                "did not begin to answer",
                self._patience.stall_attempts,
            ) from None
        except (httpx2.HTTPError, ssl.SSLError) as error:
            raise faults.of_connection(error, self._endpoint, self._patience) from None
        raise faults.of_status(
            response.status_code,
            response.headers,
            response.text,
            model,
            self._endpoint,
            self._patience,
        )

    async def _no_stream(self, kind: str, model: str, response: httpx2.Response) -> Fault:
        """What a web page or a single object instead of a stream tells by its first part."""
        data = b""
        async with aclosing(response.aiter_bytes()) as chunks:
            async for part in chunks:
                data += part
                if len(data) > _ERROR_LIMIT:
                    break
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
        calls = answer.calls(call.id for message in request.messages for call in message.tool_calls)
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


def _parts(response: httpx2.Response) -> AsyncGenerator[bytes, None]:
    """The body as it comes: past the layers that count and cut it, which cost every token."""
    if "content-encoding" not in response.headers:
        stream = response.stream
        parts = stream.__aiter__() if isinstance(stream, httpx2.AsyncByteStream) else None
        if isinstance(parts, AsyncGenerator):
            return parts
    return response.aiter_bytes()


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
