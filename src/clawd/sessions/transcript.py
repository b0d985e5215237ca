"""One session's transcript: a fold over ``history.jsonl``. The file keeps everything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from clawd.agent.context import tokens_of
from clawd.agent.history import mended, restored, unanswered
from clawd.fences import fenced
from clawd.ids import new_id, now
from clawd.messages import ChatMessage, Usage, user
from clawd.sessions.records import (
    OPEN,
    ConversationRecord,
    MessageRecord,
    Record,
    SummaryRecord,
    TriggerKind,
    TurnRecord,
)
from clawd.storage.jsonl import Log
from clawd.storage.sealing import Sealer
from clawd.storage.writer import Writer

FILE_NAME = "history.jsonl"


class Transcript:
    """The current conversation, and every turn that has not ended.

    Between ``let_go`` and ``recall`` the messages are on disk alone; all else is in memory.
    """

    def __init__(
        self,
        workspace: Path,
        writer: Writer,
        told: Callable[[TurnRecord], object] = lambda turn: None,
        sealer: Sealer[Record] | None = None,
    ) -> None:
        """``told`` is given each state of a turn; at loading the last one alone."""
        self._log = Log[Record](workspace / FILE_NAME, Record, writer, sealer=sealer)
        self._told = told
        self.conversation = ""
        self.turns: dict[str, TurnRecord] = {}
        self.usage = Usage()
        self.last_activity = ""
        self._messages: list[MessageRecord] | None = []
        self._summary: SummaryRecord | None = None
        self._stood_still: set[str] = set()
        """The turns of this conversation that waited for a human, with others in between."""
        self._behind = 0
        """How many of the messages the summary stands for, but for those that it kept."""
        self._kept: frozenset[str] = frozenset()
        self._tokens = 0
        """What the others take."""

    def load(self) -> list[str]:
        """Read the file (blocking); what was wrong with it, in words."""
        loaded = self._log.load()
        for record in _restored(loaded.records.values()):
            self._fold(record)
        self.count_crashes()
        return [str(problem) for problem in loaded.problems]

    def count_crashes(self) -> None:
        """Before any turn runs: one that is running was ended by nobody, but by a crash."""
        for turn in list(self.turns.values()):
            if turn.status == "running":
                self.turns[turn.id] = msgspec.structs.replace(
                    turn, status="waiting", crashes=turn.crashes + 1
                )

    def let_go(self) -> None:
        """Keep no messages in memory, unless a turn is to go on: most sessions sleep."""
        if self._messages and not self.turns:
            self._messages = None

    async def recall(self) -> None:
        """Have the messages in memory again; whoever looks at them calls this first."""
        if self._messages is None:
            loaded = await asyncio.to_thread(self._log.load)
            if self._messages is None:  # nobody was faster
                self._messages = [
                    record
                    for record in _restored(loaded.records.values())
                    if isinstance(record, MessageRecord)
                    and record.conversation == self.conversation
                ]

    def turns_with(self, text: str) -> list[TurnRecord]:
        """The turns (BLOCKS) in whose lines this stands, each as it is now; ended ones too."""
        found: dict[str, TurnRecord] = {}
        for record in self._log.matching(text.encode()):
            if isinstance(record, TurnRecord):
                found[record.id] = record
        return list(found.values())

    async def append(self, *records: Record, sync: bool = True) -> None:
        """Add lines; durable when this returns, or without ``sync`` with the next ones."""
        try:
            stored = await self._log.append(*records, sync=sync)
        except asyncio.CancelledError:
            # The lines are on their way to the disk all the same: memory must not know less.
            self._fold_all(records)
            raise
        self._fold_all(stored)

    async def reseal(self) -> tuple[int, int]:
        """Seal every line, or open it, as the session's settings are now; bytes before, after."""
        return await self._log.reseal()

    async def change(self, turn: TurnRecord, *more: Record, **fields: Any) -> TurnRecord:
        """A turn's next state (with further lines in the same append)."""
        changed = msgspec.structs.replace(turn, time=now(), **fields)
        await self.append(changed, *more)
        return changed

    async def begin(self) -> str:
        """Begin another conversation; its id."""
        conversation = new_id("conv")
        await self.append(
            ConversationRecord(id=conversation, conversation=conversation, time=now())
        )
        return conversation

    def message(
        self,
        turn: TurnRecord,
        message: ChatMessage,
        *,
        partial: bool = False,
        untrusted: bool = False,
    ) -> MessageRecord:
        """The line for a chat message of this turn."""
        kind: TriggerKind = turn.trigger.kind
        return MessageRecord(
            id=new_id("line"),
            conversation=turn.conversation,
            time=now(),
            turn=turn.id,
            trigger=kind,
            message=message,
            partial=partial,
            untrusted=untrusted,
        )

    def of_turn(self, turn_id: str) -> list[ChatMessage]:
        """The messages of one turn, as far as they are in the current conversation."""
        return [
            record.message
            for record in self.records()
            if record.turn == turn_id and not record.partial
        ]

    def records(self) -> list[MessageRecord]:
        """The messages of the current conversation, those behind a summary too; to be read."""
        if self._messages is None:
            raise RuntimeError("the messages are on disk alone: recall() comes first")
        return self._messages

    async def finals(self) -> list[MessageRecord]:
        """The last words of the turns of the current conversation."""
        await self.recall()
        return [
            record
            for record in self.records()
            if record.message.role == "assistant"
            and record.message.content
            and not record.message.tool_calls
            and not record.partial
        ]

    def live(self) -> list[MessageRecord]:
        """The messages that no summary stands for, those of a turn that stood still together."""
        records = self.records()
        if self._behind:
            kept = [r for r in records[: self._behind] if r.id in self._kept] if self._kept else []
            records = kept + records[self._behind :]
        return _by_turn(records, self._stood_still) if self._stood_still else records

    def loose(self) -> list[MessageRecord]:
        """Those of them that a summary may stand for: not those of a turn whose calls wait."""
        waiting = {turn for turn in self.turns if unanswered(self.of_turn(turn))}
        return [r for r in self.live() if r.turn not in waiting] if waiting else self.live()

    def view(self, running: str = "") -> list[ChatMessage]:
        """What a request holds behind the system prompt; ``running`` is the turn that goes on."""
        messages = [r.message for r in self.live() if not r.partial or r.turn != running]
        opening = [] if self._summary is None else [user(_opening(self._summary))]
        still = {turn.id for turn in self.turns.values() if turn.status == "parked"}
        waiting = {
            call.id for r in self.live() if r.turn in still for call in r.message.tool_calls
        } if still else ()  # fmt: skip
        return opening + mended(messages, waiting)

    def untrusted(self, turn_id: str) -> bool:
        """Whether a turn has read text from outside, as far as it has come."""
        return any(record.turn == turn_id and record.untrusted for record in self.records())

    def tokens(self) -> int:
        """About how many tokens the view takes."""
        summary = tokens_of(user(_opening(self._summary))) if self._summary else 0
        return summary + self._tokens

    def summary(self) -> str:
        """The text that stands for older messages, "" where there is none."""
        return self._summary.text if self._summary else ""

    async def summarised(self, older: Sequence[MessageRecord], text: str) -> None:
        """From now on ``text`` stands for these messages, and for what had a summary before."""
        places = {record.id: place for place, record in enumerate(self.records())}
        upto = max(self._behind - 1, *(places[record.id] for record in older))
        gone = {record.id for record in older}
        kept = (r.id for r in self.live() if r.id not in gone and places[r.id] <= upto)
        await self.append(
            SummaryRecord(
                id=new_id("line"),
                conversation=self.conversation,
                time=now(),
                upto=self.records()[upto].id,
                text=text,
                kept=tuple(kept),
            )
        )

    def _fold_all(self, records: Iterable[Record]) -> None:
        for record in records:
            self._fold(record)

    def _fold(self, record: Record) -> None:
        self.last_activity = max(self.last_activity, record.time)
        match record:
            case ConversationRecord():
                self.conversation = record.id
                self._messages, self._summary = [], None
                self._behind = self._tokens = 0
                self._kept, self._stood_still = frozenset(), set()
            case TurnRecord():
                self._fold_turn(record)
            case MessageRecord() if record.conversation == self.conversation:
                self.records().append(record)
                self._tokens += tokens_of(record.message)
            case SummaryRecord() if record.conversation == self.conversation:
                self._summary, self._kept = record, frozenset(record.kept)
                places = (n for n, m in enumerate(self.records(), 1) if m.id == record.upto)
                self._behind = next(places, 0)
                self._tokens = sum(tokens_of(m.message) for m in self.live())
            case _:
                pass

    def _fold_turn(self, turn: TurnRecord) -> None:
        self._told(turn)
        if turn.stood_still and turn.conversation == self.conversation:
            self._stood_still.add(turn.id)
        if turn.status in OPEN:
            self.turns[turn.id] = turn
            return
        self.turns.pop(turn.id, None)
        if turn.usage is not None:
            self.usage += turn.usage


def _by_turn(records: list[MessageRecord], turns: set[str]) -> list[MessageRecord]:
    """The messages with those of these turns together, each turn at the place of its last one."""
    own: dict[str, list[MessageRecord]] = {turn: [] for turn in turns}
    for record in records:
        if record.turn in own:
            own[record.turn].append(record)
    lasts = {said[-1].id: said for said in own.values() if said}
    ordered: list[MessageRecord] = []
    for record in records:
        if record.turn not in own:
            ordered.append(record)
        elif record.id in lasts:
            ordered += lasts[record.id]
    return ordered


def _restored(records: Iterable[Record]) -> Iterator[Record]:
    """The records of a file, with what the model needs of them as it was."""
    for record in records:
        if isinstance(record, MessageRecord):
            message = restored(record.message)
            if message is not record.message:
                record = msgspec.structs.replace(record, message=message)
        yield record


def _opening(summary: SummaryRecord) -> str:
    if not summary.text:
        return "[clawd: the oldest messages of this conversation were dropped to make it fit]"
    head = "[clawd: a summary of the conversation so far, a record and no line of your human]"
    return f"{head}\n{fenced(summary.id, summary.text)}"
