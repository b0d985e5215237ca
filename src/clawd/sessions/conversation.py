"""The transcript as the agent loop sees it during one turn."""

from __future__ import annotations

from collections.abc import Callable

from clawd.agent.context import cut_before, summarise
from clawd.errors import ClawdError
from clawd.ids import now
from clawd.llm.port import ChatModel, ChatRequest
from clawd.llm.tokens import estimate
from clawd.messages import JSON, ChatMessage, system, user
from clawd.sessions.records import TurnRecord
from clawd.sessions.transcript import Transcript


class TurnConversation:
    """One turn's view: a prompt that is frozen, and history that fits.

    ``window`` is how many tokens a request may take; past ``threshold`` of it older history is
    summarised by the model, and the newest ``keep_recent`` messages stay as they are.
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
        steered: Callable[[], list[TurnRecord]],
        notice: Callable[[str, str], object],
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
        self._steered = steered
        self._notice = notice
        self._tool_tokens = -1

    async def request(self, tools: tuple[JSON, ...]) -> ChatRequest:
        """What to ask the model now; summarises first when history is past the threshold."""
        if self._tool_tokens < 0:
            self._tool_tokens = sum(estimate(str(tool)) for tool in tools)
        if self._prompt_tokens + self._tool_tokens + self._transcript.tokens() > self._limit:
            await self.shrink()
        return ChatRequest(
            model=self._model_name,
            messages=(self._prompt, *self._transcript.view(self._turn.id)),
            tools=tools,
            temperature=self._temperature,
            max_output_tokens=self._max_output_tokens,
            session=self._turn.id,
        )

    async def keep(self, *messages: ChatMessage, partial: bool = False) -> None:
        """Add to the transcript; durable when this returns."""
        await self._transcript.append(
            *(
                self._transcript.message(self._turn, message, partial=partial)
                for message in messages
            )
        )

    async def hear(self) -> None:
        """Add the lines that steer this turn, and mark each as heard in the same append."""
        for line in self._steered():
            said = self._transcript.message(self._turn, user(line.trigger.text))
            await self._transcript.change(line, said, status="steered", ended_at=now())

    async def shrink(self) -> bool:
        """Let a summary stand for older history; False when there is nothing to shorten."""
        live = self._transcript.live()
        messages = [kept.record.message for kept in live]
        cut = cut_before(messages, min(self._keep_recent, max(1, len(messages) // 2)))
        if cut == 0:
            return False
        before = self._transcript.tokens()
        older = messages[:cut]
        if self._transcript.summary():
            older = [system(self._transcript.summary()), *older]
        try:
            text, _ = await summarise(self._model, self._model_name, older, room=self._window // 2)
        except ClawdError as error:
            text = ""
            self._notice(
                "compaction_failed",
                f"summarising failed ({error.message}); the oldest messages were dropped",
            )
        await self._transcript.summarised(live[cut - 1].record, text)
        after = self._transcript.tokens()
        self._notice(
            "compacted", f"older history was summarised: about {before} tokens became {after}"
        )
        return True
