"""The transcript as the agent loop sees it during one turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from clawd.agent.context import cut_before, summarise, tokens_of
from clawd.agent.history import unanswered
from clawd.agent.trust import Trust
from clawd.errors import ClawdError, GuardRefused
from clawd.ids import now
from clawd.llm.port import ChatModel, ChatRequest
from clawd.llm.tokens import estimate
from clawd.messages import ChatMessage, ToolCall, Usage, system, user
from clawd.sessions.records import MessageRecord, TurnRecord
from clawd.sessions.steering import Steering
from clawd.sessions.transcript import Transcript

Remember = Callable[[Sequence[str], bool], Awaitable[object]]

_DROPPED = "\n(The messages after this summary were dropped to make the conversation fit.)"


class TurnConversation:
    """One turn's view: a prompt that is frozen, and history that fits.

    ``window`` is how many tokens a request may take; past ``threshold`` of it older history is
    summarised by the model, and the newest ``keep_recent`` messages stay as they are. ``last``
    stores the model's last word. ``remember`` keeps the facts that a summary gives, where some part
    wants them; it is told whether what was summarised had text from outside.
    """

    def __init__(
        self,
        transcript: Transcript,
        turn: TurnRecord,
        prompt: str,
        model: ChatModel,
        model_name: str,
        *,
        window: int,
        threshold: float,
        keep_recent: int,
        temperature: float | None,
        max_output_tokens: int | None,
        steering: Steering,
        notice: Callable[[str, str], object],
        spent: Callable[[Usage], object],
        last: Callable[[MessageRecord], Awaitable[object]],
        trust: Trust,
        fit: Callable[[str], Awaitable[str]],
        remember: Remember | None = None,
    ) -> None:
        self._transcript = transcript
        self._turn = turn
        self._prompt = system(prompt)
        self._prompt_tokens = estimate(prompt)
        self._model = model
        self._model_name = model_name
        self._limit = int(window * threshold)
        self._window = window
        self._keep_recent = keep_recent
        self._temperature = temperature
        self._max_output_tokens = max_output_tokens
        self._steering = steering
        self._notice = notice
        self._spent = spent
        self._last = last
        self._trust = trust
        self._fit = fit
        self._remember = remember
        self._tool_tokens = -1

    async def request(self, tools: tuple[msgspec.Raw, ...]) -> ChatRequest:
        """What to ask the model now; summarises first when history is past the threshold."""
        if self._tool_tokens < 0:
            self._tool_tokens = estimate(b"".join(tools).decode())
        tokens = self._prompt_tokens + self._tool_tokens + self._transcript.tokens()
        if tokens > self._window:
            await self.shrink()
        elif tokens > self._limit:
            # A summary costs a model call: not for a line or two that are past the threshold.
            await self._compact(self._keep_recent, worth=self._limit // 10)
        return ChatRequest(
            model=self._model_name,
            messages=(self._prompt, *self._transcript.view(self._turn.id)),
            tools=tools,
            temperature=self._temperature,
            max_output_tokens=self._max_output_tokens,
            session=self._turn.id,
            tokens=self._prompt_tokens + self._tool_tokens + self._transcript.tokens(),
        )

    async def keep(self, *messages: ChatMessage, partial: bool = False) -> None:
        """Add to the transcript; durable when this returns.

        What tools answered is safe from a kill, and from a power cut with the model's next
        message: until then the calls count as interrupted, and are not made again either way.
        """
        lines = [self._line(message, partial=partial) for message in messages]
        await self._transcript.append(*lines, sync=any(m.role != "tool" for m in messages))

    async def end(self, message: ChatMessage) -> None:
        """Add the last word; durable when this returns, and the turn's end with it if it may be."""
        await self._last(self._line(message))

    def _line(self, message: ChatMessage, *, partial: bool = False) -> MessageRecord:
        untrusted = self._trust.untrusted
        return self._transcript.message(self._turn, message, partial=partial, untrusted=untrusted)

    async def fit(self, result: str) -> str:
        """A tool's result as it is to be shown; what is too long is cut, and kept whole."""
        return await self._fit(result)

    def open_calls(self) -> tuple[ToolCall, ...]:
        """The calls that a human had to decide on when the turn last stood still."""
        return unanswered(self._transcript.of_turn(self._turn.id))

    async def hear(self) -> None:
        """Add the lines that steer this turn, and mark each as heard in the same append."""
        while (line := self._steering.first()) is not None:
            said = self._transcript.message(self._turn, user(line.trigger.text))
            try:
                await self._transcript.change(line, said, status="steered", ended_at=now())
            except asyncio.CancelledError:
                self._steering.take_away(line.id)  # it is heard when the turn goes on
                raise
            self._steering.take_away(line.id)

    async def shrink(self) -> bool:
        """Let a summary stand for older history, if need be for more than is kept by rule.

        False when there is nothing to shorten.
        """
        half = max(1, len(self._transcript.loose()) // 2)
        return await self._compact(min(self._keep_recent, half))

    async def _compact(self, keep: int, *, worth: int = 0) -> bool:
        # A turn that stands still goes on with its calls: they stay as they are.
        live = self._transcript.loose()
        cut = cut_before([record.message for record in live], keep)
        if cut == 0 or sum(tokens_of(record.message) for record in live[:cut]) < worth:
            return False
        before = self._transcript.tokens()
        older = [record.message for record in live[:cut]]
        known = self._transcript.summary()
        if known:
            older = [system(known), *older]
        try:
            summary = await summarise(
                self._model,
                self._model_name,
                older,
                room=self._window // 2,
                facts=self._remember is not None,
            )
        except GuardRefused:
            raise  # the turn is to end, and its history to stay
        except ClawdError as error:
            # What an earlier summary says is still true; what came after it is lost to the model.
            await self._transcript.summarised(live[:cut], known and known + _DROPPED)
            self._notice(
                "compaction_failed",
                f"summarising failed ({error.message}); the oldest messages were dropped",
            )
            return True
        self._spent(summary.usage)
        await self._transcript.summarised(live[:cut], summary.text)
        if self._remember is not None and summary.facts:
            # What an earlier summary stood for counts too: its text has become a part of this one.
            left = {record.id for record in self._transcript.live()}
            said = (record for record in self._transcript.records() if record.id not in left)
            await self._remember(summary.facts, any(record.untrusted for record in said))
        after = self._transcript.tokens()
        self._notice(
            "compacted", f"older history was summarised: about {before} tokens became {after}"
        )
        return True
