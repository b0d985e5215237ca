"""A model that goes round in circles: the same call again and again, or only failing ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from clawd.agent.history import calls_made
from clawd.errors import GuardRefused, ProviderError
from clawd.messages import ChatMessage, ToolCall

CORRECTIONS = 2
"""How often a model may mend arguments that could not be read, in one turn."""


class Repetition:
    """Counts the tool calls of one turn, and says when there is no more sense in going on.

    ``warn`` and ``stop`` are numbers of calls of one tool with the same arguments, ``failed`` of
    failed calls in a row.
    """

    def __init__(self, warn: int = 5, stop: int = 10, failed: int = 5) -> None:
        self._warn = warn
        self._stop = stop
        self._failed = failed
        self._calls: Counter[tuple[str, str]] = Counter()
        self._in_a_row = 0
        self._unreadable = 0

    def warning(self, call: ToolCall) -> str:
        """Count a call that is about to run; a line for its result when it repeats itself."""
        key = (call.function.name, call.function.arguments)
        self._calls[key] += 1
        count = self._calls[key]
        if not self._warn <= count < self._stop:
            return ""
        return (
            f"[clawd: call {count} of {call.function.name} with the same arguments in this turn; "
            f"at {self._stop} the turn is stopped]"
        )

    def replay(self, messages: Sequence[ChatMessage], ahead: Iterable[ToolCall] = ()) -> None:
        """Count what the turn called before it was cut off and went on.

        ``ahead`` are calls that are yet to be made, and counted then.
        """
        for call in (call for message in messages for call in message.tool_calls):
            self._calls[call.function.name, call.function.arguments] += 1
        self._calls.subtract((call.function.name, call.function.arguments) for call in ahead)
        for _, succeeded in calls_made(messages).values():
            self.ended(succeeded=succeeded)

    def ended(self, *, succeeded: bool) -> None:
        """Count how a call ended."""
        self._in_a_row = 0 if succeeded else self._in_a_row + 1

    def unreadable(self) -> None:
        """Count an answer with arguments that are no JSON object."""
        self._unreadable += 1

    def check(self, turn: str) -> None:
        """``GuardRefused`` when the model repeats itself or fails too often to go on.

        ``ProviderError`` when it cannot write arguments that can be read.
        """
        if self._unreadable > CORRECTIONS:
            raise ProviderError(
                "malformed_arguments",
                f"the model wrote arguments that are no JSON object in {self._unreadable} answers "
                f"of this turn; it may mend them {CORRECTIONS} times",
                hint="choose a model that is able to call tools",
            )
        (key, count), *_ = [*self._calls.most_common(1), (("", ""), 0)]
        if count >= self._stop:
            raise GuardRefused(
                "guard_repeated_call",
                f"this turn called {key[0]} {count} times with the same arguments; "
                f"the limit is {self._stop}",
                limit=self._stop,
                value=count,
                scope=f"turn {turn}",
                hint="say what else is to be tried, or raise limits.repeatedCallStop",
            )
        if self._in_a_row >= self._failed:
            raise GuardRefused(
                "guard_failed_calls_in_a_row",
                f"this turn made {self._in_a_row} tool calls in a row that failed; "
                f"the limit is {self._failed}",
                limit=self._failed,
                value=self._in_a_row,
                scope=f"turn {turn}",
                hint="look at the errors of the calls, or raise limits.maxFailedCallsInARow",
            )
