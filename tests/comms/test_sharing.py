"""What messages have in common is held once, and every message stays the one that it was."""

from __future__ import annotations

from pathlib import Path

import msgspec

from clawd.comms.mailbox import Mailbox
from clawd.comms.models import SessionMessage
from clawd.lineage import begin
from clawd.storage.writer import Writer


def test_a_mailbox_holds_what_its_messages_have_in_common_once(tmp_path: Path) -> None:
    """Two senders in turn, a trace each, and one message without a lineage: all load as written.

    Sender, receiver, trace and path are one object for all messages in which they are equal: a
    third of what a message takes.
    """
    traces = begin(), begin("external")
    written = [
        SessionMessage(
            id=f"msg-{number}",
            from_=f"sender-{number % 2}",
            to="receiver",
            content=f"number {number}",
            timestamp="2026-11-20T23:46:26.123Z",
            read=False,
            lineage=traces[number % 2].step(f"turn-{number}", f"sender-{number % 2}"),
        )
        for number in range(20)
    ]
    written.insert(5, msgspec.structs.replace(written[0], id="msg-bare", lineage=None))
    path = tmp_path / "box.jsonl"
    path.write_bytes(msgspec.json.Encoder().encode_lines(written))
    box = Mailbox("receiver", path, Writer())
    box.load()
    loaded = list(box.all())
    assert loaded == written
    assert len({id(message.to) for message in loaded}) == 1
    assert len({id(message.from_) for message in loaded}) == 2
    lineages = [message.lineage for message in loaded if message.lineage is not None]
    assert len({id(lineage.trace) for lineage in lineages}) == 2
    assert len({id(lineage.path) for lineage in lineages}) == 2
